#!/bin/bash
# setup/lint.sh BUILD_DIR: layout (clang-format), shell scripts (shellcheck), C++ (clang-tidy, with the
# compile commands of BUILD_DIR). Every finding is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$1

git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run --Werror
git ls-files '*.sh' .ci/run | xargs shellcheck
# LibTorch's precompiled state and CUDA sources are not clang-tidy's.
git ls-files 'src/*.cpp' 'kernels/*.cpp' 'analysis/*.cpp' | xargs -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet
