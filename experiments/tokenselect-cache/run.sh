#!/bin/bash
# TokenSelect's selection cache: similarity threshold against hits and fidelity (arXiv 2411.02886).
# experiments/tokenselect-cache/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
step sweep sweep
finish
