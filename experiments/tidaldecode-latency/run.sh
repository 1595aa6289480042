#!/bin/bash
# TidalDecode's latency: a decode step under full attention, TidalDecode and Quest over length, and the attention
# kernels alone (arXiv 2410.05076). The policies take their steps in turn.
# experiments/tidaldecode-latency/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
if [[ ! -e kernels-bench.json ]]; then
  printf '== %s: tidegauge bench kernels  (%d s)\n' "$name" $((SECONDS - begin)) >&2
  "$tidegauge" bench kernels --only "full attention" --only "gather attention" --only "top-" --rounds 5 --out kernels-bench.json
fi
step sweep sweep
finish
