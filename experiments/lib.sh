# shellcheck shell=bash
# What the experiments of the papers share; each folder's run.sh reads this file and says its steps.
#
#   experiments/NAME/run.sh [FOLDER] [NAME=VALUE...]
#     FOLDER              where the run goes (default out/papers/NAME); the same command continues a run
#     model=FILE|FOLDER   checkpoint (default: the installed SmolLM2); dtype=, kv_dtype=, threads= likewise
#     settings=NAME       the folder beside run.sh whose *.toml are used: smollm2 (default), llama-3-8b; or a path
#     headmap=FILE        a head map instead of one made from plain text; channels=FILE likewise
#     keep=FOLDER         copies the small files (tables, figures, config, machine) to FOLDER/NAME in the end
#     COMMAND.NAME=VALUE  a setting of record, analyze, calibrate, sweep or bench on top of COMMAND.toml
#     NAME=VALUE          the same for the command that the experiment is about: sweep where it has one
#   TIDEGAUGE=FILE        another program than build/tidegauge
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
here=$(cd "$(dirname "$0")" && pwd)
name=$(basename "$here")
tidegauge=${TIDEGAUGE:-$root/build/tidegauge}
out=$root/out/papers/$name
settings=smollm2
model_options=() # of every command that decodes
sets=()          # COMMAND NAME=VALUE, in turn
headmap='' channels='' keep='' begin=$SECONDS

# begin "$@": the arguments, and the run's folder as the current one.
begin() {
  local plain=() argument value
  for argument in "$@"; do
    value=${argument#*=}
    case $argument in
      model=*) model_options+=(--model "$(realpath -e "$value")") ;;
      dtype=* | threads=*) model_options+=("--${argument%%=*}" "$value") ;;
      kv_dtype=*) model_options+=(--kv-dtype "$value") ;;
      settings=*) settings=$value ;;
      headmap=*) headmap=$(realpath -e "$value") ;;
      channels=*) channels=$(realpath -e "$value") ;;
      keep=*) keep=$(realpath -m "$value") ;;
      record.*=* | analyze.*=* | calibrate.*=* | sweep.*=* | bench.*=*) sets+=("${argument%%.*}" "${argument#*.}") ;;
      *=*) plain+=("$argument") ;;
      *) out=$(realpath -m "$argument") ;;
    esac
  done
  [[ $settings == */* ]] && settings=$(realpath -e "$settings") || settings=$here/$settings
  if [[ ! -d $settings ]]; then
    printf '%s: no such folder of settings; there are: %s\n' "$settings" \
      "$(find "$here" -mindepth 1 -maxdepth 1 -type d -printf '%f ')" >&2
    exit 2
  fi
  local main=record
  [[ -e $settings/sweep.toml ]] && main=sweep
  for argument in "${plain[@]}"; do sets+=("$main" "$argument"); done
  mkdir -p "$out"
  cd "$out"
}

# step COMMAND FOLDER [ARGUMENT...]: one command of tidegauge with COMMAND.toml, the model and the settings.
step() {
  local command=$1 folder=$2 options=() i
  shift 2
  [[ -e $settings/$command.toml ]] && options+=(--config "$settings/$command.toml")
  for ((i = 0; i < ${#sets[@]}; i += 2)); do
    [[ ${sets[i]} == "$command" ]] && options+=(--set "${sets[i + 1]}")
  done
  [[ $command == analyze ]] || options+=("${model_options[@]}")
  printf '== %s: tidegauge %s  (%d s)\n' "$name" "$command" $((SECONDS - begin)) >&2
  "$tidegauge" "$command" "${options[@]}" "$@" --out "$folder"
}

# ranked_channels: channels.json, measured as calibrate.toml says unless a file is given.
ranked_channels() {
  if [[ -n $channels ]]; then cp "$channels" channels.json; else step calibrate channels.json; fi
}

# head_map: headmap.json, from eight passages of plain text unless one is given.
head_map() {
  if [[ -n $headmap ]]; then
    cp "$headmap" headmap.json
  elif [[ ! -e headmap.json ]]; then
    printf '== %s: head map from plain text  (%d s)\n' "$name" $((SECONDS - begin)) >&2
    "$tidegauge" record "${model_options[@]}" --task text --samples 8 --length 1024 --steps 32 --policy full --out map/text
    "$tidegauge" analyze map/text/*.h5 --no-figures --out map/analysis
    cp map/analysis/headmap.json .
    rm -r map
  fi
}

# finish: our figures beside the published ones (compared.csv, .svg, .png), and what is kept.
finish() {
  local published=$here/published.toml
  [[ -e $settings/published.toml ]] && published=$settings/published.toml # other layers stand beside the paper's
  "$tidegauge" compare --published "$published" .
  if [[ -n $keep ]]; then keep_small_files; fi
  printf '%s: %d s; compared.csv, compared.svg and the rest are in %s\n' "$name" $((SECONDS - begin)) "$out${keep:+, the small files in $keep/$name}"
}

# Tables, the figures that an experiment is about, config and machine of every step; pages, recordings and the rest of
# the figures stay where they are.
keep_small_files() {
  local file wanted=(-false) pattern
  for pattern in compared.csv compared.svg config.toml machine.json results.csv table.csv latency.csv reselection.csv \
    union.csv 'overlap_k*.csv' kernels-bench.json kernels-bench.svg overlap_head.svg overlap_layer.svg \
    recall_same_head.svg reselection.svg union.svg 'parameter_*.svg' 'methods_score*.svg' 'methods_kl*.svg'; do
    wanted+=(-o -name "$pattern")
  done
  find . -type f -not -path './recordings/sample*' -size -500k \( "${wanted[@]}" \) -printf '%P\n' | while read -r file; do
    mkdir -p "$keep/$name/$(dirname "$file")"
    cp "$file" "$keep/$name/$file"
  done
}
