"""bench: what its results hold, and what it refuses."""

import importlib.util
import json
import os
import unittest
import unittest.mock

import tiny_gguf
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
        model = () if "--model" in arguments else ("--model", self.model)
        return tidegauge("bench", what, *model, "--rounds", 3, "--threads", 1, *arguments)

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
        self.assertLessEqual({"commit", "cpus_allowed", "scheduling"}, result["machine"].keys())
        self.assertEqual(len(result["read_gb_per_s"]["samples"]), 4)  # around each of three rounds
        self.assertLessEqual(SPREAD, result["read_gb_per_s"].keys())
        self.assertIn("steal_share", result["quiet"])

    def test_out_holds_what_json_prints(self):
        out = self.folder / "decode.json"
        process = self.bench("decode", "--length", 40, "--steps", 2, "--out", out, "--json")
        self.assert_done(process)
        self.assertEqual(json.loads(out.read_text()), json.loads(process.stdout))

    def test_out_has_a_figure_beside_it(self):
        out = self.folder / "figure.json"
        self.assert_done(self.bench("decode", "--length", 40, "--steps", 2, "--out", out,
                                    "--policy", "full", "--policy", "window:budget=16"))
        figure = out.with_suffix(".svg").read_text()
        for text in ("bench decode", "window:budget=16", "medians of 3 rounds", "a decoded token (ms)"):
            self.assertIn(text, figure)

    def test_command_is_told_without_the_folder_of_the_program(self):
        command = self.result("decode", "--length", 40, "--steps", 2)["command"]
        self.assertEqual(command[:3], ["tidegauge", "bench", "decode"])
        self.assertEqual(command[-5:], ["--length", "40", "--steps", "2", "--json"])

    def test_out_in_a_folder_that_is_not_there_is_refused_before_the_work(self):
        process = self.bench("decode", "--length", 40, "--out", self.folder / "nowhere" / "x.json")
        self.assert_refused(process, "--out", "nowhere", "folder is not there")

    def test_threads_are_pinned_on_request_alone(self):
        arguments = ("decode", "--length", 40, "--steps", 2)
        self.assertEqual(self.result(*arguments)["machine"]["threads_pinned_to"], [])
        self.assertEqual(self.result(*arguments, "--pin", "yes")["machine"]["threads_pinned_to"], [None])
        process = tidegauge("bench", *arguments, "--threads", 4096, "--pin", "yes")
        self.assert_refused(process, "--pin yes: 4096 threads, but")

    def test_out_that_exists_is_replaced_by_force_alone(self):
        out = self.folder / "there.json"
        out.write_text("before")
        arguments = ("decode", "--length", 40, "--steps", 2, "--out", out)
        self.assert_refused(self.bench(*arguments), "there.json exists", "--force")
        self.assertEqual(out.read_text(), "before")
        self.assert_done(self.bench(*arguments, "--force"))
        self.assertEqual(json.loads(out.read_text())["what"], "decode")

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

    def test_says_what_is_resident(self):
        memory = self.result("decode", "--length", 60, "--steps", 3)["memory"]
        self.assertGreater(memory["weights_bytes"], 0)
        # 59 rows of 2 KV heads of 16, bf16, K and V, 5 layers
        self.assertEqual(memory["kv_cache_bytes"], 59 * 2 * 16 * 2 * 2 * 5)
        self.assertEqual(
            memory["beyond_weights_and_cache_bytes"],
            memory["peak_resident_bytes"] - memory["weights_bytes"] - memory["kv_cache_bytes"],
        )

    def test_lengths_past_the_models_positions_are_told_apart(self):
        self.assert_refused(self.bench("decode", "--length", 700), "512 positions", "--latency-only")
        self.assertFalse(self.result("decode", "--length", 60, "--steps", 2, "--latency-only")["latency_only"])
        result = self.result("decode", "--length", 1200, "--steps", 2, "--latency-only")
        self.assertTrue(result["latency_only"])
        self.assertIn("latency means something, the text does not", result["note"])
        (row,) = result["rows"]
        # K and V of all positions, 1201 on average, beside the weights
        cache = row["bytes_derived"] - result["memory"]["weights_bytes"]
        self.assertAlmostEqual(cache / (2 * 16 * 2 * 2 * 5), 1200 + 1.5)

    def check_peer(self, program, *arguments):
        result = self.result("decode", "--steps", 3, "--peer", program, *arguments)
        ours, peer = result["rows"]
        self.assertEqual(peer["program"], program)
        self.assert_rows(result, ["full", peer["name"]])
        self.assert_ratio(ours, peer)
        return result, peer

    @needs("llama_cpp")
    def test_beside_llama_cpp(self):
        for dtype in ("bf16", "fp32"):
            result, peer = self.check_peer("llama.cpp", "--length", 60, "--dtype", dtype)
            self.assertEqual(peer["facts"]["weights"], dtype)
            self.assertTrue(peer["facts"]["flash_attention"])
            self.assertEqual(peer["facts"]["threads"], 1)
        self.assertGreaterEqual(peer["tokens_in_common_with_first_row"], 1)  # fp32: the same text
        _, peer = self.check_peer("llama.cpp", "--length", 1200, "--latency-only")
        self.assertIn("repeated", peer["facts"]["cache_filled_with"])

    @needs("transformers")
    def test_beside_transformers(self):
        model = self.folder / "hf.gguf"
        tiny_gguf.write(model, hidden=96)
        _, peer = self.check_peer("hf", "--model", model, "--length", 60, "--dtype", "fp32", "--kv-dtype", "fp32")
        self.assertIn(peer["facts"]["attention"], ("eager", "sdpa"))
        self.assertEqual(peer["tokens_in_common_with_first_row"], 5)  # all, those of the warm-up too
        _, peer = self.check_peer("hf", "--model", model, "--length", 1200, "--latency-only")
        self.assertIn("repeated", peer["facts"]["cache_filled_with"])

    def test_a_peer_that_a_bench_does_not_have(self):
        self.assert_refused(self.bench("decode", "--peer", "ollama"), "--peer", "ollama")
        self.assert_refused(self.bench("decode", "--peer", "hf", "--peer", "hf"), "--peer hf: given twice")


