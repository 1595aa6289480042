"""Tokenizers of Hugging Face folders against the tokenizers package, which wrote them."""

import json
import pathlib
import random
import tempfile
import unicodedata
import unittest

import tiny_tokenizer
from test_tokenizer import SAMPLES, Probe, random_text

VOCAB_SIZE = 400
MORE = ["'ſ I'ſ", "IT'S YOU'RE 'LL'Ll", "a\r\n\r\n b", " \r\n x", "x!!\r\n\r\ny", "\n \n \n", "1234567 12", "½⅓¼¾",
        "e\u0301 A\u030a \u1100\u1161\u11a8 \u212b", "\tword\u00a0word", "the tide tides", "\u2028x\u2029\n"]


class HfTokenizer(unittest.TestCase):
    def compare(self, texts, **settings):
        """Ids and bytes of every text, with special tokens by name and without."""
        with tempfile.TemporaryDirectory() as folder:
            tiny_tokenizer.write(folder, VOCAB_SIZE, **settings)
            pathlib.Path(folder, "config.json").write_text(json.dumps({"vocab_size": VOCAB_SIZE}))
            self.rewrite(pathlib.Path(folder, "tokenizer.json"))
            theirs, probe = tiny_tokenizer.load(folder), Probe(folder)
            self.addCleanup(probe.close)
            for text in texts:
                for special in (False, True):
                    theirs.encode_special_tokens = not special
                    expected = theirs.encode(text, add_special_tokens=False).ids
                    self.assertEqual(probe.encode(text, special), expected, (settings, text[:200]))
                    self.assertEqual(probe.decode(expected).decode(), theirs.decode(expected, skip_special_tokens=False))

    def rewrite(self, path):
        """What a test does to tokenizer.json before either side reads it."""

    def texts(self, seed, count=400):
        rng = random.Random(seed)
        return SAMPLES + MORE + tiny_tokenizer.CORPUS + [random_text(rng) for _ in range(count)]

    def test_every_family(self):
        for family in tiny_tokenizer.FAMILIES:
            with self.subTest(family):
                self.compare(self.texts(family), family=family)

    def test_whole_pieces_before_merges(self):
        self.compare(self.texts(1), family="llama3", ignore_merges=True)

    def test_normal_form(self):
        # Characters of Unicode 3.2: how later ones combine is not in the tokenizers package's older tables.
        known = unicodedata.ucd_3_2_0
        texts = ["".join(c for c in text if known.category(c) != "Cn") for text in self.texts(2)]
        self.compare(texts, family="qwen2", nfc=True)

    def test_text_of_a_template_with_a_first_token(self):
        self.compare(self.texts(3, 50), family="llama3", bos=True)

    def test_merges_as_text(self):
        def rewrite(path):
            file = json.loads(path.read_text())
            assert isinstance(file["model"]["merges"][0], list)
            file["model"]["merges"] = [" ".join(pair) for pair in file["model"]["merges"]]
            path.write_text(json.dumps(file))

        self.rewrite = rewrite
        self.compare(self.texts(4, 50))


if __name__ == "__main__":
    unittest.main()
