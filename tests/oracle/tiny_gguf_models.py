"""The tiny models of tiny_hf as GGUF files, as llama.cpp's converter lays them out: written by the gguf package."""

import json
import pathlib

import gguf
import numpy as np

PARTS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def _gguf_name(name):
    part, kind = name.rsplit(".", 1)
    if part in TOP:
        return f"{TOP[part]}.{kind}"
    _, _, layer, part = part.split(".", 3)
    return f"blk.{layer}.{PARTS[part]}.{kind}"


def _interleaved(rows, n_heads):
    """Rows of Q or K of a llama: the two halves of a head's rotary pairs side by side."""
    return rows.reshape(n_heads, 2, rows.shape[0] // n_heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def llama3_divisors(head_dim, rope):
    """How the converter stores Llama 3.1's scaling: what each frequency is divided by."""
    divisors = []
    for i in range(0, head_dim, 2):
        turn = 2 * np.pi * rope["rope_theta"] ** (i / head_dim)
        original, factor = rope["original_max_position_embeddings"], rope["factor"]
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        if turn < original / high:
            divisors.append(1.0)
        elif turn > original / low:
            divisors.append(factor)
        else:
            share = (original / turn - low) / (high - low)
            divisors.append(1 / ((1 - share) / factor + share))
    return np.array(divisors, dtype=np.float32)


def _add_tokenizer(writer, folder):
    tokenizer = json.loads(pathlib.Path(folder, "tokenizer.json").read_text())
    vocab = {**tokenizer["model"]["vocab"], **{token["content"]: token["id"] for token in tokenizer["added_tokens"]}}
    size = json.loads(pathlib.Path(folder, "config.json").read_text())["vocab_size"]
    tokens = [f"[PAD{i}]" for i in range(size)]
    for token, i in vocab.items():
        tokens[i] = token
    special = {token["id"] for token in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if i in special or token.startswith("[PAD") else 1 for i, token in enumerate(tokens)])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])


def _add_rope(writer, config, head_dim):
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(head_dim)
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_divisors(head_dim, rope))
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def write(path, folder, architecture, model):
    """The model that transformers holds, in fp32."""
    config = model.config
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    _add_rope(writer, config, head_dim)
    _add_tokenizer(writer, folder)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        rows = weight.numpy()
        if architecture == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            rows = _interleaved(rows, heads)
        writer.add_tensor(_gguf_name(name), np.ascontiguousarray(rows))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