class Prefill(BenchCase):
    def test_tells_tokens_a_second(self):
        result = self.result("prefill", "--length", 101)
        self.assert_rows(result, ["tidegauge"])
        (row,) = result["rows"]
        self.assertEqual(result["tokens_passed"], 100)  # the last one is decoded
        self.assertAlmostEqual(row["tokens_per_s"]["median"], 1e3 * 100 / row["median_ms"])
        self.assertGreater(row["gflop_per_s_derived"]["median"], 0)

    @needs("llama_cpp")
    def test_beside_llama_cpp_at_its_best_pass(self):
        result = self.result("prefill", "--length", 101, "--peer", "llama.cpp")
        ours, peer = result["rows"]
        self.assert_rows(result, ["tidegauge", peer["name"]])
        self.assert_ratio(ours, peer)
        trial = peer["facts"]["n_ubatch_trial_ms"]
        self.assertEqual(set(trial), {"512", "1024", "2048"})
        self.assertEqual(trial[str(peer["facts"]["n_ubatch"])], min(trial.values()))
        (speedup,) = ours["speedups"]
        self.assertAlmostEqual(speedup["median"], 1 / ours["ratios"][0]["median"])

    @needs("transformers")
    def test_beside_transformers(self):
        model = self.folder / "hf.gguf"
        tiny_gguf.write(model, hidden=96)
        result = self.result("prefill", "--model", model, "--length", 101, "--peer", "hf")
        self.assert_ratio(*result["rows"])

    def test_refuses_what_it_does_not_take(self):
        self.assert_refused(self.bench("prefill", "--policy", "full"), "bench prefill: has no --policy")
        self.assert_refused(self.bench("prefill", "--length", 1), "--length 1", "at least 2")


class Forks(BenchCase):
    def test_compares_batches_with_one_fork(self):
        result = self.result("forks", "--length", 60, "--steps", 3, "--forks", 3, "--forks", 5,
                             "--policy", "full", "--policy", "tidal:budget=16")
        self.assert_rows(result, ["1 fork", "3 forks", "5 forks"])
        one, three, five = result["rows"]
        self.assertNotIn("ratios", one)
        self.assert_ratio(three, one)
        self.assert_ratio(five, one)
        self.assertAlmostEqual(five["tokens_per_s"]["median"], 1e3 * 5 / five["median_ms"])
        self.assertEqual((result["check"]["forks"], result["check"]["steps"]), (5, 4))
        self.assertEqual(len(result["policies"]), 2)

    @needs("llama_cpp")
    def test_beside_llama_cpp_at_the_same_number(self):
        result = self.result("forks", "--length", 60, "--steps", 3, "--forks", 4, "--peer", "llama.cpp")
        one, four, peer_one, peer_four = result["rows"]
        self.assertEqual([row["forks"] for row in result["rows"]], [1, 4, 1, 4])
        self.assert_ratio(one, peer_one)
        self.assert_ratio(four, peer_four)
        self.assert_ratio(peer_four, peer_one)

    def test_refuses_what_it_does_not_have(self):
        self.assert_refused(self.bench("forks", "--peer", "hf"), "bench forks: has no --peer hf")
        self.assert_refused(self.bench("forks", "--forks", 0), "--forks")


