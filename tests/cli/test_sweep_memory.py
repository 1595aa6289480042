"""What `sweep --dry-run` foretells, and `--memory`: a sweep keeps under its cap and its rows stay the same."""

import json
import os
import subprocess
import unittest

from command import BINARY, tidegauge
from sweep_case import SweepCase, rows_of

MODEL = os.environ.get("TIDEGAUGE_TEST_MODEL", "")
# Each row holds a copy of half the prompt's cache.
HEAVY = tuple(f"h2o:budget={budget}" for budget in range(480, 540, 2))


def peak_of(call):
    """Runs a command; its exit code and the most memory that it held, bytes."""
    process = subprocess.Popen([BINARY, *map(str, call)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024


class SweepMemory(SweepCase):
    def test_memory_that_is_none(self):
        out = self.folder / "none"
        for memory, part in (("lots", "'lots'"), ("0", "'0'"), ("8X", "'8X'")):
            self.assert_refused(self.sweep(out, memory=memory), "memory", part)
        self.assertFalse(out.exists())

    def test_memory_that_holds_no_row_is_told_before_decoding(self):
        out = self.folder / "little"
        self.assert_refused(self.sweep(out, memory="20MB"), "memory: 20MB are too little", "one row")
        self.assertEqual(len(rows_of(out)), 0)
        self.assert_done(self.sweep(out, memory="4GB"))  # memory decides no row: the folder goes on
        self.assertEqual(len(rows_of(out)), 18)

    @unittest.skipUnless(MODEL, "no default model is installed")
    def test_a_tight_cap_is_kept_and_what_was_foretold_holds(self):
        options = {"model": MODEL, "lengths": 1024, "depths": "0.5", "samples": 1, "new_tokens": 2, "policies": HEAVY}
        foretold = tidegauge(*self.call(self.folder / "x", "--dry-run", "--json", **options))
        self.assert_done(foretold)
        foretold = json.loads(foretold.stdout)
        self.assertEqual((foretold["rows"], foretold["batch"]), (30, 31))
        roomy, tight = self.folder / "roomy", self.folder / "tight"
        code, peak = peak_of(self.call(roomy, **options))
        self.assertEqual(code, 0)
        self.assertGreater(foretold["peak_memory_bytes_at_most"], peak)
        self.assertLess(foretold["peak_memory_bytes_at_most"], 2 * peak)
        size = sum(file.stat().st_size for file in roomy.iterdir())
        self.assertGreater(foretold["disk_bytes_at_most"], size)
        self.assertLess(foretold["disk_bytes_at_most"], 4 * size)
        cap = peak - (200 << 20)  # some 330 MB of copies in all
        less = tidegauge(*self.call(self.folder / "x", "--dry-run", "--json", **(options | {"memory": cap})))
        self.assert_done(less)
        less = json.loads(less.stdout)
        self.assertEqual(less["memory_limit_bytes"], cap)
        self.assertLess(less["batch"], 31)
        self.assertLessEqual(less["peak_memory_bytes_at_most"], cap)
        code, capped = peak_of(self.call(tight, **(options | {"memory": cap})))
        self.assertEqual(code, 0)
        self.assertLessEqual(capped, cap)
        self.assert_whole(tight, rows_of(roomy))
        batches = {folder: max(float(row["batch"]) for row in rows_of(folder)) for folder in (roomy, tight)}
        self.assertLess(batches[tight], batches[roomy])
        self.assertGreater(batches[tight], 2)


if __name__ == "__main__":
    unittest.main()
