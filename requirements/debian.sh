#!/usr/bin/env bash
# Installs programs from Debian's packages where they are missing: requirements/debian.sh NAME=PACKAGE ...
# It ends well where it cannot: what needs them is left out then, and says so.
set -euo pipefail

missing=()
for pair in "$@"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
done
if ((${#missing[@]} == 0)); then exit; fi

as_root=()
if ((EUID != 0)); then as_root=(sudo -n); fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y "$@" >/dev/null; }
if command -v apt-get >/dev/null && apt update && apt install "${missing[@]}"; then
    echo "Installed ${missing[*]}."
else
    echo "Could not install ${missing[*]}; what needs them is left out, with a reason." >&2
fi
