#!/bin/bash
# TidalDecode's needles in a haystack: budgets x re-selection layers, beside Quest (arXiv 2410.05076).
# experiments/tidaldecode-needle/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
head_map
step sweep sweep
finish
