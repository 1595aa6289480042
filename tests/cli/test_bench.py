"""bench: what its results hold, and what it refuses."""

import importlib.util
import json
import os
import unittest
import unittest.mock

from command import CommandCase, tidegauge

SPREAD = {"median", "min", "max"}


def needs(package):
    """Leaves a test out, by name, where the peer's package is not installed."""
    return unittest.skipUnless(importlib.util.find_spec(package), f"{package} is not installed")


class BenchCase(CommandCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        temporary = unittest.mock.patch.dict(os.environ, TMPDIR=str(cls.folder))  # where peers keep copies
        temporary.start()
        cls.addClassCleanup(temporary.stop)

    def bench(self, what, *arguments):
        return tidegauge("bench", what, "--model", self.model, "--rounds", 3, "--threads", 1, *arguments)

    def result(self, what, *arguments):
        """The JSON of a bench that is done."""
        process = self.bench(what, *arguments, "--json")
        self.assert_done(process)
        return json.loads(process.stdout)

    def assert_rows(self, result, names, rounds=3):
        """Rows of these names, with sound figures."""
        self.assertEqual([row["name"] for row in result["rows"]], names)
        for row in result["rows"]:
            with self.subTest(row["name"]):
                self.assertEqual(len(row["rounds_ms"]), rounds)
                self.assertGreater(row["min_ms"], 0)
                self.assertEqual(row["min_ms"], min(row["rounds_ms"]))
                self.assertEqual(row["max_ms"], max(row["rounds_ms"]))
                self.assertEqual(row["median_ms"], sorted(row["rounds_ms"])[rounds // 2])

    def assert_ratio(self, row, base):
        """row["ratios"] holds the quotient to `base`, taken round by round."""
        (ratio,) = [ratio for ratio in row["ratios"] if ratio["to"] == base["name"]]
        rounds = sorted(a / b for a, b in zip(row["rounds_ms"], base["rounds_ms"]))
        self.assertAlmostEqual(ratio["median"], rounds[len(rounds) // 2])
        self.assertAlmostEqual(ratio["min"], rounds[0])
        self.assertAlmostEqual(ratio["max"], rounds[-1])


class Everywhere(BenchCase):
    def test_result_says_where_and_how_it_was_made(self):
        result = self.result("decode", "--length", 40, "--steps", 2)
        self.assertEqual((result["format"], result["version"], result["what"]), ("tidegauge-bench", 1, "decode"))
        self.assertEqual(result["machine"]["threads"], 1)
        self.assertIn("commit", result["machine"])
        self.assertEqual(len(result["read_gb_per_s"]["samples"]), 4)  # around each of three rounds
        self.assertLessEqual(SPREAD, result["read_gb_per_s"].keys())
        self.assertIn("steal_share", result["quiet"])

    def test_out_holds_what_json_prints(self):
        out = self.folder / "decode.json"
        process = self.bench("decode", "--length", 40, "--steps", 2, "--out", out, "--json")
        self.assert_done(process)
        self.assertEqual(json.loads(out.read_text()), json.loads(process.stdout))

    def test_unknown_bench_names_the_nearest(self):
        self.assert_refused(self.bench("decod"), "'decod'", "the nearest is 'decode'")


class Decode(BenchCase):
    def test_times_every_policy(self):
        policies = ("full", "window:budget=16")
        result = self.result("decode", "--length", 60, "--steps", 3, *[a for p in policies for a in ("--policy", p)])
        self.assert_rows(result, list(policies))
        full, window = result["rows"]
        self.assertEqual(window["program"], "tidegauge")
        self.assertLess(window["bytes_derived"], full["bytes_derived"])
        for row in result["rows"]:
            self.assertLessEqual(SPREAD, row["share_of_read_bandwidth_derived"].keys())

    @needs("llama_cpp")
    def test_beside_llama_cpp(self):
        result = self.result("decode", "--length", 60, "--steps", 3, "--peer", "llama.cpp")
        ours, peer = result["rows"]
        self.assertEqual(peer["program"], "llama.cpp")
        self.assertIn("bf16", peer["name"])
        self.assert_rows(result, ["full", peer["name"]])
        self.assert_ratio(ours, peer)


if __name__ == "__main__":
    unittest.main()
