"""A transformers LlamaForCausalLM in fp32 from a GGUF file's metadata and dequantised tensors."""

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def _config(reader, tied):
    def value(key):
        return reader.fields["llama." + key].contents()

    return LlamaConfig(
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].contents()),
        hidden_size=value("embedding_length"),
        intermediate_size=value("feed_forward_length"),
        num_hidden_layers=value("block_count"),
        num_attention_heads=value("attention.head_count"),
        num_key_value_heads=value("attention.head_count_kv"),
        max_position_embeddings=value("context_length"),
        rms_norm_eps=value("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": value("rope.freq_base")},
        tie_word_embeddings=tied,
    )


def _half_split(weight, n_heads):
    """Rows of Q or K from the file's interleaved rotary pairs to the half-split order of transformers."""
    rows, columns = weight.shape
    pairs = weight.reshape(n_heads, rows // n_heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def _hf_name(name):
    parts = name.removesuffix(".weight").split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{LAYER_NAMES[parts[2]]}.weight"
    return TOP_NAMES[parts[0]] + ".weight"


def load(path):
    """The model in evaluation mode, with eager attention so that it returns its weights."""
    reader = gguf.GGUFReader(path)
    tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
    config = _config(reader, tied)
    state = {}
    for tensor in reader.tensors:
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if ".attn_q." in tensor.name:
            weight = _half_split(weight, config.num_attention_heads)
        if ".attn_k." in tensor.name:
            weight = _half_split(weight, config.num_key_value_heads)
        state[_hf_name(tensor.name)] = torch.from_numpy(np.array(weight, dtype=np.float32))
    if tied:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config).to(torch.float32)
    model.load_state_dict(state, strict=True)
    return model.eval()


def greedy(model, ids, steps):
    """The ids that follow `ids`, always the one of the highest logit."""
    cache, fed, produced = None, torch.tensor([ids]), []
    for _ in range(steps):
        out = model(fed, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        produced.append(int(out.logits[0, -1].argmax()))
        fed = torch.tensor([[produced[-1]]])
    return produced
