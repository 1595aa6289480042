"""Recordings (HDF5) as NumPy arrays.

The file is opened for reading and stays open: arrays are read when they are asked for, a step at a time, so that
a recording may be larger than memory. Names, shapes and units are those of the file itself (README.md, "The
recording").
"""

import h5py
import numpy as np

from tidegauge import tables

FORMAT, FORMAT_VERSION = "tidegauge-recording", 1
TIER = ("bytes", "wanted", "held", "predicted", "missed", "fetched", "stall_ms")
ROLES = ("full", "select", "sparse", "estimate", "keep")


class NotRecorded(KeyError):
    """What is asked for is not in this recording."""

    def __str__(self):
        return self.args[0]


class Recording:
    """One recording. A context manager; also closed with `close`.

    policy, placement, model_name, model_sha256, config_toml: text. n_layers, n_heads, n_kv_heads, head_dim, seed,
    steps (those that were committed): int. complete: False for what a cut-off run left.

    Raises OSError where the file cannot be read, ValueError where it is no recording of a known version.
    """

    def __init__(self, path):
        self.file = h5py.File(path, "r")
        try:
            attributes = self.file.attrs
            if attributes.get("format") != FORMAT:
                raise ValueError(f"{path}: attribute 'format' is {attributes.get('format')!r}, expected {FORMAT!r}")
            if attributes["format_version"] != FORMAT_VERSION:
                raise ValueError(f"{path}: format_version is {attributes['format_version']}, expected {FORMAT_VERSION}")
            for name in ("policy", "placement", "model_name", "model_sha256", "config_toml"):
                setattr(self, name, str(attributes[name]))
            for name in ("n_layers", "n_heads", "n_kv_heads", "head_dim", "seed"):
                setattr(self, name, int(attributes[name]))
            self.steps = int(attributes["committed_steps"])
            self.complete = bool(attributes["complete"])
            self.layers = [Layer(self, layer) for layer in range(self.n_layers)]
        except BaseException:
            self.file.close()
            raise

    def close(self):
        """Closes the file; arrays that were read stay."""
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"<Recording {self.file.filename}: {self.model_name}, {self.policy}, {self.steps} steps>"

    @property
    def prompt_ids(self):
        """int32 [prompt_len]"""
        return self.file["tokens/prompt_ids"][:]

    @property
    def generated_ids(self):
        """int32 [steps]: what each step produced; -1: nothing chosen."""
        return self.file["tokens/generated_ids"][: self.steps]

    @property
    def fed_ids(self):
        """int32 [steps]: what each step was fed."""
        return self.file["tokens/fed_ids"][: self.steps]

    @property
    def strings(self):
        """[prompt_len + steps]: the tokens as text, invalid bytes as U+FFFD."""
        return list(self.file["tokens/strings"].asstr()[:])

    @property
    def kv_len(self):
        """int64 [steps]: positions in use at each step."""
        return self.file["steps/kv_len"][: self.steps]

    @property
    def latency_ms(self):
        """float32 [steps]"""
        return self.file["steps/latency_ms"][: self.steps]

    @property
    def tier(self):
        """What the slower tier was asked at each step, by name: "bytes", "wanted", "held", "predicted", "missed",
        "fetched" (int64 [steps]) and "stall_ms" (float32 [steps]). Raises NotRecorded without `--offload`."""
        if not self.has_tier:
            raise NotRecorded(f"{self.file.filename}: no steps/tier_bytes; record with --offload")
        return {name: self.file[f"steps/tier_{name}"][: self.steps] for name in TIER}

    @property
    def has_tier(self):
        """Whether the run was offloaded."""
        return "steps/tier_bytes" in self.file

    def prefill_prob(self, layer):
        """(query positions int64 [q], weights float32 [n_heads, q, prompt_len]) of the rows kept from the prefill.

        Raises NotRecorded without `--prefill-rows`.
        """
        path = f"prefill/layers/{self.layers[layer].name}/prob"
        if path not in self.file:
            raise NotRecorded(f"{self.file.filename}: no {path}; record with --prefill-rows")
        return self.file["prefill/query_positions"][:], self.file[path][:].astype(np.float32)

    def steps_table(self):
        """DataFrame, a row a step: kv_len, latency_ms, fed_id, fed, generated_id; of an
        offloaded run also tier_bytes and the other counts of `tier`."""
        return tables.steps(self)

    def layers_table(self):
        """DataFrame, a row a (step, layer): role, rows_read (mean over KV heads), bytes_read, reused (-1: no sets
        that the method keeps)."""
        return tables.layers(self)


