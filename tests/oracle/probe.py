"""Runs model_probe and reads the float32 files that it writes."""

import json
import os
import pathlib
import subprocess
import tempfile

import numpy as np


def probe(command, *arguments, stdin=b"", model=None):
    """Stdout of one call; the path of the model, the default one's unless given, goes after the command's name."""
    call = [os.environ["TIDEGAUGE_PROBE"], command, model or os.environ["TIDEGAUGE_TEST_MODEL"], *arguments]
    return subprocess.run(call, input=stdin, stdout=subprocess.PIPE, check=True).stdout.decode()


class Teacher:
    """Logits and attention of `ids`, teacher-forced after a prefill of the first `prompt_len` ids."""

    def __init__(self, dtype, ids, prompt_len, maps=False, prefill_rows=(), chunk=512, model=None,
                 policy="full"):
        self.n_positions, self.prompt_len = len(ids), prompt_len
        self.prefill_rows, self.chunk = list(prefill_rows), chunk
        self.folder = tempfile.TemporaryDirectory(prefix="tidegauge_oracle_")
        plan = {"ids": ids, "prompt_len": prompt_len, "chunk": chunk, "maps": maps, "prefill_rows": self.prefill_rows,
                "policy": policy}
        probe("teacher", dtype, self.folder.name, stdin=json.dumps(plan).encode(), model=model)

    def _read(self, name):
        return np.memmap(pathlib.Path(self.folder.name) / name, dtype="<f4", mode="r")

    def logits(self):
        """[steps, vocab] of positions prompt_len - 1 and on."""
        return self._read("logits.f32").reshape(self.n_positions - self.prompt_len + 1, -1)

    def maps(self, n_layers, n_heads):
        """[steps, layers, heads, positions]"""
        return self._read("maps.f32").reshape(-1, n_layers, n_heads, self.n_positions)

    def prefill_maps(self, n_layers, n_heads):
        """Yields (layer, prompt rows, [heads, rows, prompt_len]), one chunk and layer at a time."""
        data, at = self._read("prefill.f32"), 0
        for begin in range(0, self.prompt_len - 1, self.chunk):
            end = min(begin + self.chunk, self.prompt_len - 1)
            rows = [row for row in self.prefill_rows if begin <= row < end]
            size = n_heads * len(rows) * self.prompt_len
            for layer in range(n_layers if rows else 0):
                yield layer, rows, data[at : at + size].reshape(n_heads, len(rows), self.prompt_len)
                at += size
        assert at == data.size, f"{data.size - at} weights more than asked for"

    def close(self):
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
