"""Small BPE tokenizers of every family, trained on the spot by the tokenizers package."""

import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CORPUS = [
    "The tide came in, and then the other tides went out again; they'd gone by 12:45 on the 3rd of May 2026.",
    "def tide(x):\n    return x ** 2 + 31415  # a comment\n\n\nfor i in range(100):\n\tprint(tide(i))\n",
    "Wir wissen's nicht: Ünïcödé, Füße, 日本語 テキスト, Привет мир, مرحبا, 12345678.",
    "I'm sure YOU'RE right, he'll say they've won. IT'S 'S 's.    \r\n   \r\n x",
] * 4

_GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
_WORDS = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"""
_ENDS = r"""| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
PATTERNS = {
    "gpt2": _GPT2,
    "llama3": _WORDS + r"\p{N}{1,3}" + _ENDS,
    "qwen2": _WORDS + r"\p{N}" + _ENDS,
}

BYTE_LEVEL = ["byte_level", "smollm", *PATTERNS]
# How SentencePiece's vocabularies come: after Llama-2's conversion, after Mistral's, and rarer ones.
BYTE_FALLBACK = ["llama2", "mistral", "always", "old_metaspace", "never", "bare"]
FAMILIES = BYTE_LEVEL + BYTE_FALLBACK

MARK = "\u2581"
SPM_SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def _pre_tokenizer(family):
    if family == "byte_level":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if family == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    split = pre_tokenizers.Split(Regex(PATTERNS[family]), behavior="isolated", invert=False)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _byte_level(family, size, corpus, ignore_merges, nfc):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = _pre_tokenizer(family)
    tokenizer.decoder = decoders.ByteLevel()
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=size - len(SPECIAL), show_progress=False,
                                                              initial_alphabet=alphabet))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return tokenizer


def _set_space_steps(tokenizer, family):
    strip = [decoders.Strip(" ", 1, 0)]
    if family in ("llama2", "bare"):
        prepend = [normalizers.Prepend(MARK)] if family == "llama2" else []
        tokenizer.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", MARK)])
        strip = strip if prepend else []
    else:
        scheme = {"mistral": "first", "always": "always", "old_metaspace": "always", "never": "never"}[family]
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(MARK, scheme, split=family != "mistral")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])


def trained_pieces(size, corpus):
    """Pieces and merges of a vocabulary of `size`, most frequent first, with marks for spaces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(MARK, "first")
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, max_token_length=16)
    tokenizer.train_from_iterator(corpus, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [tuple(merge) for merge in model["merges"]]


def _byte_fallback(family, size, corpus, ignore_merges, merges=None):
    """As Llama-2 numbers its tokens: control tokens, bytes, then pieces."""
    names = SPM_SPECIAL + BYTES
    pieces, trained_merges = trained_pieces(size - len(names), corpus)
    vocabulary = {token: i for i, token in enumerate(names + pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges or trained_merges, unk_token="<unk>",
                                     fuse_unk=True, byte_fallback=True, ignore_merges=ignore_merges))
    _set_space_steps(tokenizer, family)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPM_SPECIAL])
    return tokenizer


def make(family="smollm", size=380, ignore_merges=False, nfc=False, bos=False, corpus=None, added=()):
    """A tokenizer of the family; `added`: further tokens behind the vocabulary."""
    corpus = corpus or CORPUS
    if family in BYTE_FALLBACK:
        tokenizer = _byte_fallback(family, size - len(added), corpus, ignore_merges)
    else:
        tokenizer = _byte_level(family, size - len(added), corpus, ignore_merges, nfc)
    tokenizer.add_tokens(list(added))
    if bos:
        first = "<s>" if family in BYTE_FALLBACK else SPECIAL[0]
        tokenizer.post_processor = processors.TemplateProcessing(
            f"{first} $A", f"{first} $A {first} $B", [(first, tokenizer.token_to_id(first))])
    return tokenizer


def write(folder, vocab_size, **settings):
    """tokenizer.json in `folder`, of at most vocab_size tokens."""
    tokenizer = make(**{"size": vocab_size - 4, **settings})
    assert tokenizer.get_vocab_size() <= vocab_size
    path = pathlib.Path(folder) / "tokenizer.json"
    tokenizer.save(str(path))
    if settings.get("family") == "old_metaspace":
        file = json.loads(path.read_text())
        file["pre_tokenizer"] = {"type": "Metaspace", "replacement": MARK, "add_prefix_space": True}
        path.write_text(json.dumps(file))


def load(folder):
    return Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
