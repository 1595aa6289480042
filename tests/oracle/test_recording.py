"""Recordings as plain h5py and NumPy see them: schema, values, export and import both ways."""

import csv
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import h5py
import numpy as np

PROBE = os.environ["TIDEGAUGE_PROBE"]
PLACEMENT = "FFS.S."
PROMPT_LEN, STEPS, N_HEADS, N_KV_HEADS, BUDGET, TOP_K = 20, 10, 6, 3, 8, 4
MAX_KV_LEN = PROMPT_LEN + STEPS - 1


def probe(*arguments):
    """Runs the probe; returns (exit code, stdout, stderr)."""
    done = subprocess.run([PROBE, *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def datasets_of(file):
    """path -> dataset, for every dataset of a file."""
    found = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


class RecordingTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def record(self, name="run.h5", **settings):
        path = self.folder / name
        words = [f"{key}={value}" for key, value in {"placement": PLACEMENT, **settings}.items()]
        code, _, error = probe("write", path, *words)
        self.assertEqual((code, error), (0, ""))
        file = h5py.File(path)
        self.addCleanup(file.close)
        return file

    def check_dataset(self, file, path, dtype, shape, labels):
        data = file[path]
        self.assertEqual(data.dtype, np.dtype(dtype), path)
        self.assertEqual(data.shape, shape, path)
        self.assertEqual([axis.label for axis in data.dims], labels, path)

    def check_common(self, file):
        whole = {"format_version": 1, "n_layers": 6, "n_heads": N_HEADS, "n_kv_heads": N_KV_HEADS, "head_dim": 8,
                 "seed": 1, "complete": 1, "committed_steps": STEPS}
        for name, value in whole.items():
            self.assertIsInstance(file.attrs[name], np.integer, name)
            self.assertEqual(file.attrs[name], value, name)
        for name in ("format", "tool_version", "model_name", "model_sha256", "policy", "placement", "config_toml",
                     "created"):
            self.assertIsInstance(file.attrs[name], str, name)
        self.assertEqual(file.attrs["format"], "tidegauge-recording")
        self.assertEqual(file.attrs["placement"], PLACEMENT)
        self.assertRegex(file.attrs["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.check_dataset(file, "tokens/prompt_ids", "<i4", (PROMPT_LEN,), ["position"])
        for name in ("generated_ids", "fed_ids"):
            self.check_dataset(file, f"tokens/{name}", "<i4", (STEPS,), ["step"])
        self.check_dataset(file, "steps/kv_len", "<i8", (STEPS,), ["step"])
        self.check_dataset(file, "steps/latency_ms", "<f4", (STEPS,), ["step"])
        self.check_dataset(file, "steps/logits_hash", "<u8", (STEPS,), ["step"])
        self.assertEqual(file["steps/logits_hash"].attrs["algorithm"], "XXH3-64")
        np.testing.assert_array_equal(file["steps/kv_len"], PROMPT_LEN + np.arange(STEPS))
        self.assertEqual(len(file["layers"]), len(PLACEMENT))
        for path, data in datasets_of(file).items():
            self.assertIsInstance(data.attrs["units"], str, path)
            self.assertGreater(len(data.attrs["description"]), 3, path)

    def check_layer(self, file, layer):
        path = f"layers/{layer:02d}"
        letter = PLACEMENT[layer]
        self.check_dataset(file, f"{path}/role", "u1", (STEPS,), ["step"])
        np.testing.assert_array_equal(file[f"{path}/role"], "FS.EK".index(letter))
        self.check_dataset(file, f"{path}/rows_read", "<i4", (STEPS, N_KV_HEADS), ["step", "kv_head"])
        self.check_dataset(file, f"{path}/bytes_read", "<i8", (STEPS,), ["step"])
        self.assertEqual("selected" in file[path], letter != "F")
        if letter != "F":
            for name, dtype in (("selected", "<i4"), ("selected_score", "<f4")):
                self.check_dataset(file, f"{path}/{name}", dtype, (STEPS, N_HEADS, BUDGET), ["step", "set", "slot"])
            self.check_dataset(file, f"{path}/set_of_head", "<i4", (N_HEADS,), ["head"])

    def check_map(self, file, path):
        self.check_dataset(file, path, "<f2", (STEPS, N_HEADS, MAX_KV_LEN), ["step", "head", "position"])
        prob = file[path][:].astype(np.float64)
        beyond = np.arange(MAX_KV_LEN)[None, None, :] >= file["steps/kv_len"][:][:, None, None]
        self.assertEqual(np.abs(np.where(beyond, prob, 0)).max(), 0)
        np.testing.assert_allclose(prob.sum(-1), 1, atol=2e-3)
        for axis, name in zip(file[path].dims, ("step", "head", "position")):
            np.testing.assert_array_equal(axis[0][:], np.arange(len(axis[0])))
            self.assertEqual(axis[0].name, f"/axes/{name}")

    def test_full_maps(self):
        for deflate in (0, 1):
            with self.subTest(deflate=deflate):
                file = self.record(f"{deflate}.h5", shadow=1, prefill=5, deflate=deflate)
                self.check_common(file)
                for layer in range(len(PLACEMENT)):
                    self.check_layer(file, layer)
                    self.check_map(file, f"layers/{layer:02d}/prob")
                    self.check_map(file, f"layers/{layer:02d}/shadow_prob")
                    self.check_dataset(file, f"prefill/layers/{layer:02d}/prob", "<f2", (N_HEADS, 5, PROMPT_LEN),
                                       ["head", "query_position", "prompt_position"])
                self.assertEqual(file["layers/02/prob"].compression, "gzip" if deflate else None)
                np.testing.assert_array_equal(file["prefill/query_positions"], np.arange(5))
                self.assertEqual(file["prefill/query_positions"].dtype, np.dtype("<i8"))
                rows = file["prefill/layers/03/prob"][:].astype(np.float64)
                np.testing.assert_allclose(rows.sum(-1), 1, atol=2e-3)
                self.assertEqual(np.triu(rows[0], 1).max(), 0)

    def test_top_k_maps(self):
        file = self.record(maps="topk", k=TOP_K)
        full = self.record("full.h5")
        self.check_common(file)
        for layer in range(len(PLACEMENT)):
            self.check_layer(file, layer)
            path = f"layers/{layer:02d}"
            self.assertNotIn("prob", file[path])
            self.check_dataset(file, f"{path}/top_position", "<i4", (STEPS, N_HEADS, TOP_K), ["step", "head", "rank"])
            self.check_dataset(file, f"{path}/top_prob", "<f2", (STEPS, N_HEADS, TOP_K), ["step", "head", "rank"])
            prob = full[f"{path}/prob"][:]
            np.testing.assert_array_equal(np.take_along_axis(prob, file[f"{path}/top_position"][:], -1),
                                          file[f"{path}/top_prob"][:])
            np.testing.assert_array_equal(-np.sort(-prob, axis=-1)[..., :TOP_K], file[f"{path}/top_prob"][:])

    def test_no_maps(self):
        file = self.record(maps="none")
        self.check_common(file)
        for layer in range(len(PLACEMENT)):
            self.check_layer(file, layer)
            self.assertNotIn("prob", file[f"layers/{layer:02d}"])
        self.assertEqual(file.attrs["default"], "steps")

    def test_default_leads_to_data_that_can_be_drawn(self):
        for settings in ({}, {"maps": "topk"}, {"maps": "none"}):
            with self.subTest(**settings):
                group = self.record(f"{len(settings)}{settings.get('maps')}.h5", **settings)
                while "default" in group.attrs:
                    group = group[group.attrs["default"]]
                self.assertEqual(group.attrs["NX_class"], "NXdata")
                signal = group[group.attrs["signal"]]
                self.assertEqual(len(group.attrs["axes"]), signal.ndim)
                for axis, extent in zip(group.attrs["axes"], signal.shape):
                    self.assertEqual(group[axis].shape, (extent,))

    def test_strings(self):
        strings = self.record()["tokens/strings"].asstr()[:]
        self.assertEqual(len(strings), PROMPT_LEN + STEPS)
        self.assertEqual(strings[0], "é")
        self.assertEqual(strings[1], "\N{REPLACEMENT CHARACTER}" * 2)
        self.assertEqual(strings[-1], f" g{STEPS - 1}")

    def test_sets_agree_with_the_weights(self):
        file = self.record(shadow=1)
        kv_len = file["steps/kv_len"][:]
        for layer, letter in enumerate(PLACEMENT):
            if letter == "F":
                continue
            group = file[f"layers/{layer:02d}"]
            selected, score = group["selected"][:], group["selected_score"][:]
            source = max(i for i in range(layer + 1) if PLACEMENT[i] == "S")
            weights = file[f"layers/{source:02d}/shadow_prob"][:]
            for step in range(STEPS):
                for head in range(N_HEADS):
                    chosen, values = selected[step, head], score[step, head]
                    self.assertEqual(list(chosen[:2]), [0, 1])
                    self.assertTrue(np.isnan(values[:2]).all())
                    self.assertTrue((np.diff(values[2:]) <= 0).all())
                    row = weights[step, head, :kv_len[step]].astype(np.float32)
                    np.testing.assert_array_equal(row[chosen[2:]], values[2:].astype(np.float16))
                    rest = np.delete(row, chosen)
                    self.assertLessEqual(rest.max(), values[2:].min() * (1 + 2**-10))
                    if letter == ".":
                        read = np.flatnonzero(group["prob"][step, head])
                        self.assertTrue(set(read) <= set(chosen))

    def test_compressed_equals_uncompressed(self):
        settings = {"prompt": 700, "steps": 97, "shadow": 1, "prefill": 40}
        plain, packed = self.record("a.h5", **settings), self.record("b.h5", deflate=1, **settings)
        paths = datasets_of(plain)
        self.assertEqual(set(paths), set(datasets_of(packed)))
        for path in paths:
            if path == "tokens/strings":
                continue
            self.assertEqual(plain[path][:].tobytes(), packed[path][:].tobytes(), path)
        self.assertLess((self.folder / "b.h5").stat().st_size, 0.8 * (self.folder / "a.h5").stat().st_size)

    def test_export(self):
        file = self.record()
        for path, data in datasets_of(file).items():
            values = data.asstr()[:].astype(str) if data.dtype == object else data[:]
            for ending in ("npy", "npz", "json", "csv"):
                out = self.folder / f"out.{ending}"
                out.unlink(missing_ok=True)
                self.assertEqual(probe("export", file.filename, out, ending, f"/{path}"), (0, "", ""))
                with self.subTest(path=path, ending=ending):
                    getattr(self, f"check_{ending}")(out, path, values)

    def check_npy(self, out, path, values):
        read = np.load(out)
        self.assertEqual(read.dtype, values.dtype)
        np.testing.assert_array_equal(read, values)

    def check_npz(self, out, path, values):
        with np.load(out) as archive:
            self.assertEqual(archive.files, [path])
            np.testing.assert_array_equal(archive[path], values)

    def check_json(self, out, path, values):
        read = json.loads(out.read_text())
        self.assertEqual(read["shape"], list(values.shape))
        back = np.array(read["values"], dtype=values.dtype if values.dtype.kind != "f" else np.float64)
        np.testing.assert_array_equal(back.astype(values.dtype), values)

    def check_csv(self, out, path, values):
        with open(out, newline="", encoding="utf-8") as lines:
            header, *rows = list(csv.reader(lines))
        self.assertEqual(len(header), values.ndim + 1)
        self.assertEqual(len(rows), values.size)
        for row in rows[:: max(1, len(rows) // 50)]:
            value = values[tuple(map(int, row[:-1]))]
            np.testing.assert_array_equal(np.array(row[-1], dtype=str).astype(values.dtype), value)

    def test_export_of_several(self):
        file = self.record()
        out = self.folder / "several.npz"
        paths = ["/layers/02/selected", "/steps/kv_len", "/tokens/strings"]
        self.assertEqual(probe("export", file.filename, out, "npz", *paths)[0], 0)
        with np.load(out) as archive:
            self.assertEqual(archive.files, [path[1:] for path in paths])
            np.testing.assert_array_equal(archive["layers/02/selected"], file["layers/02/selected"])

    def test_import(self):
        random = np.random.default_rng(5)
        steps, heads, positions = 7, 4, 33
        arrays = []
        for _ in range(3):
            weights = random.exponential(size=(steps, heads, positions))
            for step in range(steps):
                weights[step, :, positions - steps + step + 1:] = 0
            arrays.append(weights / weights.sum(-1, keepdims=True))
        for save in (np.savez, np.savez_compressed):
            for dtype in (np.float16, np.float32, np.float64):
                with self.subTest(save=save.__name__, dtype=dtype.__name__):
                    dump, out = self.folder / "dump.npz", self.folder / "imported.h5"
                    save(dump, **{f"layer_{i:02d}": array.astype(dtype) for i, array in enumerate(arrays)})
                    self.assertEqual(probe("import", dump, out), (0, "", ""))
                    self.assertEqual(probe("inspect", out), (0, "sound\n", ""))
                    with h5py.File(out) as file:
                        self.assertEqual(file.attrs["n_layers"], 3)
                        self.assertEqual(file.attrs["policy"], "imported")
                        np.testing.assert_array_equal(file["steps/kv_len"], positions - steps + 1 + np.arange(steps))
                        for i, array in enumerate(arrays):
                            expected = array.astype(dtype).astype(np.float32).astype(np.float16)
                            np.testing.assert_array_equal(file[f"layers/{i:02d}/prob"], expected)

    def test_import_refuses_in_one_line(self):
        dump = self.folder / "dump.npz"
        for name, arrays in {
            "integers": {"layer_00": np.zeros((2, 2, 4), np.int64)},
            "text": {"layer_00": np.array(["a", "b"])},
            "structured": {"layer_00": np.zeros(3, dtype=[("a", "<f4"), ("b", "<f4")])},
            "scores": {"layer_00": np.full((2, 2, 4), 3.0)},
            "other names": {"attention": np.full((2, 2, 4), 0.25)},
            "column-major": {"layer_00": np.asfortranarray(np.full((2, 2, 4), 0.25))},
            "big-endian": {"layer_00": np.full((2, 2, 4), 0.25, dtype=">f4")},
            "no steps": {"layer_00": np.zeros((0, 2, 4))},
        }.items():
            with self.subTest(name):
                np.savez(dump, **arrays)
                code, out, error = probe("import", dump, self.folder / "never.h5")
                self.assertEqual((code, out, error.count("\n")), (2, "", 1), error)
                self.assertIn("dump.npz", error)
                self.assertFalse((self.folder / "never.h5").exists())


if __name__ == "__main__":
    unittest.main()
