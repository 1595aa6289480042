#!/bin/bash
# Every method x budgets 32 to 512 x tasks: needles at 1 K, 2 K and 4 K, key-value lines, RULER's eleven
# synthetic tasks at 2 K, perplexity and fidelity on text at 4 K. Interrupted, the same command continues.
#
# experiments/matrix/run.sh [FOLDER] [NAME=VALUE...]
#   FOLDER      where the runs go (default out/matrix)
#   NAME=VALUE  settings on top of every config, e.g. samples=2 for a slice
#   MODEL       a checkpoint (default: the installed model)
#   PARTS       some of "needle lines ruler text" (default: all)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tidegauge=${TIDEGAUGE:-$root/build/tidegauge}
model=()
[ -z "${MODEL:-}" ] || model=(--model "$(realpath "$MODEL")")
out=${1:-$root/out/matrix}
shift || true
settings=()
for setting in "$@"; do settings+=(--set "$setting"); done

mkdir -p "$out"
cd "$out"
if [ ! -e headmap.json ]; then
  "$tidegauge" record "${model[@]}" --task text --samples 8 --length 1024 --steps 32 --policy full --out recordings
  "$tidegauge" analyze recordings/*.h5 --out analysis
  cp analysis/headmap.json headmap.json
fi
[ -e channels.json ] || "$tidegauge" calibrate "${model[@]}" --method doublesparsity --blocks 64 --out channels.json
for part in ${PARTS:-lines needle text ruler}; do
  "$tidegauge" sweep "${model[@]}" --config "$root/configs/matrix-$part.toml" --out "$part" "${settings[@]}"
done
