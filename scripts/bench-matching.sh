#!/bin/sh
# Matches edited copies of photographs, sounds and texts from Debian packages, beside what the field uses, and
# writes the tables of
# docs/benchmarks/matching.md and .json. Everything it fetches and makes is under target/bench-matching.
set -eu
cd "$(dirname "$0")/.."
scripts/need.sh python3=python3 dpkg-deb=dpkg ffmpeg=ffmpeg
work=target/bench-matching
mkdir -p "$work"
python=$(scripts/bench-matching/python.sh "$work")
bench=scripts/bench-matching
for look in first other third; do
    "$python" $bench/pictures.py "$work" $look
    "$python" $bench/at_once.py make "$work" $look
done
"$python" $bench/sounds.py "$work"
"$python" $bench/texts.py "$work"
cargo build --release --locked --quiet --package watchfire-index --example match_files
for kind in pictures-first pictures-other pictures-third sounds texts; do
    target/release/examples/match_files "${kind%%-*}" "$work/$kind.tsv" "$work/$kind-matches.tsv" >"$work/$kind-run.json"
done
for kind in pictures-first pictures-other pictures-third texts; do
    "$python" $bench/peers.py "${kind%%-*}" "$work/$kind.tsv" "$work/$kind-peers.tsv"
done
for look in first other third; do
    target/release/examples/match_files pictures "$work/at-once-$look.tsv" "$work/at-once-$look-matches.tsv"
done
"$python" $bench/at_once.py count "$work" first other third
"$python" $bench/report.py "$work" docs/benchmarks/matching
