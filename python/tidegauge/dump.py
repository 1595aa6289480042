"""Attention of another program, as `tidegauge import` reads it."""

import pathlib

import numpy as np


def _as_numpy(weights):
    """[heads, queries, positions] of a NumPy array or a torch tensor, with or without a batch of one in front."""
    if hasattr(weights, "detach"):
        weights = weights.detach().float().cpu().numpy()  # NumPy has no bf16
    weights = np.asarray(weights, dtype=np.float32)
    if weights.ndim == 4:
        if weights.shape[0] != 1:
            raise ValueError(f"attention of a batch of {weights.shape[0]}; a dump holds one sequence")
        weights = weights[0]
    if weights.ndim != 3:
        raise ValueError(f"attention of shape {list(weights.shape)}, expected [heads, queries, positions]")
    return weights


class AttentionDump:
    """Collects the attention of decoding steps, layer by layer, and saves it as arrays layer_NN [steps, heads,
    positions] in an .npz. A step is one query row over all positions up to its own.

    From Hugging Face transformers (`attn_implementation="eager"`), either step by step,

        dump = AttentionDump()
        output = model(ids, past_key_values=cache, output_attentions=True)
        dump.add(output.attentions)

    or at once, the last rows of one pass over a whole text (teacher-forced decoding has the same weights):

        dump = AttentionDump()
        dump.add(model(ids, output_attentions=True).attentions, last=64)
    """

    def __init__(self):
        self._steps = []  # by step: by layer [heads, positions]

    def add(self, attentions, last=None):
        """attentions: one array or tensor a layer, [1, heads, queries, positions] or without the 1, where query
        i of n stands at position positions - n + i. last: only so many of the queries; None: all.

        Raises ValueError: layers that disagree, a weight beyond its query's position, steps that do not follow
        one another, positions that were dropped (a cache that forgets cannot be imported).
        """
        layers = [_as_numpy(weights) for weights in attentions]
        shapes = {layer.shape for layer in layers}
        if len(shapes) != 1:
            raise ValueError(f"layers of different shapes: {sorted(shapes)}; a dump needs every head and position")
        _, queries, positions = shapes.pop()
        if queries > positions:
            raise ValueError(f"{queries} queries over {positions} positions")
        first = 0 if last is None else max(0, queries - last)
        for query in range(first, queries):
            self._add_step([layer[:, query] for layer in layers], positions - queries + query + 1)

    def _add_step(self, rows, kv_len):
        if self._steps:
            before = self._steps[-1]
            if (len(before), before[0].shape) != (len(rows), (len(rows[0]), kv_len - 1)):
                raise ValueError(
                    f"a step of {len(rows)} layers, {len(rows[0])} heads and {kv_len} positions after one of "
                    f"{len(before)}, {before[0].shape[0]} and {before[0].shape[1]}; a step adds one position"
                )
        for layer, row in enumerate(rows):
            if np.any(row[:, kv_len:] != 0):
                raise ValueError(f"layer {layer}: weight beyond position {kv_len - 1}; only causal attention decodes")
        self._steps.append([row[:, :kv_len].copy() for row in rows])

    def save(self, path):
        """Writes the .npz (its name ends so). Raises ValueError when nothing was added."""
        if not self._steps:
            raise ValueError("nothing to save: no step was added")
        path = pathlib.Path(path)
        if path.suffix != ".npz":
            raise ValueError(f"{path}: a dump's name ends in .npz")
        n_layers, (n_heads, positions) = len(self._steps[-1]), self._steps[-1][0].shape
        digits = 3 if n_layers >= 100 else 2
        arrays = {}
        for layer in range(n_layers):
            array = np.zeros((len(self._steps), n_heads, positions), np.float32)
            for step, rows in enumerate(self._steps):
                array[step, :, : rows[layer].shape[1]] = rows[layer]
            arrays[f"layer_{layer:0{digits}d}"] = array
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.savez(file, **arrays)
        part.replace(path)
