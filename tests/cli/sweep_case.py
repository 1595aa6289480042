"""Sweeps of a tiny model: needles in made-up text, and what their rows must have in common."""

import csv
import subprocess
import time
import tomllib

from command import BINARY, CommandCase, made_up_text, tidegauge

POLICIES = ("full", "tidal:budget=32,select=2", "window:budget=40")
TIMED = ("prefill_ms", "decode_ms_per_token", "batch")
KEY = ("task", "length", "depth", "sample", "seed", "policy")


def rows_of(folder):
    """results.csv as dictionaries, in the file's order."""
    with open(folder / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def key_of(row):
    return tuple(row[column] for column in KEY)


def untimed(rows):
    """By key, without what time decides; a row twice is an error."""
    by_key = {key_of(row): {name: value for name, value in row.items() if name not in TIMED} for row in rows}
    assert len(by_key) == len(rows), "a row stands there twice"
    return by_key


class SweepCase(CommandCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.text = cls.folder / "text.txt"
        cls.text.write_text(made_up_text(300))

    def call(self, out, *arguments, policies=POLICIES, **options):
        """The arguments of a sweep into `out`: 3 policies on 6 prompts unless told otherwise."""
        usual = {"model": self.model, "lengths": 400, "depths": "0.2,0.8", "samples": 3, "threads": 1} | options
        chosen = [word for policy in policies for word in ("--policy", policy)]
        words = [word for name, value in usual.items() for word in (f"--{name}".replace("_", "-"), value)]
        return ["sweep", "--raw", "--text", self.text, "--out", out, *chosen, *words, *arguments]

    def sweep(self, out, *arguments, **options):
        return tidegauge(*self.call(out, *arguments, **options))

    def begin(self, out, *arguments, rows=1, **options):
        """A sweep that goes on in the background and has written some rows."""
        process = subprocess.Popen([BINARY, *map(str, self.call(out, *arguments, **options))], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_for_rows(process, out / "results.csv", rows)
        return process

    def wait_for_rows(self, process, file, rows):
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if file.exists() and file.read_bytes().count(b"\n") > rows:
                return
            time.sleep(0.002)
        self.fail(f"no {rows} rows in {file}: exit code {process.poll()}")

    def assert_whole(self, folder, expected):
        """The folder has the rows of `expected`, each once."""
        self.assertEqual(untimed(rows_of(folder)), untimed(expected))

    def planned_order(self, folder):
        """Keys in the order of the plan: sample by sample, policies as the config lists them."""
        config = tomllib.loads((folder / "config.toml").read_text())
        return [("needle", str(length), f"{depth:g}", str(sample), "0", policy) for length in config["lengths"]
                for sample in range(config["samples"]) for depth in config["depths"] for policy in config["policies"]]
