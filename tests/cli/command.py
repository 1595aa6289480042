"""Runs tidegauge, and checks how it refuses."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import tiny_gguf

BINARY = os.environ["TIDEGAUGE_BINARY"]
COMMANDS = ("record", "analyze", "sweep", "calibrate", "generate", "bench", "import", "export", "inspect", "report", "compare",
            "task", "plan")


def tidegauge(*arguments, **options):
    """The finished process; its output is text."""
    environment = {key: value for key, value in os.environ.items() if key != "TIDEGAUGE_MODEL"}
    return subprocess.run(
        [BINARY, *map(str, arguments)], capture_output=True, text=True, errors="backslashreplace", timeout=120, env=environment, **options
    )


def made_up_text(n_sentences):
    """Sentences of different lengths."""
    return " ".join(f"The {'very ' * (i % 5)}old lamp {'of gold ' * (i % 3)}stood still by {i % 7 * 'x'}it." for i in range(n_sentences))


class CommandCase(unittest.TestCase):
    """A folder and a tiny model for each class of tests."""

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory(prefix="tidegauge_cli_")
        cls.folder = pathlib.Path(cls._folder.name)
        cls.model = cls.folder / "tiny.gguf"
        tiny_gguf.write(cls.model)

    @classmethod
    def tearDownClass(cls):
        cls._folder.cleanup()

    def generate(self, *arguments):
        """generate with the tiny model and a short prompt."""
        return tidegauge("generate", "--model", self.model, "--prompt", "the tide", "--steps", 2, *arguments)

    def record(self, out, *arguments):
        """record with the tiny model and a short prompt."""
        call = ("record", "--model", self.model, "--prompt", "the tide", "--steps", 3, "--ignore-eos")
        return tidegauge(*call, "--out", out, *arguments)

    def assert_done(self, process):
        self.assertEqual(process.returncode, 0, process.stderr)

    def assert_refused(self, process, *parts):
        """Exit code 2, nothing on stdout, and one line on stderr that holds `parts`."""
        self.assertEqual(process.returncode, 2, process.stderr)
        self.assertEqual(process.stdout, "")
        self.assertEqual(process.stderr.count("\n"), 1, process.stderr)
        self.assertTrue(process.stderr.startswith("tidegauge: "), process.stderr)
        for part in parts:
            self.assertIn(str(part), process.stderr)
