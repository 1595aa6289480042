"""Attention of any causal Hugging Face model, decoded greedily, as the file that `tidegauge import` takes.

python dump_attention.py --model FOLDER --text FILE --steps 64 --out dump.npz

Needs torch, transformers, and TideGauge's package (pip install ./python).
"""

import argparse
import pathlib

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import tidegauge


def decode(model, ids, steps):
    """The dump of `steps` steps. As in TideGauge, step 0 is fed the last token of the prompt."""
    dump = tidegauge.AttentionDump()
    ids = torch.tensor([ids])
    cache = model(ids[:, :-1], use_cache=True).past_key_values
    fed = ids[:, -1:]
    for _ in range(steps):
        output = model(fed, past_key_values=cache, use_cache=True, output_attentions=True)
        dump.add(output.attentions)
        fed = output.logits[:, -1:].argmax(-1)
    return dump


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a folder or name that transformers loads")
    parser.add_argument("--text", required=True, type=pathlib.Path, help="the prompt, a text file")
    parser.add_argument("--length", type=int, default=1024, help="tokens of the prompt, at most")
    parser.add_argument("--steps", type=int, default=64, help="tokens to decode")
    parser.add_argument("--out", required=True, help="an .npz")
    options = parser.parse_args()

    # The other implementations (SDPA, FlashAttention) never have the weights to give.
    model = AutoModelForCausalLM.from_pretrained(options.model, attn_implementation="eager").eval()
    ids = AutoTokenizer.from_pretrained(options.model)(options.text.read_text())["input_ids"][: options.length]
    if len(ids) < 2:
        parser.error(f"{options.text}: {len(ids)} tokens, at least 2 are needed")
    with torch.inference_mode():
        decode(model, ids, options.steps).save(options.out)


if __name__ == "__main__":
    main()
