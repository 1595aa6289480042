"""llama.cpp's decode step beside ours: a child that times on request.

Reads lines on stdin: `prefill ID ID …`, `run STEPS`, `quit`; answers each with one JSON line.
Weights are the same checkpoint, dequantised to bf16 once into a GGUF file of its own.
"""

import argparse
import ctypes
import json
import os
import sys
import time

import numpy as np


def write_bf16(source: str, target: str) -> None:
    """Copies a GGUF with every matrix in bf16, so that both programs read the same bytes a step."""
    import gguf

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target + ".part", reader.get_field("general.architecture").contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if values.ndim > 1:
            data = gguf.quants.quantize(values, gguf.GGMLQuantizationType.BF16)
            writer.add_tensor(tensor.name, data, raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            writer.add_tensor(tensor.name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(target + ".part", target)


class Peer:
    def __init__(self, model: str, n_ctx: int, n_threads: int):
        import llama_cpp

        self.api = llama_cpp
        self.log = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self.log, ctypes.c_void_p(0))
        self.model = llama_cpp.llama_model_load_from_file(
            model.encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = 2048
        params.n_ubatch = 512
        params.n_threads = n_threads
        params.n_threads_batch = n_threads
        params.flash_attn_type = 1
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.length = 0

    def decode(self, ids) -> None:
        array = (self.api.llama_token * len(ids))(*ids)
        if self.api.llama_decode(self.context, self.api.llama_batch_get_one(array, len(ids))) != 0:
            raise RuntimeError("llama_decode failed")

    def prefill(self, ids) -> dict:
        self.api.llama_memory_clear(self.memory, True)
        begin = time.perf_counter()
        for first in range(0, len(ids), 2048):
            self.decode(ids[first:first + 2048])
        self.api.llama_synchronize(self.context)
        self.length = len(ids)
        return {"prefill_ms": 1e3 * (time.perf_counter() - begin)}

    def run(self, steps: int) -> dict:
        """Greedy steps after the prompt; the cache is cut back afterwards."""
        n_vocab = self.api.llama_vocab_n_tokens(self.api.llama_model_get_vocab(self.model))
        token, times = 1, []
        for _ in range(steps):
            begin = time.perf_counter()
            self.decode([token])
            logits = self.api.llama_get_logits(self.context)
            times.append(1e3 * (time.perf_counter() - begin))
            token = int(np.ctypeslib.as_array(logits, shape=(n_vocab,)).argmax())
        self.api.llama_memory_seq_rm(self.memory, 0, self.length, -1)
        return {"step_ms": times}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--cache", required=True, help="folder for the bf16 copy")
    parser.add_argument("--n-ctx", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    os.makedirs(options.cache, exist_ok=True)
    stem = os.path.splitext(os.path.basename(options.model))[0]
    copy = os.path.join(options.cache, stem + ".bf16.gguf")
    if not os.path.exists(copy):
        write_bf16(options.model, copy)
    peer = Peer(copy, options.n_ctx, options.threads)
    import llama_cpp

    print(json.dumps({"peer": "llama.cpp", "bindings": llama_cpp.__version__}), flush=True)
    for line in sys.stdin:
        words = line.split()
        if not words or words[0] == "quit":
            break
        if words[0] == "prefill":
            print(json.dumps(peer.prefill([int(word) for word in words[1:]])), flush=True)
        elif words[0] == "run":
            print(json.dumps(peer.run(int(words[1]))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
