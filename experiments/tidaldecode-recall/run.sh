#!/bin/bash
# TidalDecode's choice of the re-selection layer: recall of the later layers' top positions, by where the second
# selection stands (arXiv 2410.05076).
# experiments/tidaldecode-recall/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
step record recordings
step analyze analysis recordings/*.h5
finish
