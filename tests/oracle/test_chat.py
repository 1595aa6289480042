"""Chat templates against transformers' apply_chat_template, which runs them."""

import json
import pathlib
import tempfile
import unittest

from transformers import PreTrainedTokenizerFast

import tiny_tokenizer
from chat_templates import MISTRAL_PLAIN, TEMPLATES
from test_tokenizer import Probe

VOCAB_SIZE = 420
NAMES = ["<s>", "</s>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "[INST]", "[/INST]"]
TURNS = [("user", "  What is 12 + 7? "), ("assistant", "<think>\nEasy.\n</think>\n\nIt's 19.\n"),
         ("user", "Ünïcode <|eot_id|> \n\n\u2003ok?\u00a0\n"), ("assistant", " Yes \n"), ("user", "\tthe tides\n")]
ANSWERED = TURNS[:2] + [("user", "Why?"), ("assistant", "<think>so</think>\nBecause.")]


class Chat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.TemporaryDirectory(prefix="tidegauge_chat_")
        cls.folder = pathlib.Path(cls.root.name)
        tokenizer = tiny_tokenizer.make(size=VOCAB_SIZE - len(NAMES))
        tokenizer.add_special_tokens(NAMES)
        tokenizer.save(str(cls.folder / "tokenizer.json"))
        ids = {"bos_token_id": tokenizer.token_to_id("<s>"), "eos_token_id": tokenizer.token_to_id("</s>")}
        (cls.folder / "config.json").write_text(json.dumps({"vocab_size": VOCAB_SIZE, **ids}))
        cls.theirs = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")

    @classmethod
    def tearDownClass(cls):
        cls.root.cleanup()

    def probe(self, template, jinja=False):
        config = {"bos_token": "<s>", "eos_token": "</s>"}
        (self.folder / "chat_template.jinja").unlink(missing_ok=True)
        if jinja:
            (self.folder / "chat_template.jinja").write_text(template)
        else:
            config["chat_template"] = template
        (self.folder / "tokenizer_config.json").write_text(json.dumps(config))
        probe = Probe(str(self.folder))
        self.addCleanup(probe.close)
        return probe

    def expected(self, template, messages, prefix=""):
        text = self.theirs.apply_chat_template(messages, chat_template=template, add_generation_prompt=True,
                                               tokenize=False)
        return self.theirs.encode(text + prefix, add_special_tokens=False)

    @staticmethod
    def conversations(system):
        for turns in (TURNS[:1], TURNS[:3], TURNS, ANSWERED):
            messages = [{"role": role, "content": content} for role, content in turns]
            yield messages if system is None else [{"role": "system", "content": system}, *messages]

    def test_every_family(self):
        for name, template in TEMPLATES.items():
            for jinja in (False, True):
                probe = self.probe(template, jinja)
                for system in (None, "Be brief.\nVery.", "", "  spaced \n"):
                    if system is not None and template == MISTRAL_PLAIN:
                        continue
                    for messages in self.conversations(system):
                        with self.subTest(name, system=system, n=len(messages)):
                            for prefix in ("", "The answer is"):
                                self.assertEqual(probe.chat(messages, prefix),
                                                 self.expected(template, messages, prefix))


if __name__ == "__main__":
    unittest.main()
