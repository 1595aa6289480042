"""Small byte-level BPE tokenizers, trained on the spot by the tokenizers package."""

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


def _pre_tokenizer(family):
    if family == "byte_level":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if family == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    split = pre_tokenizers.Split(Regex(PATTERNS[family]), behavior="isolated", invert=False)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


FAMILIES = ["byte_level", "smollm", *PATTERNS]


def make(family="smollm", size=380, ignore_merges=False, nfc=False, bos=False):
    """A tokenizer of the family's splitting, its special tokens behind the vocabulary."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = _pre_tokenizer(family)
    tokenizer.decoder = decoders.ByteLevel()
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=size - len(SPECIAL), show_progress=False,
                                                              initial_alphabet=alphabet))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    if bos:
        first = SPECIAL[0]
        tokenizer.post_processor = processors.TemplateProcessing(
            f"{first} $A", f"{first} $A {first} $B", [(first, tokenizer.token_to_id(first))])
    return tokenizer


def write(folder, vocab_size, **settings):
    """tokenizer.json in `folder`, of at most vocab_size tokens."""
    tokenizer = make(**{"size": vocab_size - 4, **settings})
    assert tokenizer.get_vocab_size() <= vocab_size
    tokenizer.save(str(pathlib.Path(folder) / "tokenizer.json"))


def load(folder):
    return Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
