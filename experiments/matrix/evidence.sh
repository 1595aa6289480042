#!/bin/bash
# What each method still reads of the tokens that carry a needle's number: recordings of the same prompts under
# each policy, and one analysis of them all. Interrupted, the same command continues.
#
# experiments/matrix/evidence.sh [FOLDER] [LENGTH] [BUDGET] [SAMPLES]
#   MODEL    a checkpoint (default: the installed model)
#   FOLDER   where recordings and analysis go (default out/matrix/evidence); run.sh has to have made headmap.json
#            and channels.json in the folder above it
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tidegauge=${TIDEGAUGE:-$root/build/tidegauge}
model=()
[ -z "${MODEL:-}" ] || model=(--model "$(realpath "$MODEL")")
out=${1:-$root/out/matrix/evidence} length=${2:-1024} budget=${3:-64} samples=${4:-10}
policies=(
  "oracle:budget=$budget"
  "tidal:budget=$budget,select=2+14,map=@../headmap.json"
  "tidal:budget=$budget,select=2+14"
  "lessismore:budget=$budget,select=2+14"
  "quest:budget=$budget"
  "doublesparsity:budget=$budget,channels=16,calibration=@../channels.json"
  "tokenselect:budget=$budget"
  "snapkv:budget=$budget"
  "h2o:budget=$budget"
  "streaming:budget=$budget")

mkdir -p "$out"
cd "$out"
settings=("${model[@]}" --task needle --length "$length" --samples "$samples" --depths 0.1+0.3+0.5+0.7+0.9 --steps 8)
"$tidegauge" record "${settings[@]}" --policy full --out full
for i in "${!policies[@]}"; do
  "$tidegauge" record "${settings[@]}" --maps none --policy "${policies[$i]}" --out "$(printf 'p%02d' "$i")"
done
"$tidegauge" analyze full/*.h5 p*/*.h5 --out analysis
