#!/usr/bin/env python3
"""What sharing a sample's prefill and decoding all policies as one batch saves, on a slice of the matrix.

Interleaved rounds of two ways to the same rows: one sweep of all configurations, and a sweep for each of a few
configurations, which prefills every sample for itself. The second way's time for all configurations is DERIVED:
the mean of those measured, times their number. Run in a folder that holds headmap.json and channels.json
(experiments/matrix/run.sh makes them).

    shared_prefill.py --tidegauge build/tidegauge --length 2048 --rounds 3 --out shared-prefill.json
"""

import argparse
import csv
import json
import pathlib
import platform
import shutil
import statistics
import subprocess
import tempfile
import time

ALONE = ["quest:budget=64", "tidal:budget=64,select=2+14,sinks=4,recent=16", "snapkv:budget=64", "tokenselect:budget=64"]


def timed_sweep(args, folder, policies=None):
    """Seconds of a sweep over the slice, and its rows without the columns that time decides."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [args.tidegauge, "sweep", "--config", args.config, "--set", f"lengths={args.length}",
               "--set", "samples=1", "--out", folder]
    for policy in policies or []:
        command += ["--policies", policy]
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - begin
    with open(pathlib.Path(folder) / "results.csv", newline="") as file:
        rows = {(r["policy"], r["depth"], r["sample"]): (r["output"], r["kl"], r["rows_read"])
                for r in csv.DictReader(file)}
    return seconds, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = pathlib.Path(__file__).resolve()
    parser.add_argument("--tidegauge", default=str(here.parents[2] / "build/tidegauge"))
    parser.add_argument("--config", default=str(here.parents[2] / "configs/matrix-needle.toml"))
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()

    together, alone = [], {policy: [] for policy in ALONE}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for _ in range(args.rounds):
            seconds, rows = timed_sweep(args, f"{folder}/together")
            together.append(seconds)
            for policy in ALONE:
                seconds, own = timed_sweep(args, f"{folder}/alone", [policy])
                alone[policy].append(seconds)
                for key, row in own.items():
                    assert rows[key] == row, f"{key}: another row than in the sweep of all"
        machine = json.loads(pathlib.Path(f"{folder}/together/machine.json").read_text())
    n_policies = len({policy for policy, _, _ in rows})
    per_policy = statistics.mean(statistics.median(times) for times in alone.values())
    result = {
        "what": "one sweep of all configurations against one prefill per configuration, "
                f"needles of {args.length} tokens, five samples",
        "configurations": n_policies,
        "together_s": together,
        "alone_s": alone,
        "derived_alone_all_s": per_policy * n_policies,
        "derived_ratio": per_policy * n_policies / statistics.median(together),
        "machine": machine,
        "system": platform.platform(),
    }
    pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")
    print(f"{n_policies} configurations together: {statistics.median(together):.0f} s; one prefill each (derived): "
          f"{per_policy * n_policies:.0f} s, {result['derived_ratio']:.1f} times as long")


if __name__ == "__main__":
    main()
