#!/bin/bash
# Double Sparsity: share of channels x budget (arXiv 2408.07092).
# experiments/doublesparsity-channels/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
ranked_channels
step sweep sweep
finish