class Record(BenchCase):
    KINDS = ("not recorded", "positions and scores", "top-64 maps", "full maps", "full maps, deflate")

    def record(self, *arguments):
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        result = self.result("record", "--length", 100, "--steps", 8, "--scratch", scratch, *arguments)
        self.assertEqual(list(scratch.iterdir()), [])  # nothing is left behind
        return result

    def test_compares_every_kind_with_the_same_policy_unrecorded(self):
        policies = ("full", "tidal:budget=16")
        result = self.record(*[a for p in policies for a in ("--policy", p)])
        self.assert_rows(result, [f"{policy}, {kind}" for policy in policies for kind in self.KINDS])
        for first in (0, 5):
            off, *recorded = result["rows"][first:first + 5]
            self.assertNotIn("ratios", off)
            for row in recorded:
                self.assert_ratio(row, off)
                self.assertEqual(row["ratio_with_closing"]["to"], off["name"])
                self.assertGreater(row["with_closing_ms"]["min"], row["median_step_ms"]["min"])
                self.assertGreater(row["mb_per_s"]["median"], 0)
            positions, _, full, _ = recorded
            self.assertLess(positions["file_bytes"], full["file_bytes"])

    @needs("transformers")
    def test_beside_transformers_writing_with_h5py(self):
        model = self.folder / "hf.gguf"
        tiny_gguf.write(model, hidden=96)
        result = self.record("--model", model, "--policy", "full", "--peer", "hf")
        off, recorded = result["rows"][-2:]
        self.assert_ratio(recorded, off)
        self.assertEqual(recorded["program"], "hf")
        self.assertGreaterEqual(recorded["file_bytes"], 5 * 8 * 6 * 107 * 2)  # layers, steps, heads, positions

    def test_refuses_a_scratch_folder_that_is_not_there(self):
        process = self.bench("record", "--length", 40, "--scratch", self.folder / "nowhere")
        self.assert_refused(process, "--scratch", "nowhere")

    def test_refuses_more_than_the_models_positions(self):
        self.assert_refused(self.bench("record", "--length", 510), "510 tokens and 64 steps", "512")


class Kernels(BenchCase):
    def kernels(self, *arguments):
        return tidegauge("bench", "kernels", "--rounds", 3, "--threads", 1, *arguments)

    def result_of(self, *parts):
        process = self.kernels(*[a for part in parts for a in ("--only", part)], "--json")
        self.assert_done(process)
        return json.loads(process.stdout)

    def test_tells_bytes_against_the_read_bandwidth_and_a_share_of_the_base(self):
        result = self.result_of("full attention, 8192", "gather attention, 64 of 8192 positions, 1 set")
        full, gather = "full attention, 8192 positions", "gather attention, 64 of 8192 positions, 1 set"
        self.assert_rows(result, [full, gather])
        full, gather = result["rows"]
        self.assertEqual(full["bytes_derived"], 2 * 8192 * 3 * 64 * 2)  # K and V, KV heads of 64, bf16
        self.assertEqual(gather["bytes_derived"], 2 * 64 * 3 * 64 * 2)
        self.assert_ratio(gather, full)
        self.assertNotIn("ratios", full)
        self.assertNotIn("model", result)
        bandwidth = result["read_gb_per_s"]["samples"]
        rates = [full["bytes_derived"] / ms / 1e6 for ms in full["rounds_ms"]]
        shares = sorted(2 * rate / (a + b) for rate, a, b in zip(rates, bandwidth, bandwidth[1:]))
        self.assertAlmostEqual(full["share_of_read_bandwidth_derived"]["median"], shares[1])

    def test_tells_operations(self):
        (row,) = self.result_of("product, 576 x 3072")["rows"]
        self.assertEqual(row["operations_derived"], 2 * 512 * 576 * 3072)
        self.assertAlmostEqual(row["gflop_per_s_derived"]["median"], row["operations_derived"] / row["median_ms"] / 1e6)
        self.assertNotIn("gb_per_s_derived", row)

    def test_table_names_every_case(self):
        process = tidegauge("bench", "kernels", "--rounds", 1, "--only", "of a step")
        self.assert_done(process)
        for name in ("products of a step, bf16 weights, 1 row", "products of a step, Q8_0 weights, 64 rows",
                     "RMS norms of a step"):
            self.assertIn(name, process.stdout)

    def test_unknown_case_names_the_nearest(self):
        process = self.kernels("--only", "an empty paralel region")
        self.assert_refused(process, "--only 'an empty paralel region'", "'an empty parallel region'")
        self.assert_refused(self.kernels("--only", "full", "--only", "fool"), "--only 'fool'")

    def test_refuses_what_it_does_not_have(self):
        for option in ("--model", "--length", "--policy", "--dtype"):
            value = {"--dtype": "bf16", "--length": 5}.get(option, "x")
            self.assert_refused(self.kernels(option, value), f"bench kernels: has no {option}")
        self.assert_refused(self.kernels("--peer", "hf"), "bench kernels: has no --peer")
        self.assert_refused(self.bench("decode", "--only", "full"), "bench decode: has no --only")


if __name__ == "__main__":
    unittest.main()
