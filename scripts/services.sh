#!/bin/sh
# Platforms that the connectors are tried against, as real as they come.
#   services.sh install           installs what is missing into target/services, prints how long it took
#   services.sh run NAME [ARGS]   runs a private one on loopback until standard input ends; prints one
#                                 line of JSON when it is ready (NAME: synapse, atproto)
# Root is needed only for Debian packages that are missing.
set -eu
cd "$(dirname "$0")/.."
home="$PWD/target/services"
files="$PWD/scripts/services"

# timed NAME COMMAND…: says how long a command took.
timed() {
    what=$1
    shift
    begin=$(date +%s)
    "$@"
    printf '%-22s %4ss\n' "$what" "$(($(date +%s) - begin))"
}

# current NAME FILE…: whether NAME was installed from exactly these files.
current() {
    name=$1
    shift
    [ "$(cat "$home/$name/installed" 2>/dev/null)" = "$(cat "$@" | sha256sum)" ]
}

install_synapse() {
    rm -rf "$home/synapse"
    python3 -m venv "$home/synapse"
    "$home/synapse/bin/pip" install --quiet --disable-pip-version-check -r "$files/requirements.txt"
    cat "$files/requirements.txt" | sha256sum >"$home/synapse/installed"
}

install_atproto() {
    rm -rf "$home/atproto"
    mkdir -p "$home/atproto"
    cp "$files/package.json" "$files/package-lock.json" "$home/atproto/"
    # One package is compiled for this Node: with the headers that came with it, if they did.
    [ ! -d /usr/include/node ] || export npm_config_nodedir=/usr
    (cd "$home/atproto" && npm ci --no-audit --no-fund --loglevel=error)
    cat "$files/package.json" "$files/package-lock.json" | sha256sum >"$home/atproto/installed"
}

case "${1:-}" in
install)
    mkdir -p "$home"
    # python3's own `venv` needs a second package on Debian.
    python3 -c 'import ensurepip' 2>/dev/null || scripts/need.sh python3-venv-of-debian=python3-venv
    timed "debian packages" scripts/need.sh python3=python3 node=nodejs npm=npm \
        redis-server=redis-server psql=postgresql c++=g++ make=make
    current synapse "$files/requirements.txt" || timed "synapse (PyPI)" install_synapse
    current atproto "$files/package.json" "$files/package-lock.json" ||
        timed "atproto (npm)" install_atproto
    ;;
run)
    name=${2:-}
    shift 2
    [ -e "$home/$name/installed" ] || {
        echo "$name is not installed: scripts/services.sh install" >&2
        exit 2
    }
    case "$name" in
    synapse) exec "$home/synapse/bin/python" "$files/synapse.py" "$@" ;;
    atproto) NODE_PATH="$home/atproto/node_modules" exec node "$files/atproto.cjs" "$@" ;;
    esac
    ;;
*)
    sed -n '2,6p' "$0" >&2
    exit 2
    ;;
esac
