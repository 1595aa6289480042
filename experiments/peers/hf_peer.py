"""Hugging Face transformers: LlamaForCausalLM with its DynamicCache, with the faster of its eager and
sdpa attention.

A decode step is one call of the model; the choice of the next token is not counted.
"""

import os
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

    def feed(self, ids, cache, first, **more):
        place = self.torch.arange(first, first + len(ids))
        return self.model(self.torch.tensor([ids]), past_key_values=cache, use_cache=True,
                          position_ids=place[None], logits_to_keep=1, **more)

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

    def record(self, first, steps, path):
        """Greedy steps; with a path every layer's attention goes into an h5py file, step by step, as
        float16. Eager attention then: the other one gives no weights."""
        chosen = self.model.config._attn_implementation
        begin = time.perf_counter()
        file = self.open_recording(path, steps) if path else None
        if file:
            self.model.set_attn_implementation("eager")
        token, times, started = first, [], time.perf_counter()
        for step in range(steps):
            at = time.perf_counter()
            out = self.feed([token], self.cache, self.length + step, output_attentions=bool(file))
            for layer, weights in enumerate(out.attentions if file else ()):
                row = weights[0, :, 0].to(self.torch.float16).numpy()
                file[f"layers/{layer:02}/prob"][step, :, :row.shape[1]] = row
            token = int(out.logits[0, -1].argmax())
            times.append(1e3 * (time.perf_counter() - at))
        loop = time.perf_counter() - started
        if file:
            file.close()
            os.sync()
        everything = time.perf_counter() - begin
        self.model.set_attn_implementation(chosen)
        self.cache.crop(-steps)
        return {"step_ms": times, "loop_ms": 1e3 * loop, "all_ms": 1e3 * everything}

    def open_recording(self, path, steps):
        """One dataset a layer, [steps, heads, positions], a chunk a step, uncompressed."""
        import h5py

        config, file = self.model.config, h5py.File(path, "w")
        shape = (steps, config.num_attention_heads, self.length + steps)
        for layer in range(config.num_hidden_layers):
            file.create_dataset(f"layers/{layer:02}/prob", shape, "f2", chunks=(1, *shape[1:]))
        return file


if __name__ == "__main__":
    serve(Peer)
