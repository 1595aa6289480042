"""Stand-ins for the system's tools: small scripts first on PATH that log how they were called."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class StandInCase(unittest.TestCase):
    """A scratch folder with a `bin` of stand-ins and a log of their calls."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name).resolve()
        self.bin = self.scratch / "bin"
        self.bin.mkdir()
        self.log = self.scratch / "calls.log"
        self.log.touch()

    def stand_in(self, name, body):
        """Puts the shell script `body` in the place of the tool `name`; its calls are logged."""
        path = self.bin / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>"{self.log}"\n{body}\n')
        path.chmod(0o755)
        return path

    def calls(self, name):
        """The argument lists with which a stand-in was called."""
        return [line[len(name) + 1:] for line in self.log.read_text().splitlines()
                if line.startswith(name + " ")]

    def run_script(self, *arguments, path=None, **variables):
        """Runs a set-up script with the stand-ins first on PATH."""
        search = path or f"{self.bin}:/usr/bin:/bin"
        environment = {"PATH": search, "HOME": str(self.scratch), **{k: str(v) for k, v in variables.items()}}
        return subprocess.run([str(a) for a in arguments], env={**environment}, cwd=self.scratch,
                              capture_output=True, text=True, timeout=60)


def packages(group):
    """The Debian packages of a group's list."""
    lines = (ROOT / "setup" / "debian" / f"{group}.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def link_tools(folder, *names):
    """Links the system's own tools into a folder, for a PATH that holds nothing else."""
    for name in names:
        for place in ("/usr/bin", "/bin"):
            if os.path.exists(f"{place}/{name}"):
                (folder / name).symlink_to(f"{place}/{name}")
                break
