#!/bin/bash
# Kascade's anchor layers: found by dynamic programming, greedily, or taken over from the paper's model by depth
# (arXiv 2512.16391).
# experiments/kascade-anchors/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
step calibrate kascade.json

# anchors SEARCH: "0+1+3+17+24" out of kascade.json's evidence.
anchors() {
  grep -o "{[^{}]*\"search\":\"$1\"[^{}]*}" kascade.json | grep -o '"anchors":"[0-9+]*"' | grep -o '[0-9][0-9+]*'
}
dynamic=$(anchors dynamic) greedy=$(anchors greedy) paper=$(anchors paper)
budgets=$(sed -n 's/^# budgets = //p' "$settings/sweep.toml")
policies=(--policy full)
for layers in $(printf '%s\n' "$dynamic" "$greedy" "$paper" | sort -u); do
  policies+=(--policy "kascade:budget=$budgets,select=$layers,map=none|@kascade.json")
done
step sweep sweep "${policies[@]}"
finish
