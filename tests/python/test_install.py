"""The package installs with pip, without the network, and works from where it was installed."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest


class InstallTest(unittest.TestCase):
    def test_installs_and_imports(self):
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "source"
            # Building writes beside the sources.
            subprocess.run(["cp", "-r", os.environ["TIDEGAUGE_SOURCE"] + "/python", source], check=True)
            target = pathlib.Path(folder) / "target"
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
            done = subprocess.run([*pip, "--target", target, source], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            environment = {**os.environ, "PYTHONPATH": str(target)}
            code = "import tidegauge; print(tidegauge.__file__, tidegauge.AttentionDump.__name__)"
            told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
            self.assertTrue(told.stdout.startswith(str(target)), told.stdout)


if __name__ == "__main__":
    unittest.main()
