#!/bin/bash
# TidalDecode's observation: neighbouring layers look at the same positions. Overlap of every pair of layers.
# experiments/tidaldecode-overlap/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
step record recordings
step analyze analysis recordings/*.h5
finish
