#!/bin/sh
# Makes sure that programs and libraries to build against are there: need.sh PROGRAM=DEBIAN_PACKAGE …; a library
# is named by its file for pkg-config, as in libavcodec.pc=libavcodec-dev.
# Root: installs what is missing. Anyone else: prints the one command that does, and exits 2.
set -eu
missing=
there() {
    case $1 in
    *.pc) pkg-config --exists "${1%.pc}" ;;
    *) command -v "$1" ;;
    esac >/dev/null 2>&1
}
for pair in "$@"; do
    there "${pair%%=*}" || missing="$missing ${pair#*=}"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$missing (this machine has no apt-get; install them its own way)" >&2
    exit 2
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "missing:$missing. Install with:" >&2
    echo "  sudo apt-get install --no-install-recommends -y$missing" >&2
    exit 2
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of packages
if ! apt-get install --no-install-recommends -y -qq $missing >/dev/null 2>&1; then
    # A fresh machine knows no packages yet.
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install --no-install-recommends -y -qq $missing >/dev/null
fi
