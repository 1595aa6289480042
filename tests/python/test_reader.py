"""tidegauge.open against plain h5py, on recordings of the default model."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import h5py
import numpy as np

import tidegauge

STEPS, BUDGET = 5, 8


def record(out, *arguments):
    call = [os.environ["TIDEGAUGE_BINARY"], "record", "--prompt", "The tide rises, the tide falls.", "--ignore-eos"]
    subprocess.run([*call, "--steps", str(STEPS), "--out", out, *arguments], check=True, capture_output=True)


class ReaderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.path = pathlib.Path(folder.name) / "run.h5"
        cls.growing = pathlib.Path(folder.name) / "growing.h5"
        cls.tops = pathlib.Path(folder.name) / "tops.h5"
        policy = f"tidal:budget={BUDGET},select=2+14,sinks=1,recent=2"
        record(cls.path, "--policy", policy, "--shadow", "--prefill-rows", "0-1+5")
        record(cls.growing, "--policy", "tidal:budget=20%,select=2+14")
        record(cls.tops, "--maps", "topk:4")
        cls.cached = pathlib.Path(folder.name) / "cached.h5"
        record(cls.cached, "--maps", "none", "--policy", "tokenselect:budget=24,threshold=-1")

    def setUp(self):
        self.run_ = tidegauge.open(self.path)
        self.addCleanup(self.run_.close)
        self.file = h5py.File(self.path)
        self.addCleanup(self.file.close)

    def test_attributes(self):
        run = self.run_
        self.assertEqual((run.n_layers, run.n_heads, run.n_kv_heads, run.head_dim), (30, 9, 3, 64))
        self.assertEqual((run.steps, run.complete, len(run.layers)), (STEPS, True, 30))
        self.assertIn("select", "".join(run.layers[2].roles))
        self.assertTrue(run.policy.startswith("tidal:"))

    def test_tokens_and_steps(self):
        for name in ("prompt_ids", "generated_ids", "fed_ids"):
            np.testing.assert_array_equal(getattr(self.run_, name), self.file[f"tokens/{name}"][:])
        np.testing.assert_array_equal(self.run_.kv_len, len(self.run_.prompt_ids) + np.arange(STEPS))
        np.testing.assert_array_equal(self.run_.latency_ms, self.file["steps/latency_ms"][:])
        self.assertIn(" tide", self.run_.strings)

    def test_weights_end_at_kv_len(self):
        for dataset in ("prob", "shadow_prob"):
            for step in (0, STEPS - 1, -1):
                weights = getattr(self.run_.layers[7], dataset)(step)
                self.assertEqual(weights.dtype, np.float32)
                expected = self.file[f"layers/07/{dataset}"][step % STEPS]
                np.testing.assert_array_equal(weights, expected[:, : self.run_.kv_len[step]])
                np.testing.assert_allclose(weights.sum(-1), 1, atol=2e-3)

    def test_reuse(self):
        with tidegauge.open(self.cached) as run:
            self.assertEqual(run.layers[20].reused.tolist(), [0] + [1] * (STEPS - 1))
            with self.assertRaises(tidegauge.NotRecorded):
                run.layers[0].reused
            table = run.layers_table()
            self.assertEqual(table[table.layer == 20].reused.tolist(), [0] + [1] * (STEPS - 1))
            self.assertEqual(set(table[table.layer == 0].reused), {-1})

    def test_sets(self):
        layer = self.run_.layers[20]
        self.assertEqual(layer.roles, ["sparse"] * STEPS)
        for step in range(STEPS):
            sets, scores = layer.selected(step), layer.selected_score(step)
            self.assertEqual(len(sets), 9)
            for head in range(9):
                positions = layer.read_by_head(step, head)
                self.assertEqual(len(positions), BUDGET)
                self.assertEqual(positions[0], 0)  # the sink
                np.testing.assert_array_equal(positions, sets[layer.set_of_head[head]])
                # What a head read is where its weights are.
                self.assertLessEqual(set(np.flatnonzero(layer.prob(step)[head])), set(positions))
                self.assertTrue(np.all(np.diff(scores[head][3:]) <= 0))
        self.assertIsNone(self.run_.layers[14].read_by_head(0, 0))  # a select layer reads everything
        self.assertIsNone(self.run_.layers[0].read_by_head(0, 0))
        np.testing.assert_array_equal(layer.rows_read, self.file["layers/20/rows_read"][:])
        np.testing.assert_array_equal(layer.bytes_read, self.file["layers/20/bytes_read"][:])

    def test_padding_of_sets_that_grow_is_left_out(self):
        with tidegauge.open(self.growing) as run, h5py.File(self.growing) as file:
            self.assertEqual(file["layers/20/selected"][0, 0, -1], -1)
            for step, kv_len in enumerate(run.kv_len):
                layer = run.layers[20]
                for positions, scores in zip(layer.selected(step), layer.selected_score(step), strict=True):
                    self.assertEqual(len(positions), kv_len // 5)
                    self.assertEqual(len(scores), kv_len // 5)
                    self.assertGreaterEqual(positions.min(), 0)
                self.assertEqual(len(layer.selected_table(step)), 9 * (kv_len // 5))

    def test_prefill_rows(self):
        positions, weights = self.run_.prefill_prob(4)
        self.assertEqual(list(positions), [0, 1, 5])
        self.assertEqual(weights.shape, (9, 3, len(self.run_.prompt_ids)))
        np.testing.assert_array_equal(positions, self.file["prefill/query_positions"][:])
        np.testing.assert_allclose(weights.sum(-1), 1, atol=2e-3)

    def test_top_maps(self):
        with tidegauge.open(self.tops) as run:
            positions, weights = run.layers[3].top(2)
            self.assertEqual((positions.shape, weights.shape), ((9, 4), (9, 4)))
            self.assertTrue(np.all(np.diff(weights) <= 0))

    def test_what_an_offloaded_run_asked_of_its_disk(self):
        out = self.path.with_name("offloaded.h5")
        try:
            record(out, "--policy", "quest:budget=16", "--maps", "none", "--offload", ".", "--fast-tier", "100%")
        except subprocess.CalledProcessError as error:
            if b"direct I/O" in error.stderr:
                self.skipTest("no direct I/O here")
            raise
        with tidegauge.open(out) as run, h5py.File(out) as file:
            self.assertEqual(set(run.tier), {name.removeprefix("tier_") for name in file["steps"] if "tier_" in name})
            for name, values in run.tier.items():
                np.testing.assert_array_equal(values, file[f"steps/tier_{name}"][:])
            self.assertGreater(run.tier["wanted"].min(), 0)
            steps = run.steps_table()
            np.testing.assert_array_equal(steps["tier_missed"], run.tier["missed"])
        self.assertFalse(self.run_.has_tier)

    def test_tables(self):
        steps = self.run_.steps_table()
        self.assertEqual(list(steps.columns), ["step", "kv_len", "latency_ms", "fed_id", "fed", "generated_id"])
        self.assertEqual(list(steps["fed_id"])[1:], list(steps["generated_id"])[:-1])
        layers = self.run_.layers_table()
        self.assertEqual(len(layers), 30 * STEPS)
        of_20 = layers[layers["layer"] == 20]
        self.assertEqual(set(of_20["role"]), {"sparse"})
        np.testing.assert_allclose(of_20["rows_read"], self.file["layers/20/rows_read"][:].mean(-1))
        chosen = self.run_.layers[2].selected_table(step=-1)
        self.assertEqual(len(chosen), 9 * BUDGET)
        self.assertEqual(set(chosen["step"]), {STEPS - 1})
        one = chosen[chosen["set"] == 4]
        np.testing.assert_array_equal(one["position"], self.file["layers/02/selected"][-1, 4])
        self.assertEqual(list(one["token"]), [self.run_.strings[p] for p in one["position"]])
        self.assertEqual(len(self.run_.layers[2].selected_table()), STEPS * 9 * BUDGET)

    def test_what_is_not_there_is_told(self):
        with tidegauge.open(self.tops) as run:
            with self.assertRaisesRegex(tidegauge.NotRecorded, r"tops\.h5: layer 3 has no shadow_prob"):
                run.layers[3].shadow_prob(0)
            with self.assertRaisesRegex(tidegauge.NotRecorded, "layer 3 has no selected"):
                run.layers[3].selected(0)
            with self.assertRaisesRegex(tidegauge.NotRecorded, "--prefill-rows"):
                run.prefill_prob(3)
            with self.assertRaisesRegex(tidegauge.NotRecorded, "--offload"):
                run.tier
            with self.assertRaisesRegex(IndexError, "step 5 of .*, which has 5"):
                run.layers[3].top(5)

    def test_other_files_are_refused(self):
        other = self.path.with_name("other.h5")
        with h5py.File(other, "w") as file:
            file.attrs["format"] = "something"
        with self.assertRaisesRegex(ValueError, "'format' is 'something'"):
            tidegauge.open(other)
        with h5py.File(other, "w") as file:
            file.attrs.update(format="tidegauge-recording", format_version=7)
        with self.assertRaisesRegex(ValueError, "format_version is 7, expected 1"):
            tidegauge.open(other)
        with self.assertRaises(OSError):
            tidegauge.open(self.path.with_name("absent.h5"))


if __name__ == "__main__":
    unittest.main()
