#!/bin/bash
# TidalDecode's KV-cache correction: how often must tokens made under sparse attention pass once more, densely?
# experiments/tidaldecode-correction/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
head_map
step sweep sweep
finish
