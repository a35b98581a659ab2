#!/bin/sh
# Matches edited copies of videos from Debian packages, beside PyPI vpdq as python-threatexchange decides, and
# writes the videos' table of docs/benchmarks/matching.md and matching-video.json. Everything it fetches and
# makes is under target/bench-matching-video.
set -eu
cd "$(dirname "$0")/.."
scripts/need.sh python3=python3 dpkg-deb=dpkg ffmpeg=ffmpeg
work=$PWD/target/bench-matching-video
mkdir -p "$work"
python=$(scripts/bench-matching/python.sh "$work")
"$python" scripts/bench-matching/videos.py "$work"
cargo build --release --locked --quiet --package watchfire-index --example match_files
# A slow machine looks at a sample: LIST has all references and some of the queries, by lot.
list=${LIST:-$work/videos.tsv}
target/release/examples/match_files videos "$list" "$work/matches.tsv" >"$work/run.json"
"$python" scripts/bench-matching/video_report.py "$work" "$list" "$work/run.json" "$work/matches.tsv"
cargo build --release --locked --quiet --package watchfire-cli --bin watchfire
"$python" scripts/bench-matching/frame_pairs.py "$list" target/release/watchfire
