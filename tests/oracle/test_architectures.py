"""Every architecture and rotary scaling against transformers, far beyond the context before the scaling."""

import functools
import json
import pathlib
import tempfile
import unittest
import warnings

import numpy as np
import torch

import hf_llama
import tiny_gguf_models
from probe import Teacher, probe
from tiny_hf import SIZES, VOCAB_SIZE, save

CONTEXT = 256          # before a scaling
N_POSITIONS = CONTEXT + 610
PROMPT_LEN = 700
WINDOW = 48
LONG = {"max_position_embeddings": 1024}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": CONTEXT}


def rope(**settings):
    return {"rope_parameters": {"rope_theta": 10000.0, **settings}}


MODELS = {
    "llama": LONG,
    "llama, one KV head": {**LONG, "num_attention_heads": 7, "num_key_value_heads": 1, "hidden_size": 112},
    "llama, groups of three": {**LONG, "num_attention_heads": 15, "num_key_value_heads": 5, "hidden_size": 120,
                               "head_dim": 8},
    "llama, biases": {**LONG, "attention_bias": True},
    "llama, linear": rope(rope_type="linear", factor=4.0),
    "llama, llama3": {**LONG, **rope(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                     original_max_position_embeddings=CONTEXT, rope_theta=500000.0)},
    "llama, yarn": {**LONG, "rope_parameters": YARN},
    "llama, yarn by its factor alone": {"rope_parameters": {**YARN, "rope_theta": 5000.0}},
    "llama, yarn settings": {**LONG, "rope_parameters": {**YARN, "beta_fast": 20.0, "beta_slow": 2.0, "truncate": False,
                                                         "attention_factor": 1.3}},
    "llama, yarn scales": {**LONG, "rope_parameters": {**YARN, "mscale": 0.8, "mscale_all_dim": 0.3}},
    "mistral": {**LONG, "sliding_window": WINDOW},
    "mistral, no window": {**LONG, "sliding_window": None},
    "qwen2": {**LONG, "head_dim": 16, "use_sliding_window": False},
    "qwen2, tied": {**LONG, "head_dim": 16, "tie_word_embeddings": True},
    "qwen2, windows from layer 1 on": {**LONG, "head_dim": 16, "use_sliding_window": True, "sliding_window": WINDOW,
                                       "max_window_layers": 1},
    "qwen2, windows by list": {**LONG, "head_dim": 16, "use_sliding_window": True, "sliding_window": WINDOW,
                               "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    "qwen3": {**LONG, "head_dim": 32},
    "qwen3, yarn, biases, windows": {**LONG, "head_dim": 40, "attention_bias": True, "rope_parameters": YARN,
                                     "use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 2},
}


class Architectures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_grad_enabled(False)
        warnings.simplefilter("ignore")
        cls.root = tempfile.TemporaryDirectory(prefix="tidegauge_architectures_")
        cls.ids = np.random.default_rng(7).integers(0, VOCAB_SIZE, N_POSITIONS).tolist()

    @classmethod
    def tearDownClass(cls):
        cls.root.cleanup()

    @classmethod
    def folder(cls, name):
        return str(pathlib.Path(cls.root.name, name.replace(" ", "_").replace(",", "")))

    @classmethod
    @functools.cache
    def model(cls, name):
        """What transformers reads from the folder that it wrote."""
        return save(cls.folder(name), name.split(",")[0], **MODELS[name])

    def ours(self, name, ids, prompt_len=1, folder=None, **plan):
        return Teacher("fp32", ids, prompt_len, model=folder or self.folder(name), **plan)

    def check(self, ours, theirs, name, limit=1e-3):
        worst = np.abs(ours - theirs).max()
        print(f"{name}: largest difference {worst:.2e}, largest {np.abs(theirs).max():.1f}")
        self.assertEqual(ours.shape, theirs.shape)
        self.assertLess(worst, limit)

    def test_logits_of_every_position(self):
        for name in MODELS:
            with self.subTest(name):
                theirs = self.model(name)(torch.tensor([self.ids])).logits[0].numpy()
                self.assertGreater(theirs.std(), 0.3)  # logits that could be told apart
                with self.ours(name, self.ids) as stepped:
                    self.check(np.array(stepped.logits()), theirs, name)
                with self.ours(name, self.ids, PROMPT_LEN, chunk=96) as prefilled:
                    self.check(np.array(prefilled.logits()), theirs[PROMPT_LEN - 1:], name + ", prefilled")

    def test_attention_of_every_layer_and_head(self):
        ids, rows = self.ids[:200], [0, 1, 47, 48, 100, 150]
        for name in MODELS:
            with self.subTest(name):
                model = self.model(name)
                theirs = [layer[0].numpy() for layer in model(torch.tensor([ids]), output_attentions=True).attentions]
                n_layers, n_heads = len(theirs), theirs[0].shape[0]
                with self.ours(name, ids, maps=True) as stepped:
                    maps = np.array(stepped.maps(n_layers, n_heads)).transpose(1, 2, 0, 3)
                self.check(maps, np.array(theirs), name + ", attention")
                # What a window hides is 0 and nothing else.
                np.testing.assert_array_equal(maps == 0, np.array(theirs) == 0)
                with self.ours(name, ids, 160, prefill_rows=rows, chunk=64) as prefilled:
                    for layer, here, prob in prefilled.prefill_maps(n_layers, n_heads):
                        self.check(prob, theirs[layer][:, here, :160], f"{name}, prompt rows of layer {layer}")

    def test_greedy_tokens(self):
        prompt = self.ids[:60]
        for name in MODELS:
            with self.subTest(name):
                ours = probe("greedy", "fp32", "64", stdin=" ".join(map(str, prompt)).encode(), model=self.folder(name))
                self.assertEqual([int(i) for i in ours.split()], hf_llama.greedy(self.model(name), prompt, 64))

    def test_gguf_files_of_the_same_models(self):
        for name in ("llama, biases", "llama, groups of three", "llama, linear", "llama, llama3", "llama, yarn", "qwen2",
                     "qwen2, tied", "qwen3"):
            with self.subTest(name):
                model, path = self.model(name), self.folder(name) + ".gguf"
                tiny_gguf_models.write(path, self.folder(name), name.split(",")[0], model)
                theirs = model(torch.tensor([self.ids])).logits[0].numpy()
                with self.ours(name, self.ids, PROMPT_LEN, folder=path) as prefilled:
                    self.check(np.array(prefilled.logits()), theirs[PROMPT_LEN - 1:], name + ", GGUF")

    def test_the_older_form_of_rotary_settings(self):
        for name in ("llama, linear", "llama, llama3", "llama, yarn", "llama, yarn settings", "mistral"):
            with self.subTest(name):
                self.model(name)
                with self.ours(name, self.ids[:300], 290) as newer:
                    expected = np.array(newer.logits())
                path = pathlib.Path(self.folder(name), "config.json")
                config = path.read_text()
                self.addCleanup(path.write_text, config)
                older = json.loads(config)
                scaling = older.pop("rope_parameters")
                older["rope_theta"], kind = scaling.pop("rope_theta"), scaling.pop("rope_type")
                older["rope_scaling"] = {"type": kind, **scaling} if scaling else None
                path.write_text(json.dumps(older))
                with self.ours(name, self.ids[:300], 290) as read:
                    np.testing.assert_array_equal(np.array(read.logits()), expected)

    def test_what_is_selected_within_a_window_is_all_of_it_when_the_budget_is(self):
        for name in ("mistral", "qwen2, windows from layer 1 on"):
            with self.subTest(name):
                theirs = self.model(name)(torch.tensor([self.ids[:200]])).logits[0].numpy()
                policy = f"tidal:budget={SIZES['max_position_embeddings']},full=none,select=0,sinks=4,recent=8"
                with self.ours(name, self.ids[:200], 120, policy=policy) as sparse:
                    self.check(np.array(sparse.logits()), theirs[119:], name + ", tidal")


if __name__ == "__main__":
    unittest.main()
