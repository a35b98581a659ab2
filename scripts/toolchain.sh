#!/bin/sh
# Makes sure that cargo is there; the version itself is pinned by rust-toolchain.toml, which rustup
# obeys. Prints the one command when it is not, and exits 2.
set -eu
if ! command -v cargo >/dev/null 2>&1; then
    echo "missing: cargo. Install it with:" >&2
    echo "  curl --proto '=https' -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain none && . ~/.cargo/env" >&2
    exit 2
fi
wanted=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
found=$(cargo --version | cut -d' ' -f2)
if [ "$found" != "$wanted" ]; then
    echo "cargo is $found, the project is built with $wanted: use rustup, not the system's package" >&2
    exit 2
fi
