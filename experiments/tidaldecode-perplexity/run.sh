#!/bin/bash
# TidalDecode's perplexity against budget (arXiv 2410.05076), one token a step under each policy.
# experiments/tidaldecode-perplexity/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
head_map
step sweep sweep
finish
