"""Loading a checkpoint never holds it twice: pages of its files are given back as their weights are copied."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

MAKER = pathlib.Path(__file__).resolve().parents[2] / "experiments" / "large-model" / "make_folder.py"
PROGRAM = 200 << 20  # what it takes for itself, LibTorch's libraries for the most part


class LoadMemory(unittest.TestCase):
    def test_peak_is_the_weights_and_a_tenth(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name) / "model"
            # Not in this process: a child's peak begins with its parent's memory.
            subprocess.run([sys.executable, MAKER, "--shape", "small", "--out", folder], check=True)
            stored = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
            self.assertGreater(stored, 700 << 20)
            call = [os.environ["TIDEGAUGE_BINARY"], "generate", "--model", folder, "--raw", "--prompt", "The tide",
                    "--steps", "1", "--ignore-eos"]
            child = subprocess.Popen(call, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = status
            self.assertEqual(status, 0)
            self.assertLess(usage.ru_maxrss * 1024, 1.1 * stored + PROGRAM)


if __name__ == "__main__":
    unittest.main()
