#!/bin/bash
# LessIsMore: how large the union of the heads' top positions is, and what sharing one set and a share of recent
# positions cost (arXiv 2508.07101).
# experiments/lessismore-union/run.sh [FOLDER] [NAME=VALUE...], see experiments/lib.sh
# shellcheck source=experiments/lib.sh
source "$(dirname "$0")/../lib.sh"
begin "$@"
step record recordings
step analyze analysis recordings/*.h5
step sweep sweep
finish
