"""Overlap, recall, mass, persistence, recorded sets and head map: NumPy straight from the HDF5 files
against `tidegauge analyze`. Files come from h5py, in the layout that the README documents, and from
`tidegauge record`."""

import csv
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

TIDEGAUGE = os.environ["TIDEGAUGE_PROBE"]
K_LIST = [3, 8, 21, 64]
TOLERANCE = 1e-6
MAP_OPTIONS = ["--map-k", "8", "--map-exclude-sinks", "2", "--map-exclude-recent", "5"]


def write_recording(path, seed, placement="FFFFF", prompt_len=40, steps=12, n_heads=6, n_kv_heads=2, budget=10,
                    layers=None):
    """A recording with plain h5py. Under a sparse placement the full maps stand in shadow_prob."""
    rng = np.random.default_rng(seed)
    n_layers, sparse = len(placement), "." in placement
    kv_len = prompt_len + np.arange(steps)
    widest = kv_len[-1]
    with h5py.File(path, "w") as f:
        f.attrs.update({
            "format": "tidegauge-recording", "format_version": 1, "tool_version": "0", "model_name": "oracle",
            "model_sha256": "ab" * 32, "n_layers": n_layers, "n_heads": n_heads, "n_kv_heads": n_kv_heads,
            "head_dim": 8, "policy": "tidal:budget=10" if sparse else "full", "placement": placement,
            "config_toml": "", "seed": np.uint64(seed), "created": "2026-01-01T00:00:00Z", "complete": 1,
            "committed_steps": steps})
        f["tokens/prompt_ids"] = np.arange(prompt_len, dtype=np.int32)
        f["tokens/generated_ids"] = np.arange(steps, dtype=np.int32)
        f["tokens/fed_ids"] = np.arange(steps, dtype=np.int32)
        f["tokens/strings"] = np.array([f"t{i}" for i in range(prompt_len + steps)], dtype=h5py.string_dtype())
        f["steps/kv_len"] = kv_len.astype(np.int64)
        f["steps/latency_ms"] = np.ones(steps, np.float32)
        f["steps/logits_hash"] = np.arange(steps, dtype=np.uint64)
        for layer in range(n_layers) if layers is None else layers:
            prob = np.zeros((steps, n_heads, widest), np.float16)
            shared = np.random.default_rng(1000 + seed).normal(size=(n_heads, widest)) * 2
            for t, length in enumerate(kv_len):
                # Heads of odd layers look where the next head of even layers does: a map worth finding.
                score = np.roll(shared, layer % 2, axis=0)[:, :length] + rng.normal(size=(n_heads, length))
                weight = np.exp(score)
                weight[:, 0] += weight.sum(axis=1)  # a sink
                prob[t, :, :length] = weight / weight.sum(axis=1, keepdims=True)
            group = f.create_group(f"layers/{layer:02d}")
            group["role"] = np.full(steps, "FS.EK".index(placement[layer]), np.uint8)
            group["shadow_prob" if sparse else "prob"] = prob
            if placement[layer] in "S.":
                sets = np.stack([[rng.choice(n, budget, replace=False) for _ in range(n_kv_heads)] for n in kv_len])
                score = rng.random(sets.shape).astype(np.float32)
                score[:, :, :2] = np.nan  # two forced positions
                sets[:, :, -1] = np.where(rng.random(sets.shape[:2]) < 0.5, -1, sets[:, :, -1])  # ragged
                group["selected"] = sets.astype(np.int32)
                group["selected_score"] = score
                group["set_of_head"] = (np.arange(n_heads) // (n_heads // n_kv_heads)).astype(np.int32)
            group["rows_read"] = np.ones((steps, n_kv_heads), np.int32)
            group["bytes_read"] = np.ones(steps, np.int64)


def load(path):
    """[layer][step] -> [n_heads, kv_len] in double."""
    with h5py.File(path) as f:
        kv_len, maps = f["steps/kv_len"][:], {}
        for name, group in f["layers"].items():
            data = group["shadow_prob" if "shadow_prob" in group else "prob"][:].astype(np.float64)
            maps[int(name)] = [data[t, :, :n] for t, n in enumerate(kv_len)]
        return maps, dict(f.attrs)


def grouped(prob, n_rows):
    return prob.reshape(n_rows, -1, prob.shape[1]).sum(axis=1)


def top(row, k, sinks=0, recent=0):
    """The k positions of the highest value among the eligible ones, the smaller position first in ties."""
    eligible = np.arange(sinks, max(sinks, len(row) - recent))
    order = np.lexsort((eligible, -row[eligible]))
    return set(eligible[order[:k]].tolist())


def analyze(paths, out, *options):
    command = [TIDEGAUGE, "analyze", *map(str, paths), "--out", str(out), "--json", "--k",
               ",".join(map(str, K_LIST)), "--no-figures", *options]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise AssertionError(f"{' '.join(command)}: exit {run.returncode}: {run.stderr}")
    return json.loads(run.stdout)


def rows(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


class Checks:
    """What holds of any analysis: `files`, its `out` folder and `summary`, made with MAP_OPTIONS."""

    def prepare(self):
        loaded = [load(path) for path in self.files]
        attrs = loaded[0][1]
        self.maps = [maps for maps, _ in loaded]
        self.n_layers, self.n_heads, self.n_kv_heads = (int(attrs[f"n_{x}"]) for x in ("layers", "heads", "kv_heads"))
        self.sha256 = attrs["model_sha256"]
        self.cache = {}

    def near(self, ours, oracle, what):
        self.assertLessEqual(abs(float(ours) - oracle), TOLERANCE, what)

    def tops(self, k, n_rows, excluded=(0, 0)):
        """By recording: [layer][step][row] -> set."""
        key = (k, n_rows, excluded)
        if key not in self.cache:
            self.cache[key] = [{layer: [[top(row, k, *excluded) for row in grouped(prob, n_rows)] for prob in steps]
                                for layer, steps in maps.items()} for maps in self.maps]
        return self.cache[key]

    def mean_share(self, k, n_rows, i, j, source=lambda row: row, jaccard=False, excluded=(0, 0)):
        values = []
        for sets in self.tops(k, n_rows, excluded):
            for a, b in zip(sets[i], sets[j]):
                values.append(np.mean([len(a[source(row)] & b[row]) /
                                       (len(a[source(row)] | b[row]) if jaccard else len(b[row]))
                                       for row in range(n_rows)]))
        return np.mean(values)

    def mean_mass(self, k, src, dst, source_row, row, n_rows, excluded=(0, 0)):
        values, heads = [], self.n_heads // n_rows
        for maps, sets in zip(self.maps, self.tops(k, n_rows, excluded)):
            for t, prob in enumerate(maps[dst]):
                chosen = list(sets[src][t][source_row])
                values.append(prob[row * heads:(row + 1) * heads, chosen].sum() / heads)
        return np.mean(values)

    def check_overlap(self, k_list):
        rows_of = {"head": self.n_heads, "group": self.n_kv_heads, "layer": 1}
        for k in k_list:
            table = rows(self.out / f"overlap_k{k}.csv")
            self.assertEqual(len(table), self.n_layers ** 2)
            for row in table:
                i, j = int(row["layer_i"]), int(row["layer_j"])
                for name, n_rows in rows_of.items():
                    self.near(row[f"overlap_{name}"], self.mean_share(k, n_rows, i, j), (k, i, j, name))
                    self.near(row[f"jaccard_{name}"], self.mean_share(k, n_rows, i, j, jaccard=True), (k, i, j, name))

    def check_head_map(self, out, unit, n_rows, k, excluded):
        head_map = json.loads((out / "headmap.json").read_text())
        self.assertEqual((head_map["format"], head_map["version"]), ("tidegauge-headmap", 1))
        self.assertEqual((head_map["unit"], head_map["k"]), (unit, k))
        self.assertEqual(head_map["excluded"], {"sinks": excluded[0], "recent": excluded[1]})
        self.assertEqual(head_map["model_sha256"], self.sha256)
        moved = 0
        for src in range(self.n_layers):
            for dst in range(src + 1, self.n_layers):
                for row in range(n_rows):
                    mass = np.array([self.mean_mass(k, src, dst, s, row, n_rows, excluded) for s in range(n_rows)])
                    tied = mass >= mass.max() - 1e-12
                    best = row if tied[row] else int(np.argmax(tied))
                    self.assertEqual(head_map["source_head"][src][dst][row], best, (src, dst, row))
                    self.near(head_map["mass"][src][dst][row], mass[best], (src, dst, row))
                    moved += best != row
        return head_map["source_head"], moved

    def check_recall_and_mass(self, k_list):
        source = json.loads((self.out / "headmap.json").read_text())["source_head"]
        for name in ("recall", "mass"):
            table = [row for row in rows(self.out / f"{name}.csv") if int(row["k"]) in k_list]
            self.assertEqual(len(table), len(k_list) * self.n_layers * (self.n_layers - 1) // 2)
            for row in table:
                k, src, dst = (int(row[key]) for key in ("k", "src", "dst"))
                for column, of in (("same_head", lambda h: h), ("mapped", lambda h: source[src][dst][h])):
                    if name == "recall":
                        oracle = self.mean_share(k, self.n_heads, src, dst, of)
                    else:
                        oracle = np.mean([self.mean_mass(k, src, dst, of(h), h, self.n_heads)
                                          for h in range(self.n_heads)])
                    self.near(row[column], oracle, (name, k, src, dst, column))

    def check_persistence(self, k_list, longest):
        """For k below every kv_len: sets of equal size."""
        table = {(int(r["k"]), int(r["layer"]), int(r["distance"])): r["persistence"]
                 for r in rows(self.out / "persistence.csv")}
        for k in k_list:
            for layer in range(self.n_layers):
                for d in range(1, longest):
                    values = [np.mean([len(s[layer][t][h] & s[layer][t + d][h]) / k for h in range(self.n_heads)])
                              for s in self.tops(k, self.n_heads) for t in range(len(s[layer]) - d)]
                    self.near(table[k, layer, d], np.mean(values), (k, layer, d))
                self.assertEqual(table[k, layer, longest], "nan")

    def check_recorded_sets(self, path, out, exclude_forced):
        maps, _ = load(path)
        table = rows(out / "set_recall.csv")
        with h5py.File(path) as f:
            for row in table:
                layer, k = int(row["layer"]), int(row["k"])
                group = f[f"layers/{layer:02d}"]
                selected, set_of_head = group["selected"][:], group["set_of_head"][:]
                kept = selected >= 0
                if exclude_forced:
                    kept &= ~np.isnan(group["selected_score"][:])
                found = {"recall": [], "mass": [], "set_size": [], "recall_at_set_size": []}
                for t, prob in enumerate(maps[layer]):
                    for h, g in enumerate(set_of_head):
                        chosen = set(selected[t, g][kept[t, g]].tolist())
                        best = top(prob[h], k)
                        found["recall"].append(len(chosen & best) / len(best))
                        found["recall_at_set_size"].append(len(chosen & top(prob[h], len(chosen))) / len(chosen))
                        found["mass"].append(prob[h][list(chosen)].sum())
                        found["set_size"].append(len(chosen))
                for column, values in found.items():
                    self.near(row[column], np.mean(values), (exclude_forced, layer, k, column))
        return {(int(row["layer"]), row["role"]) for row in table}


class WrittenFilesTest(Checks, unittest.TestCase):
    """Two recordings of other lengths and numbers of steps, written with h5py."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.base = Path(cls.folder.name)
        cls.files = [cls.base / "a.h5", cls.base / "b.h5"]
        write_recording(cls.files[0], 1)
        write_recording(cls.files[1], 2, prompt_len=70, steps=7)
        cls.out = cls.base / "out"
        cls.summary = analyze(cls.files, cls.out, *MAP_OPTIONS)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.prepare()

    def test_overlap_and_jaccard_of_heads_groups_and_layers(self):
        self.check_overlap(K_LIST)

    def test_head_map(self):
        _, moved = self.check_head_map(self.out, "query_head", 6, 8, (2, 5))
        self.assertGreater(moved, 20)  # the files' heads are rotated from layer to layer

    def test_recall_and_mass_with_the_same_head_and_mapped(self):
        self.check_recall_and_mass(K_LIST)

    def test_persistence(self):
        self.check_persistence(K_LIST[:3], 12)

    def test_summary(self):
        adjacent = np.mean([self.mean_share(8, self.n_heads, i, i + 1) for i in range(self.n_layers - 1)])
        self.assertEqual(self.summary["k"], 8)
        self.near(self.summary["adjacent_overlap"]["head"]["value"], adjacent, "adjacent")
        self.assertEqual(self.summary, json.loads((self.out / "summary.json").read_text()))
        low, high = (self.summary["adjacent_overlap"]["head"][end] for end in ("low", "high"))
        self.assertLessEqual(low, adjacent)
        self.assertLessEqual(adjacent, high)

    def test_map_of_kv_heads_and_excluded_positions(self):
        out = self.base / "groups"
        analyze(self.files, out, "--unit", "kv_head", "--map-k", "8", "--exclude-sinks", "3", "--exclude-recent", "6")
        source, _ = self.check_head_map(out, "kv_head", 2, 8, (4, 16))
        for row in rows(out / "recall.csv"):
            k, src, dst = (int(row[key]) for key in ("k", "src", "dst"))
            oracle = self.mean_share(k, 2, src, dst, lambda g: source[src][dst][g], excluded=(3, 6))
            self.near(row["mapped"], oracle, (k, src, dst))

    def test_reuse_of_sets_from_step_to_step(self):
        path, other = self.base / "cached.h5", self.base / "cached2.h5"
        told = {3: [-1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1], 4: [0] * 12}
        for file, seed in ((path, 6), (other, 7)):
            write_recording(file, seed, placement="FFS..")
            with h5py.File(file, "a") as f:
                for layer, values in told.items():
                    f[f"layers/{layer:02d}/reused"] = np.array(values, np.int8)
        analyze([path, other], self.base / "cached")
        table = {(row["policy"], int(row["layer"])): row for row in rows(self.base / "cached" / "reuse.csv")}
        self.assertEqual(set(table), {("tidal:budget=10", 3), ("tidal:budget=10", 4)})
        self.assertEqual([int(table["tidal:budget=10", layer]["steps"]) for layer in (3, 4)], [22, 24])
        self.near(table["tidal:budget=10", 3]["reuse_rate"], 8 / 11, "reuse")
        self.near(table["tidal:budget=10", 4]["reuse_rate"], 0, "no reuse")
        self.assertFalse((self.out / "reuse.csv").exists())  # of recordings without such sets

    def test_evidence_that_sets_hold(self):
        """Two prompts, each with a full and a sparse run, which part after a few tokens; the weights are the full
        run's."""
        evidence, parts, files = [5, 17, 18, 31], {1: 12, 2: 4}, []
        expected = {}  # (policy, layer, head) -> [held, mass, mass held] of each step
        for seed, common in parts.items():
            full, sparse = self.base / f"evidence_full{seed}.h5", self.base / f"evidence_sparse{seed}.h5"
            write_recording(full, seed, prompt_len=40 + seed)
            write_recording(sparse, seed + 10, placement="FFS..", prompt_len=40 + seed, budget=20)
            files += [sparse, full]
            maps, _ = load(full)
            for path in (full, sparse):
                with h5py.File(path, "a") as f:
                    f["tokens/evidence"] = np.array(evidence, np.int32)
                    if path == sparse:
                        f["tokens/fed_ids"][common:] = -7
                    for layer, t, h in ((a, b, c) for a in maps for b in range(12) for c in range(6)):
                        if path == sparse and t >= common:
                            continue
                        kept = evidence
                        if path == sparse and layer > 2:
                            group = f[f"layers/{layer:02d}"]
                            kept = [x for x in evidence if x in group["selected"][t, group["set_of_head"][h]]]
                        weight = maps[layer][t][h]
                        key = "full" if path == full else "tidal:budget=10", layer, h
                        expected.setdefault(key, []).append(
                            [len(kept) / 4, weight[evidence].sum(), weight[kept].sum()])
        out = self.base / "evidence"
        summary = analyze(files, out)
        table = rows(out / "evidence.csv")
        self.assertEqual(len(table), 2 * 5 * 6)
        for row in table:
            key = row["policy"], int(row["layer"]), int(row["head"])
            for column, value in zip(("held", "mass", "mass_held"), np.mean(expected[key], axis=0)):
                self.near(row[column], value, (key, column))
        told = {entry["policy"]: entry for entry in summary["evidence"]}
        self.assertEqual({policy: entry["steps"] for policy, entry in told.items()},
                         {"full": 24, "tidal:budget=10": 16})
        means = {key: np.mean(values, axis=0) for key, values in expected.items()}
        held, mass = (sum(m[i] for key, m in means.items() if key[0] != "full") for i in (2, 1))
        self.near(told["tidal:budget=10"]["mass_held"], held / mass, "share")
        self.assertIn("tidal:budget=10 reads", " ".join(summary["findings"]))
        self.assertFalse((self.out / "evidence.csv").exists())  # of recordings that know none

    def test_evidence_of_a_sparse_run_alone(self):
        path = self.base / "alone.h5"
        write_recording(path, 3, placement="FFS..")  # its own shadow maps are the weights
        maps, _ = load(path)
        with h5py.File(path, "a") as f:
            f["tokens/evidence"] = np.array([2, 30], np.int32)
        analyze([path], self.base / "alone")
        for row in rows(self.base / "alone" / "evidence.csv"):
            layer, head = int(row["layer"]), int(row["head"])
            self.near(row["mass"], np.mean([prob[head][[2, 30]].sum() for prob in maps[layer]]), (layer, head))

    def test_recorded_sets(self):
        path = self.base / "sparse.h5"
        write_recording(path, 3, placement="FFS..")
        for exclude_forced in (False, True):
            out = self.base / f"sparse_{exclude_forced}"
            analyze([path], out, *(["--exclude-forced"] if exclude_forced else []))
            layers = self.check_recorded_sets(path, out, exclude_forced)
            self.assertEqual(layers, {(2, "S"), (3, "."), (4, ".")})

    def test_bad_input_is_refused_in_one_line(self):
        incomplete, other = self.base / "incomplete.h5", self.base / "other.h5"
        write_recording(incomplete, 4)
        with h5py.File(incomplete, "a") as f:
            f.attrs["complete"] = 0
        write_recording(other, 5, n_heads=4)
        cases = {
            "folder exists": ([self.files[0]], self.out),
            "no such file": ([self.base / "absent.h5"], self.base / "x1"),
            "no recording": ([Path(__file__)], self.base / "x2"),
            "incomplete": ([incomplete], self.base / "x3"),
            "two models": ([self.files[0], other], self.base / "x4"),
            "named twice": ([self.files[0], self.files[0]], self.base / "x5"),
        }
        for name, (paths, out) in cases.items():
            run = subprocess.run([TIDEGAUGE, "analyze", *map(str, paths), "--out", str(out)],
                                 capture_output=True, text=True)
            self.assertEqual(run.returncode, 2, name)
            self.assertEqual(len(run.stderr.strip().splitlines()), 1, run.stderr)
            self.assertEqual(out.exists(), name == "folder exists")
        analyze([incomplete], self.base / "x6", "--allow-incomplete")
        analyze([self.files[0]], self.base / "again")
        analyze([self.files[1]], self.base / "again", "--force")


class RecordedFilesTest(Checks, unittest.TestCase):
    """A real model's recordings, made by `tidegauge record`."""

    PROMPT = "In the beginning God created the heaven and the earth. And the earth was without form, and void. " * 4

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.base = Path(cls.folder.name)
        cls.files = [cls.record("full.h5", "--policy", "full")]
        cls.sparse = cls.record("sparse.h5", "--policy", "tidal:budget=21,select=2+14,sinks=2", "--shadow")
        cls.out = cls.base / "out"
        cls.summary = analyze([*cls.files, cls.sparse], cls.out, *MAP_OPTIONS)

    @classmethod
    def record(cls, name, *options):
        path = cls.base / name
        subprocess.run([TIDEGAUGE, "record", "--model", os.environ["TIDEGAUGE_TEST_MODEL"], "--raw", "--prompt",
                        cls.PROMPT, "--steps", "4", "--ignore-eos", "--out", str(path), *options],
                       check=True, capture_output=True)
        return path

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.prepare()

    def test_overlap(self):
        self.check_overlap([21])

    def test_head_map_recall_and_mass(self):
        _, moved = self.check_head_map(self.out, "query_head", self.n_heads, 8, (2, 5))
        self.assertGreater(moved, 100)
        self.check_recall_and_mass([8])

    def test_persistence(self):
        self.check_persistence([21], 4)

    def test_recorded_sets(self):
        layers = self.check_recorded_sets(self.sparse, self.out, False)
        self.assertEqual({layer for layer, _ in layers}, set(range(2, self.n_layers)))
        self.assertEqual({layer for layer, role in layers if role == "S"}, {2, 14})


if __name__ == "__main__":
    unittest.main()
