#!/bin/bash
# setup/configure.sh BUILD_DIR [CMAKE OPTION…]: configures when there is nothing yet, when the folder
# belongs to a checkout that has moved, or when an option asked for differs from the one in the cache.
# The build tool itself reconfigures when a CMake file changes. A new folder has no tests unless they
# are asked for, so that building needs no test library; one that has them keeps them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$1
shift
cache=$build/CMakeCache.txt

is_set() {
  local name=${1%%=*} value=${1#*=}
  grep -q "^${name#-D}:[A-Z]*=${value}$" "$cache"
}

if [[ -e $build/build.ninja && -e $cache ]] && grep -qFx "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
  settled=yes
  for option in "$@"; do
    is_set "$option" || settled=no
  done
  [[ $settled == no ]] || exit 0
  exec cmake -S "$root" -B "$build" "$@" --log-level=NOTICE
fi

launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
exec cmake -S "$root" -B "$build" --fresh -G Ninja -DTIDEGAUGE_TESTS=OFF "${launcher[@]}" "$@" \
  --log-level=NOTICE
