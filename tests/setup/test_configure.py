"""setup/configure.sh: configures when it must, and only then."""

import shutil
import unittest

from stand_ins import ROOT, StandInCase

# A CMake that writes the cache and the build file, unless told to die before the latter.
CMAKE = """
while (($#)); do
  case "$1" in -S) source=$2 ;; -B) build=$2 ;; -D*) options+=("${1#-D}") ;; esac
  shift
done
mkdir -p "$build"
{ echo "CMAKE_HOME_DIRECTORY:INTERNAL=$source"
  for option in "${options[@]}"; do echo "${option%%=*}:BOOL=${option#*=}"; done; } >"$build/CMakeCache.txt"
[[ -z ${CMAKE_DIES:-} ]] || exit 1
touch "$build/build.ninja"
"""


class Configure(StandInCase):
    def setUp(self):
        super().setUp()
        self.stand_in("cmake", CMAKE)
        self.checkout = self.scratch / "checkout"
        shutil.copytree(ROOT / "setup", self.checkout / "setup")

    def configure(self, *options, **variables):
        return self.run_script(self.checkout / "setup" / "configure.sh", self.checkout / "build", *options, **variables)

    def test_configures_once(self):
        self.assertEqual(self.configure().returncode, 0)
        self.assertEqual(self.configure().returncode, 0)
        self.assertEqual(len(self.calls("cmake")), 1)
        self.assertIn("-DTIDEGAUGE_TESTS=OFF", self.calls("cmake")[0])

    def test_an_option_asked_for_is_set_and_kept(self):
        self.configure()
        self.configure("-DTIDEGAUGE_TESTS=ON")
        self.assertEqual(len(self.calls("cmake")), 2)
        self.configure("-DTIDEGAUGE_TESTS=ON")
        self.configure()
        self.assertEqual(len(self.calls("cmake")), 2)

    def test_an_interrupted_configuration_is_done_again(self):
        self.assertNotEqual(self.configure(CMAKE_DIES=1).returncode, 0)
        self.configure()
        self.assertEqual(len(self.calls("cmake")), 2)
        self.assertIn("--fresh", self.calls("cmake")[1])

    def test_a_moved_checkout_is_configured_afresh(self):
        self.configure()
        self.checkout = self.checkout.rename(self.scratch / "moved")
        self.configure()
        self.assertIn("--fresh", self.calls("cmake")[1])


if __name__ == "__main__":
    unittest.main()
