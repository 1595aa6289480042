"""Prompts that are passed sparsely, against transformers with the same positions read: what each chunk reads is voted
by NumPy from transformers' own queries and keys, and keys and values of every layer must come out the same."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from transformers import AttentionInterface

import hf_llama
import numpy_policies as methods
import test_policies
import tiny_hf

PROMPT_LEN, CHUNK = 240, 64
ATTENTION = "tidegauge_sparse_prefill"


class Pass:
    """What policy_probe wrote of one prompt's pass and the step after it."""

    def __init__(self, model, policy, ids):
        with tempfile.TemporaryDirectory(prefix="tidegauge_prefill_") as name:
            folder = Path(name)
            plan = {"ids": ids, "prompt_len": len(ids), "policy": policy}
            subprocess.run([os.environ["TIDEGAUGE_PROBE"], model, folder], input=json.dumps(plan).encode(), check=True)
            self.config = json.loads((folder / "config.json").read_text())
            layers, kv_heads, dim = (self.config[key] for key in ("n_layers", "n_kv_heads", "head_dim"))
            self.chunks = [json.loads(line) for line in (folder / "chunks.jsonl").read_text().splitlines()]
            self.k, self.v = (np.fromfile(folder / f"{n}.f32", "<f4").reshape(layers, kv_heads, len(ids), dim)[:, :, :-1]
                              for n in "kv")


def rotated(x, positions, theta):
    return methods.unrotated(x, -np.asarray(positions), theta)


class SparsePrefill(unittest.TestCase):
    check_set = test_policies.Policies.check_set

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="tidegauge_tiny_")
        cls.addClassCleanup(folder.cleanup)
        tiny = tiny_hf.save(folder.name, "llama", num_hidden_layers=4, max_position_embeddings=512)
        smol = os.environ["TIDEGAUGE_TEST_MODEL"]
        # Spread so that softmax votes are far from uniform, as text's are.
        cls.models = {"tiny": (folder.name, tiny, tiny_hf.VOCAB_SIZE), "SmolLM2": (smol, hf_llama.load(smol), 49000)}

    def attend(self, run, layer, query, key, value, spec):
        """[heads, positions, dim]: what the layer's attention gives when chunks read what the run's did, after a look
        that it is what their mean queries vote for."""
        heads, total, dim = query.shape
        if layer + 1 == run.config["n_layers"]:  # nothing goes by its output, and nothing is read for it
            self.assertFalse(any(chunk["layer"] == layer for chunk in run.chunks))
            return np.zeros((heads, total, dim))
        group, out = heads // key.shape[0], np.zeros((heads, total, dim))
        theta, dense = run.config["rope_theta"], run.config["placement"][layer] != "E"
        reads = {c["begin"]: c["read"] for c in run.chunks if c["layer"] == layer}
        for begin in range(0, total, CHUNK):
            end = min(begin + CHUNK, total)
            read = reads.get(begin)
            self.assertEqual(read is None, dense or begin <= spec["budget"])
            if read is None:
                positions = np.arange(begin)
            else:
                self.check_vote(layer, begin, query[:, begin:end], key[:, :begin], read, theta, spec)
                positions = np.sort(read["positions"][0])
            keys = key[:, positions]
            if read is not None and spec["contiguous"]:
                keys = rotated(methods.unrotated(keys, positions, theta), np.arange(begin - len(positions), begin), theta)
            for head in range(heads):
                g = head // group
                k = np.concatenate([keys[g], key[g, begin:end]])
                v = np.concatenate([value[g, positions], value[g, begin:end]])
                logits = query[head, begin:end] @ k.T / np.sqrt(dim)
                causal = np.arange(len(k))[None] - len(positions) <= np.arange(end - begin)[:, None]
                out[head, begin:end] = methods.softmax(np.where(causal, logits, -np.inf)) @ v
        return out

    def check_vote(self, layer, begin, query, key, read, theta, spec):
        if spec["raw"]:
            query = methods.unrotated(query, np.arange(begin, begin + query.shape[1]), theta)
            key = methods.unrotated(key, np.arange(begin), theta)
        logits = methods.View(query.mean(1), key, key, 0).logits()
        votes = methods.softmax(logits * np.sqrt(key.shape[2]) if spec["raw"] else logits).sum(0)
        first, last = spec["budget"] * 128 // 2688, spec["budget"] * 512 // 2688
        middle = np.arange(first, begin - last)
        forced = [*range(first), *range(begin - last, begin)]
        self.assertEqual(len(read["positions"]), 1)
        self.check_set(read["positions"][0], read["scores"][0],
                       methods.Choice(forced, middle, votes[middle], spec["budget"] - len(forced)))

    def check(self, name, budget, contiguous, raw):
        path, model, vocab_size = self.models[name]
        ids = test_policies.ids_of(7, PROMPT_LEN, vocab_size)
        spec = {"budget": budget, "contiguous": contiguous, "raw": raw}
        positions, scores = "contiguous" if contiguous else "original", "raw" if raw else "rotated"
        run = Pass(path, f"tokenselect:prefill=sparse,chunk={CHUNK},budget={budget},positions={positions},scores={scores}", ids)
        seen = {}

        def attention(module, query, key, value, *_, **__):
            q, k, v = (x[0].double().numpy() for x in (query, key, value))
            seen[module.layer_idx] = k, v
            out = self.attend(run, module.layer_idx, q, k, v, spec)
            return torch.from_numpy(out).to(query.dtype).transpose(0, 1)[None], None

        AttentionInterface.register(ATTENTION, attention)
        model.config._attn_implementation = ATTENTION
        with torch.no_grad():
            model(torch.tensor([ids[:-1]]), use_cache=False)
        self.assertEqual(len(seen), run.config["n_layers"])
        for layer, (k, v) in seen.items():
            np.testing.assert_allclose(run.k[layer], k, atol=2e-3, rtol=2e-3, err_msg=f"{name}, layer {layer}, keys")
            np.testing.assert_allclose(run.v[layer], v, atol=2e-3, rtol=2e-3, err_msg=f"{name}, layer {layer}, values")
        return run

    def test_tiny(self):
        for contiguous in (True, False):
            for raw in (False, True):
                self.check("tiny", 42, contiguous, raw)

    def test_default_model(self):
        self.check("SmolLM2", 64, contiguous=True, raw=False)

    def test_a_budget_of_everything_is_the_dense_pass(self):
        path, _, vocab_size = self.models["tiny"]
        ids = test_policies.ids_of(7, PROMPT_LEN, vocab_size)
        dense = Pass(path, "tokenselect:budget=400", ids)
        sparse = Pass(path, f"tokenselect:budget=400,prefill=sparse,chunk={CHUNK}", ids)
        self.assertTrue(sparse.chunks and all(chunk["read"] is None for chunk in sparse.chunks))
        self.assertEqual(dense.chunks, [])
        np.testing.assert_allclose(sparse.k, dense.k, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(sparse.v, dense.v, atol=1e-4, rtol=1e-4)


if __name__ == "__main__":
    unittest.main()
