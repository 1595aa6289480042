"""Every policy's positions and outputs against NumPy, fed the queries and keys of the run itself."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np

import numpy_policies as methods
import tiny_hf

STEPS, PROMPT_LEN = 22, 200


class Run:
    """What policy_probe wrote."""

    def __init__(self, model, policy, ids, prompt_len=PROMPT_LEN, seed=0):
        with tempfile.TemporaryDirectory(prefix="tidegauge_policy_") as name:
            folder = pathlib.Path(name)
            plan = {"ids": ids, "prompt_len": prompt_len, "policy": policy, "seed": seed}
            subprocess.run([os.environ["TIDEGAUGE_PROBE"], model, folder], input=json.dumps(plan).encode(), check=True)
            self.config = json.loads((folder / "config.json").read_text())
            layers, heads, kv_heads, dim = (self.config[key] for key in ("n_layers", "n_heads", "n_kv_heads", "head_dim"))
            self.prompt_len = prompt_len
            self.events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]

            def array(name, *shape):
                return np.fromfile(folder / f"{name}.f32", "<f4").reshape(shape)

            self.query, self.output = (array(name, -1, layers, heads, dim) for name in ("query", "output"))
            self.prompt_query = array("prompt_query", layers, -1, heads, dim)
            positions = -1 if (folder / "k.f32").stat().st_size else 0  # none where rows were dropped
            self.k, self.v = (array(name, layers, kv_heads, positions, dim) for name in ("k", "v"))

    def view(self, event):
        layer, kv_len = event["layer"], event["kv_len"]
        return methods.View(self.query[event["step"], layer], self.k[layer, :, :kv_len], self.v[layer, :, :kv_len],
                            self.prompt_len)


def ids_of(seed, count, vocab_size):
    return np.random.default_rng(seed).integers(3, vocab_size, count).tolist()


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="tidegauge_tiny_")
        cls.addClassCleanup(folder.cleanup)
        # 6 query heads over 2 KV heads, 9 layers.
        tiny_hf.save(folder.name, "llama", num_hidden_layers=9, max_position_embeddings=512)
        ids = ids_of(1, PROMPT_LEN + STEPS - 1, tiny_hf.VOCAB_SIZE)
        smol = ids_of(2, PROMPT_LEN + STEPS - 1, 49000)
        cls.models = {"tiny": (folder.name, ids), "SmolLM2": (os.environ["TIDEGAUGE_TEST_MODEL"], smol)}

    def runs(self, policy, **more):
        return [Run(model, policy, ids, **more) for model, ids in self.models.values()]

    def check_set(self, ours, scores, choice):
        """A set is its forced positions, then the best of the others, falling; near-ties may go either way."""
        forced = len(choice.forced)
        self.assertEqual(ours[:forced], sorted(choice.forced))
        self.assertTrue(all(score is None for score in scores[:forced]))
        chosen = np.array(ours[forced:], dtype=int)
        self.assertEqual(len(chosen), min(choice.count, len(choice.candidates)))
        self.assertEqual(len(set(chosen.tolist())), len(chosen))
        value = dict(zip(choice.candidates.tolist(), choice.values.tolist()))
        values = np.array([value[p] for p in chosen.tolist()])
        tolerance = 1e-4 * (np.abs(choice.values).max() + 1e-9)
        np.testing.assert_allclose(np.array(scores[forced:], dtype=np.float64), values, atol=tolerance)
        self.assertTrue(np.all(np.diff(values) <= 2 * tolerance), "not by falling value")
        left = [v for p, v in value.items() if p not in set(chosen.tolist())]
        if left and len(values):
            self.assertLessEqual(max(left), values.min() + 2 * tolerance)

    def check_output(self, run, event):
        """The output is attention over the positions read and nothing else; the counts are theirs. Every fourth step."""
        if event["step"] % 4 != 0:
            return
        view, read = run.view(event), event["read"]
        everything = list(range(event["kv_len"]))
        if read is None:
            positions = [everything] * view.n_heads
        else:
            positions = [read["positions"][s] for s in read["set_of_head"]]
        np.testing.assert_allclose(run.output[event["step"], event["layer"]], view.output(positions), atol=2e-4, rtol=2e-3)
        for g, rows in enumerate(event["rows_read"]):
            self.assertEqual(rows, len(set().union(*positions[g * view.group : (g + 1) * view.group])))

    def check_reuse(self, policy, choose, exact=False):
        """A method whose choices serve later layers. exact: `choose` gives sets; else choices."""
        for run in self.runs(policy):
            self.assertEqual(len(run.events), STEPS * run.config["n_layers"])
            stored, checked = None, 0
            for event in run.events:
                view, role = run.view(event), event["role"]
                here = event["chosen"] if role == "S" else event["read"] if role == "E" else None
                if here is not None:
                    expected = choose(view)
                    self.assertEqual(len(here["positions"]), len(expected))
                    for ours, scores, wanted in zip(here["positions"], here["scores"], expected):
                        if exact:
                            self.check_union(view, ours, wanted)
                        else:
                            self.check_set(ours, scores, wanted)
                    stored, checked = here, checked + 1
                if role in "FS":
                    self.assertIsNone(event["read"])
                if role == ".":
                    self.assertEqual(event["read"]["positions"], stored["positions"])
                    self.assertEqual(event["read"]["set_of_head"], stored["set_of_head"])
                self.check_output(run, event)
            self.assertGreaterEqual(checked, STEPS)

    def check_union(self, view, ours, wanted):
        """Sets built by rank: a near-tie in one head may move a neighbour in or out."""
        self.assertEqual(len(ours), len(wanted))
        self.assertLessEqual(len(set(ours) ^ set(wanted)), 2)

    def test_tidal(self):
        for sharing in ("head", "group", "all"):
            self.check_reuse(f"tidal:budget=32,select=2+5,sharing={sharing},sinks=2,recent=3",
                             lambda view: methods.tidal(view, "32", sharing, 2, 3))
        self.check_reuse("tidal:budget=10%,select=1", lambda view: methods.tidal(view, "10%"))

    def test_kascade(self):
        self.check_reuse("kascade", methods.kascade)
        self.check_reuse("kascade:budget=24,select=0+3+6", lambda view: methods.kascade(view, "24"))

    def test_omnikv(self):
        self.check_reuse("omnikv:budget=40", lambda view: methods.omnikv(view, "40"))
        self.check_reuse("omnikv:budget=12%,sharing=group", lambda view: methods.omnikv(view, "12%", "group"))

    def test_lessismore(self):
        self.check_reuse("lessismore:budget=64", lambda view: methods.lessismore(view, "64"), exact=True)
        self.check_reuse("lessismore:budget=12,select=2+6", lambda view: methods.lessismore(view, "12"), exact=True)
        self.check_reuse("lessismore:budget=40,sharing=group", lambda view: methods.lessismore(view, "40", "group"), exact=True)

    def check_estimate(self, policy, choose):
        """A method in which every layer chooses for itself."""
        for run in self.runs(policy):
            checked = 0
            for event in run.events:
                if event["role"] == "E":
                    read, choices = event["read"], choose(run.view(event))
                    self.assertEqual(len(read["positions"]), len(choices))
                    for ours, scores, choice in zip(read["positions"], read["scores"], choices):
                        self.check_set(ours, scores, choice)
                    checked += 1
                self.check_output(run, event)
            self.assertGreaterEqual(checked, STEPS)

    def test_quest(self):
        for sharing in ("head", "group"):
            self.check_estimate(f"quest:budget=64,sharing={sharing}", lambda view: methods.quest(view, "64", sharing))
        self.check_estimate("quest:budget=20%,page=8", lambda view: methods.quest(view, "20%", page=8))
        self.check_estimate("quest:budget=8", lambda view: methods.quest(view, "8"))

    def test_quest_as_the_papers_evaluation_counts(self):
        for run in self.runs("quest:budget=32,pages=paper"):
            for event in run.events:
                if event["role"] != "E":
                    continue
                bounds = methods.quest_bounds(run.view(event))
                for ours, of_page in zip(event["read"]["positions"], bounds):
                    pages = {p // 16 for p in ours}
                    self.assertEqual(len(pages), 3)
                    left = np.delete(of_page, list(pages))
                    self.assertLessEqual(left.max(), of_page[list(pages)].min() + 1e-4 * np.abs(of_page).max())
                self.check_output(run, event)

    def check_tokenselect(self, threshold, raw):
        policy = f"tokenselect:budget=42,positions=original,threshold={threshold}" + (",scores=raw" if raw else "")
        for run in self.runs(policy):
            theta = run.config["rope_theta"] if raw else None
            layers = [methods.TokenSelect("42", threshold, theta) for _ in range(run.config["n_layers"])]
            voted, served = {}, 0
            for event in run.events:
                self.check_output(run, event)
                if event["role"] != "E":
                    self.assertEqual(event["origin"], -1)
                    continue
                view, layer = run.view(event), event["layer"]
                hit, wanted = layers[layer].choose(view)
                read = event["read"]
                self.assertEqual(event["origin"], int(hit))
                self.assertEqual(len(read["positions"]), 1)
                key_bytes = view.k.size * 4  # a real selection looks at every key
                self.assertEqual(event["bytes_read"], 2 * sum(event["rows_read"]) * view.k.shape[2] * 4 + (0 if hit else key_bytes))
                if hit:
                    served += 1
                    self.assertEqual(read["positions"][0], wanted + voted[layer])
                else:
                    self.check_set(read["positions"][0], read["scores"][0], wanted)
                    voted[layer] = read["positions"][0][len(wanted.forced):]
            self.assertEqual(served > 0, threshold < 1)

    def test_tokenselect(self):
        for threshold in (0.2, 1.5):  # 1.5: no query is that similar, the cache never serves
            self.check_tokenselect(threshold, raw=False)

    def test_tokenselect_by_products_from_before_the_rotation(self):
        for threshold in (0.5, 1.5):
            self.check_tokenselect(threshold, raw=True)

    def test_oracle(self):
        for sharing in ("head", "group", "all"):
            self.check_estimate(f"oracle:budget=20,sharing={sharing}", lambda view: methods.tidal(view, "20", sharing))

    def test_window_and_random(self):
        for run in self.runs("window:budget=30,sinks=4"):
            for event in run.events:
                if event["role"] == "K":
                    self.assertEqual(event["read"]["positions"], methods.window(run.view(event), "30", 4))
                self.check_output(run, event)
        for run in self.runs("random:budget=25", seed=5):
            for event in run.events:
                self.check_output(run, event)

    def test_placements_are_those_of_the_papers_by_depth(self):
        model, ids = self.models["SmolLM2"]
        expected = {
            "kascade": "S.E.....E...EE................",
            "omnikv": "FFSF....SF.......SF...........",
            "lessismore": "FFS.........S.................",
            "tidal": "FFS.........S.................",
        }
        for policy, letters in expected.items():
            self.assertEqual(Run(model, policy, ids[:20], prompt_len=19).config["placement"], letters, policy)

    def test_a_budget_of_everything_is_full_attention(self):
        full = {name: run for run, name in zip(self.runs("full"), self.models)}
        for policy in ("tidal:budget=400", "kascade:budget=400", "omnikv:budget=400", "lessismore:budget=400",
                       "quest:budget=400"):
            for run, name in zip(self.runs(policy), self.models):
                for event in run.events:
                    if event["read"] is not None:
                        for positions in event["read"]["positions"]:
                            self.assertEqual(sorted(positions), list(range(event["kv_len"])))
                np.testing.assert_allclose(run.output, full[name].output, atol=5e-3)


if __name__ == "__main__":
    unittest.main()
