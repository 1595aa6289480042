"""setup/debian_packages.sh: what it asks for, of whom, and what it says when it cannot."""

import unittest

from stand_ins import ROOT, StandInCase, link_tools, packages

SCRIPT = ROOT / "setup" / "debian_packages.sh"


class DebianPackages(StandInCase):
    def setUp(self):
        super().setUp()
        link_tools(self.bin, "bash", "env", "dirname", "grep")
        self.only = str(self.bin)

    def machine(self, missing=(), user=0, sudo=None, apt_get="exit 0"):
        """A machine that lacks some packages. `sudo`: None, absent; else its script."""
        absent = "|".join(missing) or "none"
        self.stand_in("dpkg-query", f'case "${{@: -1}}" in {absent}) exit 1;; esac; echo -n installed')
        self.stand_in("id", f"echo {user}")
        self.stand_in("apt-get", apt_get)
        if sudo is not None:
            self.stand_in("sudo", sudo)

    def run_groups(self, *groups):
        return self.run_script(SCRIPT, *groups, path=self.only)

    def test_does_nothing_when_all_are_there(self):
        self.machine()
        done = self.run_groups("run", "test")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual(self.calls("apt-get"), [])
        self.assertEqual(len(self.calls("dpkg-query")), len(packages("run")) + len(packages("test")))

    def test_root_installs_exactly_the_missing(self):
        self.machine(missing=["cmake", "libgtest-dev"])
        done = self.run_groups("run", "test")
        self.assertEqual(done.returncode, 0, done.stderr)
        install = [call for call in self.calls("apt-get") if call.startswith("install")]
        self.assertEqual(len(install), 1)
        self.assertTrue(install[0].endswith(" cmake libgtest-dev"), install[0])

    def test_sudo_without_a_password_installs(self):
        self.machine(missing=["cmake"], user=1000, sudo='[[ "$1" == -n ]] || exit 9; shift; [[ "$1" == true ]] || exec "$@"')
        done = self.run_groups("run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.calls("apt-get")[-1].endswith(" cmake"))

    def test_neither_root_nor_sudo_names_the_missing_and_the_command(self):
        for sudo in (None, "exit 1"):
            self.machine(missing=["cmake", "gnuplot-nox"], user=1000, sudo=sudo)
            done = self.run_groups("run")
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertTrue(done.stderr.endswith(
                "apt-get update && apt-get install -y --no-install-recommends cmake gnuplot-nox\n"), done.stderr)
            self.assertEqual(self.calls("apt-get"), [])

    def test_a_failing_list_update_does_not_stop_it(self):
        self.machine(missing=["cmake"], apt_get='[[ "$*" != *update* ]]')
        done = self.run_groups("run")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_failing_installation_is_told(self):
        self.machine(missing=["cmake"], apt_get='[[ "$*" != install* ]]')
        done = self.run_groups("run")
        self.assertEqual(done.returncode, 1)
        self.assertIn("could not install: cmake", done.stderr)

    def test_another_system_is_told_what_is_wanted(self):
        done = self.run_groups("run")
        self.assertEqual(done.returncode, 2)
        self.assertIn("libhdf5-dev", done.stderr)


if __name__ == "__main__":
    unittest.main()
