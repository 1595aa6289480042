"""Our tokenizer against Hugging Face's on the default model's vocabulary.

The GGUF file carries vocabulary, merges and chat template; the splitting is that of the model's own
tokenizer.json: every digit alone, then GPT-2's byte-level pattern. (transformers' own GGUF import leaves the
digits step out, so the tokenizer is put together here.)
"""

import functools
import json
import os
import random
import subprocess
import tempfile
import unicodedata
import unittest

import gguf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

PROBE = os.environ["TIDEGAUGE_PROBE"]
MODEL = os.environ.get("TIDEGAUGE_TEST_MODEL", "")
CONTROL = 3


@functools.cache
def metadata():
    reader = gguf.GGUFReader(MODEL)
    return {key: field.contents() for key, field in reader.fields.items() if key.startswith("tokenizer.")}


@functools.cache
def their_tokenizer(split="smollm"):
    tokens = metadata()["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata()["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level] if split == "smollm" else [byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    types = metadata()["tokenizer.ggml.token_type"]
    special = [token for token, kind in zip(tokens, types) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


@functools.cache
def missing_bytes():
    """UTF-8 bytes for which the vocabulary has no token: no tokenizer gives them back."""
    vocabulary = set(metadata()["tokenizer.ggml.tokens"])
    to_character = byte_alphabet()
    return {byte for byte in range(256) if to_character[byte] not in vocabulary}


def byte_alphabet():
    """Byte -> the character of GPT-2's alphabet."""
    itself = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    others = [b for b in range(256) if b not in itself]
    return {**{b: chr(b) for b in itself}, **{b: chr(256 + i) for i, b in enumerate(others)}}


class Probe:
    def __init__(self, model=None):
        self.process = subprocess.Popen([PROBE, model or MODEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer.endswith("\n"), f"the probe stopped at {request[:80]}"
        return answer[:-1]

    def encode(self, data, special=False):
        data = data.encode() if isinstance(data, str) else data
        return [int(i) for i in self.ask(("special " if special else "encode ") + data.hex()).split()]

    def decode(self, ids, skip_special=False):
        return bytes.fromhex(self.ask(("answer " if skip_special else "decode ") + " ".join(map(str, ids))))

    def chat(self, messages, prefix=""):
        return [int(i) for i in self.ask("chat " + json.dumps({"messages": messages, "prefix": prefix})).split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@functools.cache
def assigned_characters():
    """Code points assigned in the Unicode version of both sides (14 at most), by general category."""
    assert tuple(map(int, unicodedata.unidata_version.split("."))) <= (14, 0, 0)
    by_category = {}
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        if category not in ("Cn", "Cs", "Co"):
            by_category.setdefault(category, []).append(chr(code))
    return by_category


def random_text(rng):
    """A string that mixes the categories evenly: letters are not drowned by ideographs, nor spaces lost."""
    categories = sorted(assigned_characters())
    palette = rng.sample(categories, rng.randint(1, 6)) + ["Zs", "Nd", "Ll"][: rng.randint(0, 3)]
    out = []
    for _ in range(rng.randint(0, 40)):
        draw = rng.random()
        if draw < 0.3:
            out.append(rng.choice(" \t\n\r\u00a0\u0085\u180e\u2028\u3000'sdtmrevl0129½²_.,-<|>"))
        else:
            out.append(rng.choice(assigned_characters()[rng.choice(palette)]))
        if draw > 0.9:
            out.append(out[-1] * rng.randint(1, 5))
    return "".join(out)


SAMPLES = [
    "", " ", "  ", "\n\n", " \n x", "a  b   c    ", "   1", "x  12 345  y", "3.14159 and 2,718", "１２３ ٣٤ Ⅷ ½ x²",
    "I'm you're he'd we'll they've 'Tis 's'S ''s", "don\u2019t", "\u180e\u180e x", "\u0085\u0085x", "\x1c\x1d\x1f x",
    "\ufeffBOM", "e\u0301 \u00e9", "def f(x):\n    return x**2  # squares\n\n\n", "if (a&&b){c[i]+=0x1F;}\t\t//\r\n",
    "for(;;);   \t \n\tint  *p=&q;", "日本語のテキスト、漢字。", "Привет, мир! Ёлка", "مرحبا بالعالم ١٢٣", "नमस्ते दुनिया",
    "שלום עולם", "สวัสดีชาวโลก", "👩‍👩‍👧‍👦 🇩🇪 👍🏽", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛", "Ελληνικά ά", "İstanbul ıIİi", "Zażółć gęślą jaźń",
    "\x00\x01\x02", "a" * 3000, " " * 3000, "ab" * 1500 + "!" * 700, "0123456789" * 50, "\n" * 500 + "x",
    "<|im_start|>user\nhi<|im_end|>", "<|im_start|", "<|im_<|im_end|>|>", "<repo_name><reponame>x<file_sep>",
]


def long_text():
    """1 MB of running text: the King James Bible of the package bible-kjv-text."""
    run = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], capture_output=True, check=True)
    return run.stdout[:1_000_000].decode("utf-8", "ignore")


@unittest.skipUnless(MODEL, "no default model")
class TokenizerOracle(unittest.TestCase):
    def setUp(self):
        self.probe = Probe()
        self.addCleanup(self.probe.close)

    def check(self, text, special=False, probe=None, split="smollm"):
        probe = probe or self.probe
        theirs = their_tokenizer(split)
        theirs.encode_special_tokens = not special
        ours = probe.encode(text, special)
        self.assertEqual(ours, theirs.encode(text, add_special_tokens=False).ids, repr(text[:200]))
        kept = bytes(byte for byte in text.encode() if byte not in missing_bytes())
        self.assertEqual(probe.decode(ours), kept, repr(text[:200]))
        return ours

    def test_one_megabyte_of_running_text(self):
        text = long_text()
        self.assertGreater(len(text.encode()), 990_000)
        self.assertGreater(len(self.check(text)), 200_000)

    def test_code_languages_spaces_and_digits(self):
        for text in SAMPLES:
            self.check(text)
            self.check(text, special=True)
        self.check("".join(SAMPLES))

    def test_two_thousand_random_unicode_strings(self):
        rng = random.Random(2026)
        for _ in range(2000):
            self.check(random_text(rng))

    def test_gpt2_split_pattern(self):
        with tempfile.TemporaryDirectory() as folder:
            probe = Probe(self.copy_with_split(os.path.join(folder, "gpt2.gguf"), "gpt-2"))
            self.addCleanup(probe.close)
            rng = random.Random(2027)
            for text in SAMPLES + [random_text(rng) for _ in range(500)]:
                self.check(text, probe=probe, split="gpt2")

    @staticmethod
    def copy_with_split(path, split):
        """The default model's tokenizer without tensors, under another split pattern."""
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_tokenizer_model(metadata()["tokenizer.ggml.model"])
        writer.add_tokenizer_pre(split)
        writer.add_token_list(metadata()["tokenizer.ggml.tokens"])
        writer.add_token_types(metadata()["tokenizer.ggml.token_type"])
        writer.add_token_merges(metadata()["tokenizer.ggml.merges"])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        return path

    def test_bytes_that_are_not_utf8_come_back(self):
        rng = random.Random(2028)
        for _ in range(500):
            data = bytes(rng.randrange(256) for _ in range(rng.randint(0, 30)))
            kept = bytes(byte for byte in data if byte not in missing_bytes())
            self.assertEqual(self.probe.decode(self.probe.encode(data)), kept)

    def test_chat_template(self):
        theirs = PreTrainedTokenizerFast(tokenizer_object=their_tokenizer())
        theirs.chat_template = metadata()["tokenizer.chat_template"]
        their_tokenizer().encode_special_tokens = False
        turns = [("user", "What is 12 + 7?"), ("assistant", " It's 19.\n"), ("user", "Ünïcode <|im_end|> \n\n ok?")]
        for system in (None, "Be brief.\nVery.", ""):
            for n in (1, 2, 3):
                messages = [{"role": role, "content": content} for role, content in turns[:n]]
                if system is not None:
                    messages.insert(0, {"role": "system", "content": system})
                text = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
                for prefix in ("", "The answer is"):
                    expected = theirs.encode(text + prefix, add_special_tokens=False)
                    self.assertEqual(self.probe.chat(messages, prefix), expected, text)


if __name__ == "__main__":
    unittest.main()
