#!/bin/bash
# setup/prepare.sh GROUP…: everything that must be on the machine before a build. Groups: run, test,
# bench, style (the lists under setup/debian and setup/python). Re-running costs a second or less.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/debian_packages.sh" "$@"
"$here/python_environment.sh" "$@"