class Layer:
    """One layer of a recording. Steps count from 0; a negative one counts from the last."""

    def __init__(self, recording, index):
        self.recording = recording
        self.index = index
        self.name = f"{index:03d}" if recording.n_layers >= 100 else f"{index:02d}"

    def __repr__(self):
        return f"<Layer {self.index} of {self.recording.file.filename}>"

    def has(self, dataset):
        """Whether the layer has this dataset: "prob", "shadow_prob", "selected", "top_position", …"""
        return f"layers/{self.name}/{dataset}" in self.recording.file

    @property
    def roles(self):
        """[steps]: "full", "select", "sparse", "estimate" or "keep"."""
        return [ROLES[code] for code in self._data("role")[: self.recording.steps]]

    @property
    def rows_read(self):
        """int32 [steps, n_kv_heads]: distinct K and V rows read of each KV head."""
        return self._data("rows_read")[: self.recording.steps]

    @property
    def bytes_read(self):
        """int64 [steps]: bytes of K, V and metadata; -1: not known."""
        return self._data("bytes_read")[: self.recording.steps]

    @property
    def reused(self):
        """int8 [steps]: whether the sets came out of the method's cache: 1 reused, 0 chosen anew, -1 no sets. Raises
        NotRecorded for a layer whose method keeps none from step to step."""
        return self._data("reused")[: self.recording.steps]

    @property
    def set_of_head(self):
        """int32 [n_heads]: the set that each query head reads. Raises NotRecorded for a layer without sets."""
        return self._data("set_of_head")[:]

    def prob(self, step):
        """float32 [n_heads, kv_len]: the weights that made the layer's output; 0 where it did not read."""
        return self._weights("prob", step)

    def shadow_prob(self, step):
        """float32 [n_heads, kv_len]: full attention's weights for the same query (`--shadow`)."""
        return self._weights("shadow_prob", step)

    def top(self, step):
        """(positions int32, weights float32), both [n_heads, K], of a recording with `--maps topk:K`."""
        at = self._step(step)
        return self._data("top_position")[at], self._data("top_prob")[at].astype(np.float32)

    def selected(self, step):
        """A list, one int32 array a set: what a select layer chose, or another read; forced positions first
        (ascending), then by falling score. Raises NotRecorded for a layer that reads everything."""
        return [positions[positions >= 0] for positions in self._data("selected")[self._step(step)]]

    def selected_score(self, step):
        """A list, one float32 array a set, as `selected`: the choosing rule's score; NaN where forced."""
        at = self._step(step)
        chosen, scores = self._data("selected")[at], self._data("selected_score")[at]
        return [score[position >= 0] for position, score in zip(chosen, scores)]

    def read_by_head(self, step, head):
        """int32: the positions that a query head read at a step; None: all of them."""
        if not self.has("selected") or self.roles[step] in ("full", "select"):
            return None
        return self.selected(step)[self.set_of_head[head]]

    def selected_table(self, step=None):
        """DataFrame, a row a (step, set, rank): position, score, token. step: one step; None: all."""
        return tables.selected(self, step)

    def _step(self, step):
        steps = self.recording.steps
        if not -steps <= step < steps:
            raise IndexError(f"step {step} of {self.recording.file.filename}, which has {steps}")
        return step % steps

    def _weights(self, dataset, step):
        at = self._step(step)
        kv_len = int(self.recording.file["steps/kv_len"][at])
        return self._data(dataset)[at, :, :kv_len].astype(np.float32)

    def _data(self, dataset):
        if not self.has(dataset):
            raise NotRecorded(f"{self.recording.file.filename}: layer {self.index} has no {dataset}")
        return self.recording.file[f"layers/{self.name}/{dataset}"]
