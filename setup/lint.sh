#!/bin/bash
# setup/lint.sh BUILD_DIR: layout (clang-format), shell scripts (shellcheck), C++ (clang-tidy, with the
# compile commands of BUILD_DIR). Every finding is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$1

git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run --Werror
git ls-files '*.sh' .ci/run | xargs shellcheck
# clang 14 knows not all of GCC's warnings, and _Float16 only with AVX-512's; nothing is built with it.
foreign=(--extra-arg=-Wno-unknown-warning-option)
if [[ "$(uname -m)" == x86_64 ]]; then foreign+=(--extra-arg=-mavx512fp16); fi
# half.cpp asks for a CPU feature by a name that clang 14 does not know.
git ls-files 'src/*.cpp' 'kernels/*.cpp' 'analysis/*.cpp' ':!src/record/half.cpp' |
  xargs -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet "${foreign[@]}"
