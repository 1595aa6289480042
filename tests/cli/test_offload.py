"""Keys and values on a disk, as a user meets them: the same text, what is told, refusals."""

import json

import h5py
import numpy as np
from command import CommandCase, tidegauge

COUNTS = ("bytes", "wanted", "held", "predicted", "missed", "fetched", "stall_ms")
POLICIES = ("full", "oracle:budget=9,sharing=group", "random:budget=9", "window:budget=12",
            "tidal:budget=9,select=1+3", "tidal:budget=9,select=2,correct=3", "lessismore:budget=16,select=1+3",
            "kascade:budget=10%", "omnikv:budget=9", "quest:budget=8,page=4", "tokenselect:budget=20", "sparq:budget=9",
            "doublesparsity:budget=9,channels=all", "streaming:budget=9", "h2o:budget=8", "snapkv:budget=9")
COMPARED = ("full", "tidal:budget=9,select=1+3", "quest:budget=8,page=4")


class Offload(CommandCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The folder of the tests may be in memory; the one that they run in is where the program was built.
        cls.disk = cls.folder_on_disk()

    @classmethod
    def folder_on_disk(cls):
        for folder in (cls.folder, "."):
            process = tidegauge("generate", "--model", cls.model, "--raw", "--prompt", "a b c d", "--steps", 1,
                                "--fast-tier", "100%", "--offload", folder)
            if "direct I/O" not in process.stderr:
                return folder
        return None

    def setUp(self):
        if self.disk is None:
            self.skipTest("no folder here has direct I/O")

    def generate(self, *arguments, command="generate"):
        prompt = self.folder / "prompt.txt"
        prompt.write_text("the tide went out and came back in and nobody knew why it did so " * 3)
        return tidegauge(command, "--model", self.model, "--steps", 8, "--ignore-eos", "--raw", "--json",
                         "--prompt-file", prompt, *arguments)

    def facts(self, *arguments):
        process = self.generate(*arguments)
        self.assert_done(process)
        return json.loads(process.stdout)

    def test_generate_gives_the_same_and_tells_what_moved(self):
        for policy in ("full", "tidal:budget=12,select=2", "quest:budget=16,page=4", "streaming:budget=12"):
            with self.subTest(policy):
                resident = self.facts("--policy", policy + (",evict=no" if "streaming" in policy else ""))
                offloaded = self.facts("--policy", policy, "--offload", self.disk, "--fast-tier", "100%")
                self.assertEqual(resident["ids"], offloaded["ids"])
                self.assertNotIn("tier", resident)
                tier = offloaded["tier"]
                self.assertEqual(set(tier), {"bytes_per_step", "blocks_per_step", "held_share",
                                             "prediction_hit_rate", "prediction_used_share", "stall_ms_per_step"})
                self.assertGreaterEqual(tier["stall_ms_per_step"], 0)

    def recording(self, name, *arguments):
        """A recording of the same run; what `record --json` tells of it, and the file."""
        out = self.folder / name
        process = self.generate("--out", out, *arguments, command="record")
        self.assert_done(process)
        return json.loads(process.stdout)["recordings"][0], h5py.File(out)

    def assert_same_recording(self, resident, offloaded):
        """Every dataset bit for bit, but for times and the tier's own."""
        names = {}
        for file in (resident, offloaded):
            names[file] = []
            file.visititems(lambda name, item: names[file].append(name) if isinstance(item, h5py.Dataset) else None)
        own = [name for name in names[offloaded] if name.startswith("steps/tier_")]
        self.assertEqual(sorted(own), sorted(f"steps/tier_{name}" for name in COUNTS))
        self.assertEqual(names[resident], [name for name in names[offloaded] if name not in own])
        for name in names[resident]:
            a, b = resident[name][()], offloaded[name][()]
            if name != "steps/latency_ms":
                self.assertEqual((a.dtype, a.shape), (b.dtype, b.shape), name)
                same = np.array_equal(a, b) if a.dtype == object else a.tobytes() == b.tobytes()
                self.assertTrue(same, name)

    def assert_tells(self, tier, sums):
        """What a run of 8 steps tells is what its steps add up to."""
        self.assertEqual(tier["bytes_per_step"] * 8, sums["bytes"])
        self.assertEqual(tier["blocks_per_step"] * 8, sums["wanted"])
        for share, part, of in (("held_share", "held", sums["wanted"]),
                                ("prediction_hit_rate", "predicted", sums["predicted"] + sums["missed"]),
                                ("prediction_used_share", "predicted", sums["fetched"])):
            self.assertEqual(tier[share], None if of == 0 else sums[part] / of)

    def test_record_gives_the_same_file_and_what_moved_at_each_step(self):
        for policy in POLICIES:
            with self.subTest(policy):
                offload = ("--policy", policy, "--offload", self.disk, "--fast-tier", "65%", "--block", 8)
                facts, offloaded = self.recording("offloaded.h5", "--force", *offload)
                told, resident = self.recording("resident.h5", "--force", "--policy", policy)
                self.assertNotIn("tier", told)
                with resident, offloaded:
                    self.assert_same_recording(resident, offloaded)
                    sums = {name: offloaded[f"steps/tier_{name}"][:].sum() for name in COUNTS}
                self.assert_tells(facts["tier"], sums)
                self.assertAlmostEqual(facts["tier"]["stall_ms_per_step"] * 8, sums["stall_ms"], delta=1e-3)
                if policy in COMPARED:  # the same run as `generate` has it, but for time
                    self.assert_tells(self.facts(*offload)["tier"], sums)
                    self.assert_done(tidegauge("inspect", self.folder / "offloaded.h5"))

    def test_record_with_full_attention_beside_it(self):
        arguments = ("--policy", "tidal:budget=12,select=2", "--shadow", "--prefill-rows", "last:3")
        _, resident = self.recording("resident.h5", "--force", *arguments)
        _, offloaded = self.recording("offloaded.h5", "--force", *arguments, "--offload", self.disk, "--block", 8,
                                      "--fast-tier", "65%")
        with resident, offloaded:
            self.assert_same_recording(resident, offloaded)

    def test_record_of_a_task(self):
        folder = self.folder / "samples"
        process = tidegauge("record", "--model", self.model, "--task", "passkey", "--length", 300, "--samples", 2,
                            "--steps", 3, "--ignore-eos", "--policy", "quest:budget=16,page=4", "--offload", self.disk,
                            "--fast-tier", "70%", "--block", 8, "--out", folder, "--json")
        self.assert_done(process)
        files = [made["file"] for made in json.loads(process.stdout)["recordings"]]
        self.assertEqual(len(files), 2)
        for name in files:
            with h5py.File(name) as file:
                self.assertGreater(file["steps/tier_wanted"][:].min(), 0)

    def test_bench_offload(self):
        process = tidegauge("bench", "offload", "--model", self.model, "--length", 200, "--steps", 4, "--rounds", 2,
                            "--fast-tier", "100%", "--scratch", self.disk, "--policy", "quest:budget=16,page=4",
                            "--json")
        self.assert_done(process)
        result = json.loads(process.stdout)
        everything, memory, offloaded = result["rows"]
        self.assertTrue(offloaded["tokens_equal"])
        self.assertEqual([ratio["to"] for ratio in offloaded["ratios"]], [memory["name"]])
        self.assertEqual([speed["to"] for speed in offloaded["speedups"]], [everything["name"]])
        self.assertIn("tier", everything)
        self.assertGreater(result["file_bytes"], 0)

    def test_refusals(self):
        cases = ((("--fast-tier", "25"), "--fast-tier 25: expected a share of the cache such as 25%"),
                 (("--fast-tier", "0%"), "--fast-tier 0%: expected more than 0"),
                 (("--fast-tier", "101%"), "--fast-tier 101%: expected at most 100%"),
                 (("--fast-tier", "x%"), "--fast-tier"),
                 (("--fast-tier", "1%"), "a fast tier of"),
                 (("--policy", "streaming:budget=12,evict=yes"), "with evict=yes there are no rows to offload"))
        for arguments, why in cases:
            with self.subTest(why):
                self.assert_refused(self.generate("--offload", self.disk, *arguments), why)
                out = self.folder / "refused.h5"
                record = self.generate("--offload", self.disk, "--out", out, *arguments, command="record")
                self.assertIn(why, record.stderr)
                self.assertEqual((record.returncode, record.stdout, out.exists()), (2, "", False))
        self.assert_refused(self.generate("--offload", self.folder / "nowhere"), "nowhere: is no folder")
