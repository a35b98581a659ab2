#!/bin/sh
# Matches edited copies of photographs from Debian packages, beside PyPI pdqhash, and writes the table of
# docs/benchmarks/matching.md and .json. Everything it fetches and makes is under target/bench-matching.
set -eu
cd "$(dirname "$0")/.."
scripts/need.sh python3=python3 dpkg-deb=dpkg
work=target/bench-matching
mkdir -p "$work"
python=${PYTHON:-$work/venv/bin/python}
if [ ! -x "$python" ]; then
    scripts/need.sh pip3=python3-pip
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --requirement scripts/bench-matching/requirements.txt
fi
"$python" scripts/bench-matching/corpus.py "$work"
cargo build --release --locked --quiet --package watchfire-index --example match_pictures
target/release/examples/match_pictures "$work/pictures.tsv" "$work/matches.tsv" >"$work/run.json"
"$python" scripts/bench-matching/report.py "$work/pictures.tsv" "$work/matches.tsv" "$work/run.json" docs/benchmarks/matching
