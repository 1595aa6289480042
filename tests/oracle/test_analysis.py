"""Overlap, recall, mass, persistence, recorded sets and head map: NumPy straight from the HDF5 files
against `tidegauge analyze`. The files are written here, in the layout of contracts section 4."""

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


def tops(maps, k, n_rows, sinks=0, recent=0):
    """[layer][step][row] -> set."""
    return {layer: [[top(row, k, sinks, recent) for row in grouped(prob, n_rows)] for prob in steps]
            for layer, steps in maps.items()}


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


class AnalysisTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        base = Path(cls.folder.name)
        cls.files = [base / "a.h5", base / "b.h5"]
        write_recording(cls.files[0], 1)
        write_recording(cls.files[1], 2, prompt_len=70, steps=7)  # other lengths, other numbers of steps
        cls.maps = [load(path)[0] for path in cls.files]
        cls.n_heads, cls.n_kv_heads, cls.n_layers = 6, 2, 5
        cls.out = base / "out"
        cls.summary = analyze(cls.files, cls.out, "--map-k", "8", "--map-exclude-sinks", "2",
                              "--map-exclude-recent", "5")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def near(self, ours, oracle, what):
        self.assertLessEqual(abs(float(ours) - oracle), TOLERANCE, what)

    def mean_share(self, k, n_rows, i, j, source=lambda row: row, jaccard=False):
        values = []
        for maps in self.maps:
            sets = tops({layer: maps[layer] for layer in (i, j)}, k, n_rows)
            for t in range(len(maps[i])):
                pairs = [(sets[i][t][source(row)], sets[j][t][row]) for row in range(n_rows)]
                values.append(np.mean([len(a & b) / (len(a | b) if jaccard else len(b)) for a, b in pairs]))
        return np.mean(values)

    def test_overlap_and_jaccard_of_heads_groups_and_layers(self):
        rows_of = {"head": self.n_heads, "group": self.n_kv_heads, "layer": 1}
        for k in K_LIST:
            table = rows(self.out / f"overlap_k{k}.csv")
            self.assertEqual(len(table), self.n_layers ** 2)
            for row in table:
                i, j = int(row["layer_i"]), int(row["layer_j"])
                for name, n_rows in rows_of.items():
                    self.near(row[f"overlap_{name}"], self.mean_share(k, n_rows, i, j), (k, i, j, name))
                    self.near(row[f"jaccard_{name}"], self.mean_share(k, n_rows, i, j, jaccard=True), (k, i, j, name))

    def oracle_mass(self, k, src, dst, source_row, row, n_rows=6, sinks=0, recent=0):
        values = []
        for maps in self.maps:
            for a, b in zip(maps[src], maps[dst]):
                chosen = list(top(grouped(a, n_rows)[source_row], k, sinks, recent))
                values.append(grouped(b, n_rows)[row][chosen].sum() / (self.n_heads // n_rows))
        return np.mean(values)

    def check_head_map(self, out, unit, n_rows, k, sinks, recent):
        head_map = json.loads((out / "headmap.json").read_text())
        self.assertEqual((head_map["format"], head_map["version"]), ("tidegauge-headmap", 1))
        self.assertEqual((head_map["unit"], head_map["k"]), (unit, k))
        self.assertEqual(head_map["excluded"], {"sinks": sinks, "recent": recent})
        self.assertEqual(head_map["model_sha256"], "ab" * 32)
        moved = 0
        for src in range(self.n_layers):
            for dst in range(src + 1, self.n_layers):
                for row in range(n_rows):
                    mass = [self.oracle_mass(k, src, dst, s, row, n_rows, sinks, recent) for s in range(n_rows)]
                    best = row if mass[row] >= max(mass) - 1e-12 else int(np.argmax(np.array(mass) >= max(mass) - 1e-12))
                    self.assertEqual(head_map["source_head"][src][dst][row], best, (src, dst, row))
                    self.near(head_map["mass"][src][dst][row], mass[best], (src, dst, row))
                    moved += best != row
        return head_map, moved

    def test_head_map(self):
        _, moved = self.check_head_map(self.out, "query_head", 6, 8, 2, 5)
        self.assertGreater(moved, 20)  # the files' heads are rotated from layer to layer

    def test_recall_and_mass_with_the_same_head_and_mapped(self):
        source = json.loads((self.out / "headmap.json").read_text())["source_head"]
        for name in ("recall", "mass"):
            table = rows(self.out / f"{name}.csv")
            self.assertEqual(len(table), len(K_LIST) * self.n_layers * (self.n_layers - 1) // 2)
            for row in table:
                k, src, dst = (int(row[key]) for key in ("k", "src", "dst"))
                for column, of in (("same_head", lambda h: h), ("mapped", lambda h: source[src][dst][h])):
                    if name == "recall":
                        oracle = self.mean_share(k, self.n_heads, src, dst, of)
                    else:
                        oracle = np.mean([self.oracle_mass(k, src, dst, of(h), h) for h in range(self.n_heads)])
                    self.near(row[column], oracle, (name, k, src, dst, column))

    def test_persistence(self):
        table = {(int(r["k"]), int(r["layer"]), int(r["distance"])): r["persistence"]
                 for r in rows(self.out / "persistence.csv")}
        for k in K_LIST[:2]:  # fewer than any kv_len: sets of equal size
            sets = [tops(maps, k, self.n_heads) for maps in self.maps]
            for layer in range(self.n_layers):
                for d in range(1, 12):
                    values = [np.mean([len(s[layer][t][h] & s[layer][t + d][h]) / k for h in range(self.n_heads)])
                              for s in sets for t in range(len(s[layer]) - d)]
                    self.near(table[k, layer, d], np.mean(values), (k, layer, d))
                self.assertEqual(table[k, layer, 12], "nan")

    def test_summary(self):
        adjacent = np.mean([self.mean_share(8, self.n_heads, i, i + 1) for i in range(self.n_layers - 1)])
        self.assertEqual(self.summary["k"], 8)
        self.near(self.summary["adjacent_overlap"]["head"]["value"], adjacent, "adjacent")
        self.assertEqual(self.summary, json.loads((self.out / "summary.json").read_text()))
        low, high = (self.summary["adjacent_overlap"]["head"][end] for end in ("low", "high"))
        self.assertLessEqual(low, adjacent)
        self.assertLessEqual(adjacent, high)

    def test_map_of_kv_heads_and_excluded_positions(self):
        out = Path(self.folder.name) / "groups"
        analyze(self.files, out, "--unit", "kv_head", "--map-k", "8", "--exclude-sinks", "3", "--exclude-recent", "6")
        head_map, _ = self.check_head_map(out, "kv_head", 2, 8, 4, 16)
        for row in rows(out / "recall.csv"):
            k, src, dst = (int(row[key]) for key in ("k", "src", "dst"))
            values = []
            for maps in self.maps:
                a, b = (tops({0: maps[layer]}, k, 2, 3, 6)[0] for layer in (src, dst))
                values += [np.mean([len(a[t][head_map["source_head"][src][dst][g]] & b[t][g]) / len(b[t][g])
                                    for g in range(2)]) for t in range(len(a))]
            self.near(row["mapped"], np.mean(values), (k, src, dst))

    def test_recorded_sets(self):
        path = Path(self.folder.name) / "sparse.h5"
        write_recording(path, 3, placement="FFS..")
        for exclude_forced in (False, True):
            out = Path(self.folder.name) / f"sparse_{exclude_forced}"
            analyze([path], out, *(["--exclude-forced"] if exclude_forced else []))
            maps, _ = load(path)
            table = rows(out / "set_recall.csv")
            self.assertEqual({(int(r["layer"]), r["role"]) for r in table}, {(2, "S"), (3, "."), (4, ".")})
            with h5py.File(path) as f:
                for row in table:
                    layer, k = int(row["layer"]), int(row["k"])
                    group = f[f"layers/{layer:02d}"]
                    kept = group["selected"][:] >= 0
                    if exclude_forced:
                        kept &= ~np.isnan(group["selected_score"][:])
                    recall, mass, size, own = [], [], [], []
                    for t, prob in enumerate(maps[layer]):
                        for h in range(self.n_heads):
                            g = group["set_of_head"][h]
                            chosen = set(group["selected"][t, g][kept[t, g]].tolist())
                            best = top(prob[h], k)
                            recall.append(len(chosen & best) / len(best))
                            own.append(len(chosen & top(prob[h], len(chosen))) / len(chosen))
                            mass.append(prob[h][list(chosen)].sum())
                            size.append(len(chosen))
                    for column, values in (("recall", recall), ("mass", mass), ("set_size", size),
                                           ("recall_at_set_size", own)):
                        self.near(row[column], np.mean(values), (exclude_forced, layer, k, column))

    def test_bad_input_is_refused_in_one_line(self):
        base = Path(self.folder.name)
        cases = {
            "folder exists": ([self.files[0]], self.out),
            "no such file": ([base / "absent.h5"], base / "x1"),
            "no recording": ([Path(__file__)], base / "x2"),
        }
        for name, (paths, out) in cases.items():
            run = subprocess.run([TIDEGAUGE, "analyze", *map(str, paths), "--out", str(out)],
                                 capture_output=True, text=True)
            self.assertEqual(run.returncode, 2, name)
            self.assertEqual(len(run.stderr.strip().splitlines()), 1, run.stderr)
            self.assertEqual(out.exists(), name == "folder exists")


if __name__ == "__main__":
    unittest.main()
