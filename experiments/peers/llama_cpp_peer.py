"""llama.cpp through its Python bindings, flash attention on; its KV cache is f16, its default.

A decode step is one llama_decode call and the fetch of its logits; the choice of the next token is not
counted.
"""

import ctypes
import time

import numpy as np
from gguf_copy import copy_with
from serve import serve

N_BATCH, DEFAULT_UBATCH = 2048, 512
TRIAL_UBATCH = (512, 1024, 2048)
GGML_LOG_LEVEL_ERROR = 4  # of ggml.h


class Peer:
    def __init__(self, model, sha256, dtype, n_ctx, threads, sequences=1):
        import llama_cpp

        self.api = llama_cpp
        self.told = ""  # its first error, for our own message
        self.log = llama_cpp.llama_log_callback(self.hear)
        llama_cpp.llama_log_set(self.log, ctypes.c_void_p(0))
        path = copy_with(model, dtype, sha256)
        self.model = llama_cpp.llama_model_load_from_file(
            str(path).encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"cannot load {path}: {self.told}")
        self.n_ctx, self.threads, self.sequences, self.context = n_ctx, threads, sequences, None
        self.open_context(DEFAULT_UBATCH)
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.length = 0
        self.facts = {
            "name": f"llama.cpp {llama_cpp.__version__} {dtype}",
            "bindings": llama_cpp.__version__,
            "system": llama_cpp.llama_print_system_info().decode().strip(),
            "weights": dtype,
            "kv_cache": "f16",
            "flash_attention": True,
            "threads": threads,
        }

    def open_context(self, n_ubatch):
        """A new context with an empty cache; `n_ubatch`: tokens of one pass of the graph."""
        if self.context:
            self.api.llama_free(self.context)
        params = self.api.llama_context_default_params()
        params.n_ctx = self.n_ctx
        params.n_seq_max = self.sequences
        params.kv_unified = True  # sequences share rows
        params.n_batch = N_BATCH
        params.n_ubatch = n_ubatch
        params.n_threads = self.threads
        params.n_threads_batch = self.threads
        params.flash_attn_type = self.api.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self.context = self.api.llama_init_from_model(self.model, params)
        if not self.context:
            raise RuntimeError(f"no context of {self.n_ctx} tokens: {self.told}")
        self.memory = self.api.llama_get_memory(self.context)

    def hear(self, level, text, data):
        if level == GGML_LOG_LEVEL_ERROR and not self.told:
            self.told = text.decode(errors="replace").strip()

    def feed(self, ids):
        array = (self.api.llama_token * len(ids))(*ids)
        if self.api.llama_decode(self.context, self.api.llama_batch_get_one(array, len(ids))) != 0:
            raise RuntimeError("llama_decode failed")

    def logits(self):
        return np.ctypeslib.as_array(self.api.llama_get_logits(self.context), shape=(self.n_vocab,))

    def prefill(self, ids):
        """Fills the cache anew."""
        self.api.llama_memory_clear(self.memory, True)
        begin = time.perf_counter()
        for first in range(0, len(ids), N_BATCH):
            self.feed(ids[first:first + N_BATCH])
        self.api.llama_synchronize(self.context)
        self.length = len(ids)
        return {"ms": 1e3 * (time.perf_counter() - begin)}

    def tune_prefill(self, ids):
        """Prefills with passes of several sizes, twice each, and keeps the fastest; says what it
        measured."""
        trial = {}
        for n_ubatch in TRIAL_UBATCH:
            self.open_context(n_ubatch)
            trial[n_ubatch] = min(self.prefill(ids)["ms"] for _ in range(2))
        fastest = min(trial, key=trial.get)
        self.open_context(fastest)
        return {"n_batch": N_BATCH, "n_ubatch": fastest, "n_ubatch_trial_ms": trial,
                "n_ubatch_trial_tokens": len(ids)}

    def fill(self, ids, length):
        """Fills the cache to `length` positions: with `ids`, and where those are fewer with their rows
        again and again, each time turned to their new positions. Attention reads every row whatever it
        holds, so that a step takes as long as after a prefill of that length."""
        self.prefill(ids)
        if len(ids) == length:
            return {}
        size = self.api.llama_state_seq_get_size(self.context, 0)
        rows = (ctypes.c_uint8 * size)()
        self.api.llama_state_seq_get_data(self.context, rows, size, 0)
        while self.length < length:
            if self.api.llama_state_seq_set_data(self.context, rows, size, 1) == 0:
                raise RuntimeError("cannot restore a passage")
            self.api.llama_memory_seq_rm(self.memory, 1, length - self.length, -1)
            self.api.llama_memory_seq_add(self.memory, 1, 0, -1, self.length)
            self.api.llama_memory_seq_cp(self.memory, 1, 0, -1, -1)
            self.api.llama_memory_seq_rm(self.memory, 1, -1, -1)
            self.length = min(length, self.length + len(ids))
        return {"cache_filled_with": f"the rows of {len(ids)} tokens, repeated"}

    def decode(self, first, steps, warm_up):
        """Greedy steps after the prompt; the cache is cut back afterwards."""
        token, times, ids = first, [], []
        for _ in range(warm_up + steps):
            begin = time.perf_counter()
            self.feed([token])
            logits = self.logits()
            times.append(1e3 * (time.perf_counter() - begin))
            token = int(logits.argmax())
            ids.append(token)
        self.api.llama_memory_seq_rm(self.memory, 0, self.length, -1)
        return {"step_ms": times[warm_up:], "ids": ids}

    def decode_forks(self, ids, steps, warm_up):
        """Steps of a batch of sequences that share the prompt's rows, each fed its own ids."""
        for fork in range(1, len(ids)):
            self.api.llama_memory_seq_cp(self.memory, 0, fork, -1, -1)
        batch, times = self.api.llama_batch_init(len(ids), 0, 1), []
        batch.n_tokens = len(ids)
        for step in range(warm_up + steps):
            for i, fed in enumerate(ids):
                batch.token[i], batch.pos[i], batch.logits[i] = fed[step], self.length + step, True
                batch.n_seq_id[i], batch.seq_id[i][0] = 1, i
            begin = time.perf_counter()
            if self.api.llama_decode(self.context, batch) != 0:
                raise RuntimeError("llama_decode failed")
            self.logits()
            times.append(1e3 * (time.perf_counter() - begin))
        self.api.llama_batch_free(batch)
        self.api.llama_memory_seq_rm(self.memory, 0, self.length, -1)
        for fork in range(1, len(ids)):
            self.api.llama_memory_seq_rm(self.memory, fork, -1, -1)
        return {"step_ms": times[warm_up:]}


if __name__ == "__main__":
    serve(Peer)
