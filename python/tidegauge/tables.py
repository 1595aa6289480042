"""Recordings as pandas tables."""

import numpy as np


def _frame(columns):
    try:
        import pandas
    except ImportError as error:
        raise ImportError("tables need pandas, which is not installed; the arrays need h5py and NumPy only") from error
    return pandas.DataFrame(columns)


def steps(run):
    """Recording.steps_table"""
    strings, kv_len = run.strings, run.kv_len
    columns = {
        "step": np.arange(run.steps),
        "kv_len": kv_len,
        "latency_ms": run.latency_ms,
        "fed_id": run.fed_ids,
        "fed": [strings[n - 1] for n in kv_len],
        "generated_id": run.generated_ids,
    }
    if run.has_tier:
        columns.update({f"tier_{name}": values for name, values in run.tier.items()})
    return _frame(columns)


def layers(run):
    """Recording.layers_table"""
    n = run.steps
    return _frame({
        "step": np.tile(np.arange(n), run.n_layers),
        "layer": np.repeat(np.arange(run.n_layers), n),
        "role": [role for layer in run.layers for role in layer.roles],
        "rows_read": np.concatenate([layer.rows_read.mean(axis=1) for layer in run.layers]),
        "bytes_read": np.concatenate([layer.bytes_read for layer in run.layers]),
        "reused": np.concatenate([layer.reused if layer.has("reused") else np.full(n, -1, np.int8) for layer in run.layers]),
    })


def selected(layer, step):
    """Layer.selected_table"""
    strings = layer.recording.strings
    columns = {name: [] for name in ("step", "set", "rank", "position", "score", "token")}
    chosen_steps = range(layer.recording.steps) if step is None else [layer._step(step)]
    for at in chosen_steps:
        for number, (positions, scores) in enumerate(zip(layer.selected(at), layer.selected_score(at))):
            columns["step"].extend([at] * len(positions))
            columns["set"].extend([number] * len(positions))
            columns["rank"].extend(range(len(positions)))
            columns["position"].extend(positions.tolist())
            columns["score"].extend(scores.tolist())
            columns["token"].extend(strings[p] for p in positions)
    return _frame(columns)
