#!/bin/bash
# Which layers should select? Needles in 1 K tokens: one re-selection layer at every second layer, two at
# every fourth, budgets 32, 64 and 128, same-head reuse and a head map made from plain text.
#
# experiments/needle-placement/run.sh [FOLDER]   FOLDER: where the runs go (default out/needle-placement)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tidegauge=${TIDEGAUGE:-$root/build/tidegauge}
out=${1:-$root/out/needle-placement}

mkdir -p "$out"
cd "$out"
"$tidegauge" record --task text --samples 8 --length 1024 --steps 32 --policy full --out text
"$tidegauge" analyze text/*.h5 --out analysis
cp analysis/headmap.json headmap.json
"$tidegauge" sweep --config "$root/configs/sweep-needle-1k.toml" --out sweep
