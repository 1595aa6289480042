"""The decoder against Hugging Face transformers with the same dequantised weights, eager attention."""

import os
import subprocess
import unittest

import numpy as np
import torch

import hf_llama
from probe import Teacher, probe

N_POSITIONS = 512
CHAT = "<|im_start|>user\nTell me how tides come about.<|im_end|>\n<|im_start|>assistant\n"


def running_text_ids():
    """The first 512 tokens of the King James Bible."""
    text = subprocess.run(["bible", "-f", "gen1:1-gen2:25"], capture_output=True, check=True).stdout
    return [int(i) for i in probe("encode", stdin=text).split()][:N_POSITIONS]


@unittest.skipUnless(os.environ.get("TIDEGAUGE_TEST_MODEL"), "no default model is installed")
class Model(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_grad_enabled(False)
        cls.model = hf_llama.load(os.environ["TIDEGAUGE_TEST_MODEL"])
        cls.ids = running_text_ids()
        assert len(cls.ids) == N_POSITIONS
        out = cls.model(torch.tensor([cls.ids]), output_attentions=True)
        cls.logits = out.logits[0].numpy()
        cls.maps = [layer[0].numpy() for layer in out.attentions]  # by layer: [heads, query, key]
        # Every position by a decode step of its own.
        cls.stepped = Teacher("fp32", cls.ids, prompt_len=1, maps=True)

    @classmethod
    def tearDownClass(cls):
        cls.stepped.close()

    def test_logits_of_every_position(self):
        ours = self.stepped.logits()
        self.assertEqual(ours.shape, self.logits.shape)
        worst = np.abs(ours - self.logits).max()
        print(f"largest difference of a logit: {worst:.2e}")
        self.assertLess(worst, 2e-3)

    def test_logits_after_a_prefill_in_chunks(self):
        with Teacher("fp32", self.ids, prompt_len=400, chunk=96) as prefilled:
            worst = np.abs(prefilled.logits() - self.logits[399:]).max()
        print(f"largest difference of a logit: {worst:.2e}")
        self.assertLess(worst, 2e-3)

    def test_greedy_tokens(self):
        prompt = [int(i) for i in probe("encode", stdin=CHAT.encode()).split()]
        ours = [int(i) for i in probe("greedy", "fp32", "64", stdin=" ".join(map(str, prompt)).encode()).split()]
        self.assertEqual(ours, hf_llama.greedy(self.model, prompt, 64))

    def test_logits_with_bf16_weights_stay_close(self):
        with Teacher("bf16", self.ids, prompt_len=1) as rounded:
            ours = torch.log_softmax(torch.from_numpy(np.array(rounded.logits())), -1)
        exact = torch.log_softmax(torch.from_numpy(self.logits), -1)
        divergence = (exact.exp() * (exact - ours)).sum(-1)
        agreement = (exact.argmax(-1) == ours.argmax(-1)).float().mean()
        print(f"KL mean {divergence.mean():.2e}, largest {divergence.max():.2e}; same top token {agreement:.3f}")
        self.assertLess(divergence.mean(), 5e-3)
        self.assertLess(divergence.max(), 0.2)
        self.assertGreater(agreement, 0.95)
        self.assertGreater(divergence.mean(), 0)  # the rounding must be there to be measured

    def test_attention_of_every_layer_and_head(self):
        n_layers, n_heads = len(self.maps), self.maps[0].shape[0]
        ours = self.stepped.maps(n_layers, n_heads)
        self.assertEqual(ours.shape[0], N_POSITIONS)
        worst = 0.0
        for layer, expected in enumerate(self.maps):
            of_layer = ours[:, layer].swapaxes(0, 1)  # [heads, query, key]
            worst = max(worst, np.abs(of_layer - expected).max())
            np.testing.assert_allclose(of_layer.sum(-1), 1, atol=1e-5)
        print(f"largest difference of a weight: {worst:.2e}")
        self.assertLess(worst, 1e-3)

    def test_prefill_rows(self):
        rows = [0, 1, 95, 96, 200, 384, *range(480, 511)]
        n_layers, n_heads = len(self.maps), self.maps[0].shape[0]
        worst, compared = 0.0, 0
        with Teacher("fp32", self.ids, N_POSITIONS, prefill_rows=rows, chunk=96) as prefilled:
            for layer, here, prob in prefilled.prefill_maps(n_layers, n_heads):
                worst = max(worst, np.abs(prob - self.maps[layer][:, here]).max())
                np.testing.assert_allclose(prob.sum(-1), 1, atol=1e-5)
                compared += len(here)
        self.assertEqual(compared, len(rows) * n_layers)
        print(f"largest difference of a weight: {worst:.2e}")
        self.assertLess(worst, 1e-3)
