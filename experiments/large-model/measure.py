"""Peak memory and time of loading a model and decoding a few tokens, against the bytes of its weights.

python measure.py --tidegauge BINARY --model FOLDER [--dtype bf16] --out FILE.json
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time


def run(call):
    """(stdout, peak resident bytes, seconds) of a program."""
    begin = time.monotonic()
    child = subprocess.Popen(call, stdout=subprocess.PIPE)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, call))}: status {os.waitstatus_to_exitcode(status)}")
    return output, usage.ru_maxrss * 1024, time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tidegauge", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dtype", default="bf16")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    version = run([options.tidegauge, "--version"])[0].decode().strip()
    facts = json.loads(run([options.tidegauge, "inspect", options.model, "--json"])[0])
    model = ["--model", options.model, "--dtype", options.dtype]
    prompt = ["--raw", "--prompt", "The tide rises, the tide falls.", "--ignore-eos", "--json"]
    output, peak, seconds = run([options.tidegauge, "generate", *model, *prompt, "--steps", str(options.steps)])
    generated = json.loads(output)
    weights = facts["weights_bytes"][options.dtype]
    result = {
        "model": {key: facts["config"][key] for key in ("architecture", "n_layers", "hidden_size", "n_heads", "n_kv_heads")},
        "stored_bytes": facts["bytes"], "tidegauge": version, "dtype": options.dtype, "weights_bytes": weights, "peak_resident_bytes": peak,
        "peak_over_weights": round(peak / weights, 4), "seconds_with_loading": round(seconds, 1), "steps": options.steps,
        "generate": generated,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{options.model}: weights {weights / 1e9:.2f} GB, peak {peak / 1e9:.2f} GB, {peak / weights:.3f} of them, "
          f"{seconds:.0f} s with loading")


if __name__ == "__main__":
    main()
