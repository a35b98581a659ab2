#!/bin/sh
# Measures what is promised: hashing, the index, orders, durable commits. Numbers depend on the machine and
# on what else it does; the first lines say which machine it was.
set -eu
cd "$(dirname "$0")/.."
uname -srm
grep -m1 'model name' /proc/cpuinfo || true
uptime
measure() {
    package=$1 example=$2
    shift 2
    echo "==> $example $*"
    cargo run --release --locked --quiet --package "$package" --example "$example" -- "$@"
}
measure watchfire-media bench_pdq
index() {
    echo "==> watchfire bench index $*"
    cargo run --release --locked --quiet --package watchfire-cli --bin watchfire -- bench index --json --directory target "$@"
}
index --size 1000000
index --size 1000000 --data clustered
index --size 1000000 --data skewed
index --size 10000000
measure watchfire-index bench_videos --videos 10000
measure watchfire-index bench_flat
measure watchfire-connector bench_outbox --dir target/bench-outbox --copies 10000
measure watchfire-connector bench_outbox --dir target/bench-outbox --copies 2000 --folder yes
measure watchfire-node bench_seen --dir target/bench-seen --items 10000000
# In a minute, all at once, beyond a quota, and mostly of retractions.
measure watchfire-node bench_flood --dir target/bench-flood --alerts 100000
measure watchfire-node bench_flood --dir target/bench-flood --alerts 100000 --rate 10000000 --signed 256
measure watchfire-node bench_flood --dir target/bench-flood --alerts 40000 --rate 10000000 --signed 256 --quota 5000
measure watchfire-node bench_flood --dir target/bench-flood --alerts 1000 --undone 99000
cargo build --release --locked --quiet --package watchfire-cli --bin watchfire
measure watchfire-cli bench_catch_up --dir target/bench-catch-up --records 200000
measure watchfire-node bench_banks --directory target
measure watchfire-server bench_scan --dir target
# The disk under target/, not a temporary folder that may be memory.
measure watchfire-store commit_latency target
