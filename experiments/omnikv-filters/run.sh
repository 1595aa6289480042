#!/bin/bash
# OmniKV's filter layers: which, and how many (ICLR 2025).
# experiments/omnikv-filters/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
step sweep sweep
finish
