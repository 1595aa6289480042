#!/bin/bash
# setup/debian_packages.sh GROUP…: installs the Debian packages of setup/debian/GROUP.txt that are
# missing, as root or through sudo when it asks no password. With neither: one message that names
# them and the command, exit code 2.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

is_installed() {
  [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

wanted=()
for group in "$@"; do
  while read -r package; do
    wanted+=("$package")
  done < <(grep -v -E '^(#|[[:space:]]*$)' "$here/debian/$group.txt")
done

if ! command -v dpkg-query >/dev/null; then
  echo "setup: no dpkg-query: expected Debian 12 or a system made from it, with: ${wanted[*]}" >&2
  exit 2
fi

missing=()
for package in "${wanted[@]}"; do
  is_installed "$package" || missing+=("$package")
done
((${#missing[@]})) || exit 0

install=(apt-get install -y --no-install-recommends)
if [[ "$(id -u)" == 0 ]]; then
  as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n env)
else
  echo "setup: missing Debian packages, and neither root nor sudo without a password;" \
    "install them with: apt-get update && ${install[*]} ${missing[*]}" >&2
  exit 2
fi

echo "setup: installing Debian packages: ${missing[*]}"
as_root+=(DEBIAN_FRONTEND=noninteractive)
quiet=(-qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
# A foreign source that does not answer must not stand in the way of packages that are there.
"${as_root[@]}" apt-get "${quiet[@]}" update || echo "setup: apt-get update failed; trying with the lists at hand" >&2
if ! "${as_root[@]}" "${install[@]}" "${quiet[@]}" "${missing[@]}" >/dev/null; then
  echo "setup: apt-get could not install: ${missing[*]}" >&2
  exit 1
fi
