"""A tiny llama checkpoint with random weights, so that a command ends in a fraction of a second."""

import gguf
import numpy as np

N_LAYERS, N_HEADS, N_KV_HEADS, HEAD_DIM, HIDDEN, FFN = 5, 6, 2, 16, 80, 112
MAX_POSITIONS = 512
CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'"
    " + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def byte_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes, in the order of its vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def write(path, seed=0, hidden=HIDDEN, end_of_turn=None, n_layers=N_LAYERS, max_positions=MAX_POSITIONS, head_dim=HEAD_DIM):
    """Writes the checkpoint. Hugging Face wants a hidden size that the heads divide: 96 is one. `end_of_turn`: the id
    of a second token at which a text ends."""
    tokens = byte_alphabet() + ["th", "he", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    kinds = [gguf.TokenType.NORMAL] * 258 + [gguf.TokenType.CONTROL] * 3
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(n_layers)
    writer.add_context_length(max_positions)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(N_HEADS)
    writer.add_head_count_kv(N_KV_HEADS)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["t h", "h e"])
    writer.add_bos_token_id(258)
    writer.add_eos_token_id(260)
    if end_of_turn is not None:
        writer.add_eot_token_id(end_of_turn)
    writer.add_chat_template(CHAT_TEMPLATE)
    random = np.random.default_rng(seed)

    def add(name, *shape):
        writer.add_tensor(name, random.normal(0, 0.15, shape).astype(np.float32))

    add("token_embd.weight", len(tokens), hidden)
    add("output_norm.weight", hidden)
    for layer in range(n_layers):
        add(f"blk.{layer}.attn_norm.weight", hidden)
        add(f"blk.{layer}.attn_q.weight", N_HEADS * head_dim, hidden)
        add(f"blk.{layer}.attn_k.weight", N_KV_HEADS * head_dim, hidden)
        add(f"blk.{layer}.attn_v.weight", N_KV_HEADS * head_dim, hidden)
        add(f"blk.{layer}.attn_output.weight", hidden, N_HEADS * head_dim)
        add(f"blk.{layer}.ffn_norm.weight", hidden)
        add(f"blk.{layer}.ffn_gate.weight", FFN, hidden)
        add(f"blk.{layer}.ffn_up.weight", FFN, hidden)
        add(f"blk.{layer}.ffn_down.weight", hidden, FFN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
