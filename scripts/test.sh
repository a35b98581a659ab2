#!/bin/sh
# Everything that must hold before a change goes in, a stage after the other, with the time of each.
# The last line is `test: N passed, N failed`; the exit code is 0 only when nothing failed.
set -eu
cd "$(dirname "$0")/.."
log=target/test-log
mkdir -p "$log"
summary="$log/summary"
: >"$summary"
failed_stages=0

# stage NAME MINUTES COMMAND…: runs it, shows its output, and goes on after a failure, so that one run
# shows everything that is wrong. What takes longer than so many minutes hangs, and is ended: they are
# many times what two cores need from nothing.
stage() {
    name=$1 minutes=$2
    shift 2
    echo "==> $name: $*"
    begin=$(date +%s)
    status=0
    # `tee` would hide the exit code: it is carried past it in a file. `timeout` has a process group of
    # its own, to end all of it, so the number of that is kept for Ctrl-C.
    {
        timeout --kill-after=30 "${minutes}m" "$@" 2>&1 &
        echo $! >"$log/running"
        wait $! || echo $? >"$log/$name.status"
    } | tee "$log/$name.log"
    rm -f "$log/running"
    [ ! -s "$log/$name.status" ] || status=$(cat "$log/$name.status")
    rm -f "$log/$name.status"
    ended "$name" "$minutes" "$status" "$(($(date +%s) - begin))"
}

# ended NAME MINUTES STATUS SECONDS: notes how a stage went.
ended() {
    verdict=ok
    case $3 in
    0) ;;
    124 | 137) verdict="FAILED (not done after $2 minutes)" ;;
    *) verdict="FAILED ($3)" ;;
    esac
    [ "$3" -eq 0 ] || failed_stages=$((failed_stages + 1))
    printf '%-8s %4ss  %s\n' "$1" "$4" "$verdict" >>"$summary"
}

# beside NAME MINUTES COMMAND…: begins a stage that runs beside those that follow, until `await NAME MINUTES`, which
# shows what it said.
beside() {
    name=$1 minutes=$2
    shift 2
    echo "==> $name, beside what follows: $*"
    {
        begin=$(date +%s)
        status=0
        timeout --kill-after=30 "${minutes}m" "$@" >"$log/$name.log" 2>&1 &
        echo $! >"$log/beside"
        wait $! || status=$?
        echo "$status $(($(date +%s) - begin))" >"$log/$name.ended"
    } &
}

await() {
    until [ -s "$log/$1.ended" ]; do sleep 1; done
    rm -f "$log/beside"
    echo "==> $1"
    cat "$log/$1.log"
    read -r status seconds <"$log/$1.ended"
    ended "$1" "$2" "$status" "$seconds"
}

# interrupted: ends what runs, and this script with it.
interrupted() {
    for running in "$log/running" "$log/beside"; do
        [ ! -s "$running" ] || kill "$(cat "$running")" 2>/dev/null || true
    done
    exit 130
}
trap interrupted INT TERM

# What is compiled once and thrown away need not be prepared for the next time.
[ -z "${CI:-}" ] || export CARGO_INCREMENTAL=0
rm -f "$log"/*.status "$log"/*.ended "$log/running" "$log/beside"
# The platforms that connectors are tried against: minutes on a fresh machine, most of them waiting for registries, and
# nothing afterwards.
beside services 30 scripts/services.sh install
stage format 5 cargo fmt --all --check
stage tidy 20 cargo xtask tidy
stage lint 45 cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
await services 30
# Benchmarks are examples: lints have compiled them, and no test runs them. A connector's test calls one example.
targets="--lib --bins --tests"
stage receiver 60 cargo build --workspace --locked --quiet --example receiver
if cargo nextest --version >/dev/null 2>&1; then
    # shellcheck disable=SC2086 # they are words
    stage tests 90 cargo nextest run --profile ci --workspace $targets --locked --no-fail-fast --status-level fail --final-status-level fail --cargo-quiet --no-tests=pass
    stage examples 30 cargo test --workspace --locked --quiet --doc
else
    # shellcheck disable=SC2086 # they are words
    stage tests 90 cargo test --workspace $targets --locked --quiet --no-fail-fast
fi
stage docs 45 env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
# The program that the tests ran is the one that the demo plays with.
stage demo 10 target/debug/watchfire demo --alerts 20

# nextest says "N tests run: N passed (…), N failed"; cargo test "test result: ok. N passed; N failed".
count() {
    cat "$log/tests.log" "$log/examples.log" 2>/dev/null | sed 's/\x1b\[[0-9;]*m//g' |
        grep -E 'tests? run:|^test result:' | grep -oE "[0-9]+ $1" |
        awk '{ n += $1 } END { print n + 0 }'
}
passed=$(count passed)
failed=$(count '(failed|timed out)')
echo
cat "$summary"
if [ "$failed_stages" -gt 0 ] && [ "$failed" -eq 0 ]; then
    failed=$failed_stages
fi
echo "test: $passed passed, $failed failed"
[ "$failed_stages" -eq 0 ]
