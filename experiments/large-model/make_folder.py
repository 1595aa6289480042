"""A Hugging Face folder of random bf16 weights in the shape of a large Llama, written as it is made.

python make_folder.py --shape 8b --out FOLDER

For what sizes alone decide: loading, memory, time a token. Its text means nothing. Needs NumPy only.
"""

import argparse
import json
import pathlib

import numpy as np

# As in the config.json of Llama-3.1-8B, Llama-3.2-3B and Llama-3.2-1B; "small" is nobody's, for tests.
SHAPES = {
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
           "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": False, "factor": 8.0},
    "3b": {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24,
           "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True, "factor": 32.0},
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
           "num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": True, "factor": 32.0},
    "small": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 16, "num_attention_heads": 16,
              "num_key_value_heads": 4, "head_dim": 64, "tie_word_embeddings": True, "factor": 8.0},
}
VOCAB_SIZE, SHARD_BYTES = 128256, 5 << 30


def config_of(shape):
    config = {**SHAPES[shape]}
    scaling = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": config.pop("factor"), "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5,
            "max_position_embeddings": 131072, "vocab_size": VOCAB_SIZE, "bos_token_id": 0, "eos_token_id": 1,
            "dtype": "bfloat16", "rope_parameters": scaling, **config}


def tensors_of(config):
    """(name, shape) of every tensor."""
    hidden, ffn, head_dim = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    q, kv = config["num_attention_heads"] * head_dim, config["num_key_value_heads"] * head_dim
    yield "model.embed_tokens.weight", (VOCAB_SIZE, hidden)
    for layer in range(config["num_hidden_layers"]):
        parts = {"input_layernorm": (hidden,), "self_attn.q_proj": (q, hidden), "self_attn.k_proj": (kv, hidden),
                 "self_attn.v_proj": (kv, hidden), "self_attn.o_proj": (hidden, q),
                 "post_attention_layernorm": (hidden,), "mlp.gate_proj": (ffn, hidden), "mlp.up_proj": (ffn, hidden),
                 "mlp.down_proj": (hidden, ffn)}
        for part, shape in parts.items():
            yield f"model.layers.{layer}.{part}.weight", shape
    yield "model.norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (VOCAB_SIZE, hidden)


def shards_of(tensors):
    """Lists of tensors of at most SHARD_BYTES each."""
    shard, size = [], 0
    for name, shape in tensors:
        nbytes = 2 * int(np.prod(shape))
        if shard and size + nbytes > SHARD_BYTES:
            yield shard
            shard, size = [], 0
        shard.append((name, shape))
        size += nbytes
    yield shard


def bf16(values):
    """The upper halves of fp32 values."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype("<u2")


def write_shard(path, shard, noise):
    """noise: bf16 values that all tensors are cut from, each from another place."""
    header, offset = {}, 0
    for name, shape in shard:
        end = offset + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(len(text))
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape in shard:
            left = int(np.prod(shape))
            if len(shape) == 1:
                file.write(bf16(np.ones(left)).tobytes())
                continue
            while left > 0:
                begin = int(random.integers(0, len(noise) // 2))
                part = noise[begin : begin + left]
                file.write(part.tobytes())
                left -= len(part)


def tokenizer():
    """Byte-level BPE without merges: a token a byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    special = ["<|begin_of_text|>", "<|end_of_text|>"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
            "added_tokens": [{"id": i, "content": text, "special": True, "normalized": False, "single_word": False,
                              "lstrip": False, "rstrip": False} for i, text in enumerate(special)],
            "pre_tokenizer": byte_level, "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "merges": [],
                      "vocab": {character: i + len(special) for i, character in enumerate(alphabet)}}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    config = config_of(options.shape)
    noise = bf16(np.random.default_rng(0).normal(0, 0.02, 1 << 24))
    shards = list(shards_of(tensors_of(config)))
    names = [f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    for name, shard in zip(names, shards):
        write_shard(options.out / name, shard, noise)
    weight_map = {tensor: name for name, shard in zip(names, shards) for tensor, _ in shard}
    index = {"metadata": {}, "weight_map": weight_map}
    for name, content in {"model.safetensors.index.json": index, "config.json": config, "tokenizer.json": tokenizer()}.items():
        (options.out / name).write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
