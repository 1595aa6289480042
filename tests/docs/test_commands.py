"""Every command of README.md and CONTRIBUTING.md works as written."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from doc_commands import blocks, unknown_names

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TIDEGAUGE_BUILD", ROOT / "build"))
HIDDEN = {".git", "out", "build"}


def scratch_checkout(folder):
    """Links the checkout's files into a folder, `build` being the build under test: commands written
    for the checkout's root run there, and what they write stays there."""
    for entry in ROOT.iterdir():
        if entry.name not in HIDDEN:
            (folder / entry.name).symlink_to(entry)
    (folder / "build").symlink_to(BUILD)


class Documents(unittest.TestCase):
    def check(self, name):
        document = ROOT / name
        if not document.exists():
            self.skipTest(f"no {name}")
        found = blocks(document.read_text())
        self.assertTrue(found, f"{name} has no commands")
        makefile, presets = (ROOT / "Makefile").read_text(), (ROOT / "CMakePresets.json").read_text()
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            scratch_checkout(folder)
            for block in found:
                where = f"{name}:{block.line}"
                for line in block.checked():
                    self.assertEqual(unknown_names(line, makefile, presets), [], f"{where}: {line}")
                if not block.reason:
                    self.run_block(block, folder, where)

    def run_block(self, block, folder, where):
        text = block.runnable()
        if not text.strip():
            return
        command = ["bash", "-euo", "pipefail", "-c", text] if block.language == "sh" else [sys.executable, "-c", text]
        environment = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"}
        done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, timeout=600,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{where}:\n{text}\n{done.stdout}\n{done.stderr}")

    def test_readme(self):
        self.check("README.md")

    def test_contributing(self):
        self.check("CONTRIBUTING.md")


class Extraction(unittest.TestCase):
    MAKEFILE = "help: ## list\nbuild: setup ## build\n"
    PRESETS = '{"configurePresets": [{"name": "asan"}], "buildPresets": [], "testPresets": []}'

    def test_finds_blocks_with_their_lines(self):
        found = blocks("text\n```sh\necho one\n```\n<!-- not run: needs a cluster -->\n```sh\nsrun x\n```\n"
                       "```python\nprint(1)\n```\n```text\nnothing\n```\n")
        self.assertEqual([(b.language, b.line, b.reason) for b in found],
                         [("sh", 2, None), ("sh", 6, "needs a cluster"), ("python", 9, None)])

    def test_looks_up_targets_instead_of_running_them(self):
        (block,) = blocks("```sh\nmake build  # binary\nmake\necho one \\\n  two\ncmake --preset asan\n```\n")
        self.assertEqual(block.checked(), ["make build  # binary", "make", "cmake --preset asan"])
        self.assertEqual(block.runnable(), "echo one   two")
        for line in block.checked():
            self.assertEqual(unknown_names(line, self.MAKEFILE, self.PRESETS), [])

    def test_finds_what_does_not_exist(self):
        self.assertEqual(unknown_names("make biuld JOBS=2", self.MAKEFILE, self.PRESETS), ["biuld"])
        self.assertEqual(unknown_names("cmake --preset fast", self.MAKEFILE, self.PRESETS), ["fast"])
        self.assertEqual(unknown_names("ctest --preset asan", self.MAKEFILE, self.PRESETS), ["asan"])

    def test_a_failing_command_fails_the_document(self):
        (block,) = blocks("```sh\nfalse\ntrue\n```\n")
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(AssertionError):
            Documents().run_block(block, pathlib.Path(folder), "here")


if __name__ == "__main__":
    unittest.main()
