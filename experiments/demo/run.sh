#!/bin/bash
# The main job, end to end, on the default model: record, analyse, place, compare. What is done already
# is not done again; an interrupted run goes on where it stopped.
#
# experiments/demo/run.sh [FOLDER]   FOLDER: where the results go (default out/demo of the checkout)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tidegauge=${TIDEGAUGE:-$root/build/tidegauge}
out=${1:-$root/out/demo}
tidal=tidal:budget=64,select=2+14,sinks=4,recent=16,map=@headmap.json

begin=$SECONDS
stage() { printf '\n== %s  (%d s)\n' "$1" $((SECONDS - begin)); }

mkdir -p "$out"
cd "$out"

stage "1/5 Record 4 passages of 1 K tokens under full attention: every layer's attention maps"
"$tidegauge" record --task text --samples 4 --length 1024 --steps 32 --policy full --out text

stage "2/5 Analyse them: overlap, recall, persistence, and a head map"
"$tidegauge" analyze text/*.h5 --out analysis
cp analysis/headmap.json headmap.json

stage "3/5 Record a needle prompt under TidalDecode with that map, full attention's weights beside it"
"$tidegauge" record --task needle --samples 1 --length 1024 --policy "$tidal" --shadow --out tidal

stage "4/5 Analyse what the reused sets caught"
"$tidegauge" analyze tidal/*.h5 --map headmap.json --out tidal-analysis

stage "5/5 Sweep: placements x budgets, same head and mapped, needles in 1 K tokens"
"$tidegauge" sweep --config "$root/configs/demo-sweep.toml" --out sweep

cat <<END

Results in $out ($((SECONDS - begin)) s):
  recordings          text/*.h5  tidal/*.h5
  report, heatmaps    analysis/report.html  analysis/*.png  analysis/*.svg
  head map            headmap.json
  reused sets         tidal-analysis/report.html
  accuracy, latency   sweep/report.html  sweep/results.csv
END
