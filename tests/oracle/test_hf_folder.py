"""Hugging Face folders against transformers, which wrote them: tiny random models of the llama architecture."""

import json
import os
import pathlib
import random
import tempfile
import unittest
import warnings

import numpy as np
import torch

import hf_llama
import tiny_tokenizer
from probe import Teacher, probe
from tiny_hf import VOCAB_SIZE, save

N_POSITIONS = 96

# What each folder is made of, besides the sizes of tiny_hf.
FOLDERS = {
    # 6 query heads of 24 on 2 KV heads; hidden / heads is 16.
    "ragged": {},
    "sharded": {"save": {"max_shard_size": "100KB"}},
    "tied": {"tie_word_embeddings": True},
    "theta": {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}},
    "bf16": {"dtype": torch.bfloat16},
    "f16": {"dtype": torch.float16},
}


class HfFolder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_grad_enabled(False)
        warnings.simplefilter("ignore")
        cls.root = tempfile.TemporaryDirectory(prefix="tidegauge_hf_")
        cls.ids = np.random.default_rng(7).integers(0, VOCAB_SIZE, N_POSITIONS).tolist()
        cls.models = {name: save(cls.folder(name), **settings) for name, settings in FOLDERS.items()}

    @classmethod
    def tearDownClass(cls):
        cls.root.cleanup()

    @classmethod
    def folder(cls, name):
        return os.path.join(cls.root.name, name)

    def ours(self, name, prompt_len=1):
        with Teacher("fp32", self.ids, prompt_len, model=self.folder(name)) as teacher:
            return np.array(teacher.logits())

    def test_folders_are_what_they_should_be(self):
        self.assertGreater(len(list(pathlib.Path(self.folder("sharded")).glob("*.safetensors"))), 3)
        self.assertEqual(json.loads(pathlib.Path(self.folder("bf16"), "config.json").read_text())["dtype"], "bfloat16")

    def test_logits_of_every_position(self):
        for name, model in self.models.items():
            with self.subTest(name):
                theirs = model(torch.tensor([self.ids])).logits[0].numpy()
                worst = np.abs(self.ours(name) - theirs).max()
                print(f"{name}: largest difference of a logit {worst:.2e}, largest logit {np.abs(theirs).max():.1f}")
                self.assertLess(worst, 1e-3)
                self.assertGreater(theirs.std(), 0.3)  # logits that could be told apart

    def test_logits_after_a_prefill(self):
        theirs = self.models["ragged"](torch.tensor([self.ids])).logits[0].numpy()
        worst = np.abs(self.ours("ragged", prompt_len=80) - theirs[79:]).max()
        print(f"largest difference of a logit: {worst:.2e}")
        self.assertLess(worst, 1e-3)

    def test_sharded_is_single_bit_for_bit(self):
        np.testing.assert_array_equal(self.ours("sharded"), self.ours("ragged"))

    def test_greedy_tokens(self):
        for name, model in self.models.items():
            with self.subTest(name):
                prompt = " ".join(map(str, self.ids[:20])).encode()
                ours = probe("greedy", "fp32", "48", stdin=prompt, model=self.folder(name))
                self.assertEqual([int(i) for i in ours.split()], hf_llama.greedy(model, self.ids[:20], 48))

    def test_the_older_form_of_rotary_settings(self):
        folder = pathlib.Path(self.folder("theta"))
        path, now = folder / "config.json", self.ours("theta")
        config = json.loads(path.read_text())
        config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
        path.write_text(json.dumps({**config, "rope_scaling": None}))
        np.testing.assert_array_equal(self.ours("theta"), now)

    def test_text_becomes_the_ids_of_its_tokenizer(self):
        theirs = tiny_tokenizer.load(self.folder("ragged"))
        text = "the others, then 2026!\n<|im_end|>" + random.Random(1).choice("abc")
        ours = probe("encode", stdin=text.encode(), model=self.folder("ragged"))
        self.assertEqual([int(i) for i in ours.split()], theirs.encode(text, add_special_tokens=False).ids)


if __name__ == "__main__":
    unittest.main()
