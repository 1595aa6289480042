"""Hugging Face transformers: LlamaForCausalLM with its DynamicCache, with the faster of its eager and
sdpa attention.

A decode step is one call of the model; the choice of the next token is not counted.
"""

import pathlib
import sys
import time

from serve import serve

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "oracle"))
TRIAL_STEPS = 5


class Peer:
    def __init__(self, model, sha256, dtype, n_ctx, threads, sequences=1):
        import hf_llama
        import torch
        import transformers

        self.torch, self.transformers = torch, transformers
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.model = hf_llama.load(model).to({"bf16": torch.bfloat16, "fp32": torch.float32}[dtype])
        self.cache, self.length = None, 0
        self.facts = {
            "name": f"transformers {transformers.__version__} {dtype}",
            "torch": torch.__version__,
            "weights": dtype,
            "kv_cache": dtype,
            "threads": threads,
        }

    def feed(self, ids, cache, first):
        place = self.torch.arange(first, first + len(ids))
        return self.model(self.torch.tensor([ids]), past_key_values=cache, use_cache=True,
                          position_ids=place[None], logits_to_keep=1)

    def prefill(self, ids):
        """Fills a new cache."""
        self.model.set_attn_implementation("sdpa")
        cache = self.transformers.DynamicCache()
        begin = time.perf_counter()
        self.feed(ids, cache, 0)
        self.cache, self.length = cache, len(ids)
        return {"ms": 1e3 * (time.perf_counter() - begin)}

    def tune_prefill(self, ids):
        """Nothing to choose: one call with all tokens, sdpa attention, logits of the last one only."""
        return {"attention": "sdpa"}

    def fill(self, ids, length):
        """Fills the cache to `length` positions: with `ids`, and where those are fewer with their rows
        again and again. Attention reads every row whatever it holds, so that a step takes as long as
        after a prefill of that length."""
        self.prefill(ids)
        facts = {}
        if len(ids) < length:
            passage, self.cache = self.cache, self.transformers.DynamicCache()
            for i, layer in enumerate(passage.layers):
                rows = (self.torch.cat([kind] * -(-length // len(ids)), dim=2)[:, :, :length].contiguous()
                        for kind in (layer.keys, layer.values))
                self.cache.update(*rows, i)
            self.length = length
            facts = {"cache_filled_with": f"the rows of {len(ids)} tokens, repeated"}
        return facts | self.choose_attention(ids[-1])

    def choose_attention(self, token):
        """Times a few steps with both implementations and keeps the faster; says what it measured."""
        trial = {}
        for name in ("eager", "sdpa"):
            self.model.set_attn_implementation(name)
            times = self.decode(token, TRIAL_STEPS, 1)["step_ms"]
            trial[name] = sorted(times)[TRIAL_STEPS // 2]
        fastest = min(trial, key=trial.get)
        self.model.set_attn_implementation(fastest)
        return {"attention": fastest, "attention_trial_ms": trial}

    def decode(self, first, steps, warm_up):
        """Greedy steps after the prompt; the cache is cut back afterwards."""
        token, times, ids = first, [], []
        for step in range(warm_up + steps):
            begin = time.perf_counter()
            out = self.feed([token], self.cache, self.length + step)
            times.append(1e3 * (time.perf_counter() - begin))
            token = int(out.logits[0, -1].argmax())
            ids.append(token)
        self.cache.crop(-(warm_up + steps))
        return {"step_ms": times[warm_up:], "ids": ids}


if __name__ == "__main__":
    serve(Peer)
