#!/bin/bash
# Quest's passkey retrieval: a number among repeated sentences, against budget (arXiv 2406.10774).
# experiments/quest-passkey/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
step sweep sweep
finish
