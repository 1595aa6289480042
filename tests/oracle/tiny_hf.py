"""Tiny random models of every architecture, saved by transformers."""

import torch
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

import tiny_tokenizer

VOCAB_SIZE = 384
CLASSES = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}
# 6 query heads on 2 KV heads.
SIZES = {"vocab_size": VOCAB_SIZE, "hidden_size": 96, "intermediate_size": 112, "num_hidden_layers": 3,
         "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 24, "rms_norm_eps": 1e-5,
         "max_position_embeddings": 256, "initializer_range": 0.15, "tie_word_embeddings": False}


def save(folder, architecture="llama", save=None, dtype=torch.float32, **changes):
    """Writes a random model; what transformers reads back, in fp32 with eager attention."""
    config_class, model_class = CLASSES[architecture]
    torch.manual_seed(2026)
    model = model_class(config_class(**{**SIZES, **changes}))
    for name, weight in model.named_parameters():
        if "norm" in name or name.endswith("bias"):  # otherwise ones and zeros
            weight.data += 0.2 * torch.randn_like(weight)
    model.to(dtype).save_pretrained(folder, **(save or {}))
    tiny_tokenizer.write(folder, VOCAB_SIZE)
    return model_class.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
