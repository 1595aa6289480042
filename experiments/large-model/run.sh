#!/bin/bash
# A model of 8 billion weights (or 3b, 1b) on this machine: loads, decodes, and what memory it takes.
# The folder of random weights is made on the spot: 16 GB for 8b, and as much memory.
#
# experiments/large-model/run.sh [SHAPE] [FOLDER]   SHAPE: 8b, 3b, 1b (default 8b); FOLDER: where it is made
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/experiments/large-model
tidegauge=${TIDEGAUGE:-$root/build/tidegauge}
python=${PYTHON:-$root/.deps/python/bin/python3}
shape=${1:-8b}
out=${2:-$root/out/large-model}

mkdir -p "$out"
[[ -e $out/$shape/tokenizer.json ]] || {
  rm -rf "${out:?}/$shape"
  "$python" "$here/make_folder.py" --shape "$shape" --out "$out/$shape"
}
for dtype in bf16 q8_0; do
  "$python" "$here/measure.py" --tidegauge "$tidegauge" --model "$out/$shape" --dtype "$dtype" \
    --out "$out/$shape-$dtype.json"
done
