"""Tokenizers of GGUF files against the tokenizers package and, where it is installed, llama.cpp."""

import ctypes
import json
import os
import random
import tempfile
import unittest

import gguf
from tokenizers import AddedToken, models
from transformers.convert_slow_tokenizer import generate_merges

import tiny_tokenizer
from test_hf_tokenizer import FIVE, MORE, known_to_all
from test_tokenizer import SAMPLES, Probe, long_text, random_text

try:
    import llama_cpp
except ImportError:
    llama_cpp = None

# tokenizer.ggml.pre of the byte-level families.
PRES = {"gpt2": "gpt-2", "smollm": "smollm", "llama3": "llama-bpe", "qwen2": "qwen2"}
SIZE = 4000
ADDED = ["<tool>", "<tool><tool>", "tide  pool"]
NAMES = ["<tool>", "a <tool> b", " <tool><tool><tool>x", "a tide  pool. tide  pools", "  tide  pool", "<s><tool>x"]
TYPE = gguf.TokenType


def write(path, model, tokens, types, pre="default", merges=None, scores=None, prefix=None):
    """A GGUF file of a tokenizer without tensors."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if merges is not None:
        writer.add_token_merges(merges)
    if scores is not None:
        writer.add_token_scores(scores)
    if prefix is not None:
        writer.add_add_space_prefix(prefix)
    for add, name in ((writer.add_bos_token_id, "<s>"), (writer.add_eos_token_id, "</s>"),
                      (writer.add_unk_token_id, "<unk>")):
        if name in tokens:
            add(tokens.index(name))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def corpus():
    return [line for line in long_text().splitlines() if line][:4000] + tiny_tokenizer.CORPUS


def added_tokens():
    return [AddedToken(name, special=False, normalized=False) for name in ADDED]


class LlamaCpp:
    """llama.cpp's own tokenizer of a file."""

    def __init__(self, path):
        self.quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        assert self.model, "llama.cpp does not load the file"
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)

    def encode(self, text, special):
        data = text.encode()
        ids = (llama_cpp.llama_token * (len(data) + 16))()
        count = llama_cpp.llama_tokenize(self.vocab, data, len(data), ids, len(ids), False, special)
        assert count >= 0
        return list(ids[:count])

    def close(self):
        llama_cpp.llama_model_free(self.model)


class GgufTokenizer(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tidegauge_gguf_tokenizer_")
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "tokenizer.gguf")

    def probe(self):
        probe = Probe(self.path)
        self.addCleanup(probe.close)
        return probe

    def compare(self, theirs, texts):
        probe = self.probe()
        for text in texts:
            for special in (False, True):
                theirs.encode_special_tokens = not special
                expected = theirs.encode(text, add_special_tokens=False).ids
                self.assertEqual(probe.encode(text, special), expected, text[:200])
                for skip in (False, True):
                    their_text = theirs.decode(expected, skip_special_tokens=skip)
                    self.assertEqual(probe.decode(expected, skip).decode(), their_text, text[:200])

    def test_byte_level_families(self):
        for name, pre in PRES.items():
            theirs = tiny_tokenizer.make(size=SIZE, corpus=corpus(), added=added_tokens(), **FIVE[name])
            vocabulary = theirs.get_vocab()
            tokens = sorted(vocabulary, key=vocabulary.get)
            kinds = {**dict.fromkeys(tiny_tokenizer.SPECIAL, TYPE.CONTROL), **dict.fromkeys(ADDED, TYPE.USER_DEFINED)}
            merges = [" ".join(pair) for pair in json.loads(theirs.to_str())["model"]["merges"]]
            write(self.path, "gpt2", tokens, [kinds.get(token, TYPE.NORMAL) for token in tokens], pre, merges)
            rng = random.Random(name)
            texts = [long_text(), *SAMPLES, *MORE, *NAMES, *(random_text(rng) for _ in range(2000))]
            with self.subTest(name):
                self.compare(theirs, map(known_to_all, texts) if FIVE[name].get("nfc") else texts)

    def write_sentencepiece(self, prefix=None, scores=None):
        """Writes a SentencePiece vocabulary; returns the tokenizer that transformers would make of it."""
        names = tiny_tokenizer.SPM_SPECIAL + tiny_tokenizer.BYTES
        pieces, _ = tiny_tokenizer.trained_pieces(SIZE - len(names) - len(ADDED), corpus())
        tokens = names + pieces + ADDED
        kinds = ([TYPE.UNKNOWN, TYPE.CONTROL, TYPE.CONTROL] + [TYPE.BYTE] * 256 + [TYPE.NORMAL] * len(pieces)
                 + [TYPE.USER_DEFINED] * len(ADDED))
        of_piece = scores or [-float(rank) for rank in range(len(pieces))]
        scores = [0.0] * len(names) + of_piece + [-1000.0] * len(ADDED)
        write(self.path, "llama", tokens, kinds, scores=scores, prefix=prefix)
        vocabulary = {token: i for i, token in enumerate(names + pieces)}
        merges = generate_merges(vocabulary, dict(zip(pieces, of_piece)))
        family = "llama2" if prefix in (None, True) else "bare"
        theirs = tiny_tokenizer.make(family, SIZE - len(ADDED), corpus=corpus())
        theirs.model = models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
        theirs.add_tokens(added_tokens())
        return theirs

    def texts(self, count=2000):
        rng = random.Random("sentencepiece")
        return [long_text(), *SAMPLES, *MORE, *NAMES, *(random_text(rng) for _ in range(count))]

    def test_sentencepiece_as_transformers_converts_it(self):
        for prefix in (None, True, False):
            with self.subTest(prefix=prefix):
                self.compare(self.write_sentencepiece(prefix), self.texts(2000 if prefix is None else 200))

    @unittest.skipUnless(llama_cpp, "no llama.cpp")
    def test_sentencepiece_against_llama_cpp(self):
        n_pieces = SIZE - len(tiny_tokenizer.SPM_SPECIAL) - 256 - len(ADDED)
        coarse = [-float(rank // 40) for rank in range(n_pieces)]  # many pieces of one score
        for prefix, scores in ((None, None), (False, None), (None, coarse)):
            with self.subTest(prefix=prefix, coarse=scores is not None):
                self.write_sentencepiece(prefix, scores)
                theirs, probe = LlamaCpp(self.path), self.probe()
                self.addCleanup(theirs.close)
                for text in self.texts():
                    for special in (False, True):
                        expected = theirs.encode(text, special)
                        self.assertEqual(probe.encode(text, special), expected, text[:200])


if __name__ == "__main__":
    unittest.main()
