#!/bin/bash
# Decoding beside llama.cpp, interleaved in one run, at 1 K and 8 K tokens: what `make bench` runs.
#
# experiments/bench/run.sh [FOLDER]   FOLDER: where the JSON goes (default results/bench of the checkout)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tidegauge=${TIDEGAUGE:-$root/build/tidegauge}
out=${1:-$root/results/bench}

mkdir -p "$out"
for length in 1024 8000; do
  "$tidegauge" bench decode --peer llama.cpp --length $length --steps 32 --rounds 7 \
    --policy full --policy tidal:budget=64,select=2+14 --policy tidal:budget=512,select=2+8+14 \
    --out "$out/decode-$length.json"
done
