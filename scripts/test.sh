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
    if [ -s "$log/$name.status" ]; then
        status=$(cat "$log/$name.status")
        failed_stages=$((failed_stages + 1))
    fi
    rm -f "$log/$name.status"
    verdict=ok
    case $status in
    0) ;;
    124 | 137) verdict="FAILED (not done after $minutes minutes)" ;;
    *) verdict="FAILED ($status)" ;;
    esac
    printf '%-8s %4ss  %s\n' "$name" "$(($(date +%s) - begin))" "$verdict" >>"$summary"
}

# interrupted: ends what runs, and this script with it.
interrupted() {
    [ ! -s "$log/running" ] || kill "$(cat "$log/running")" 2>/dev/null || true
    exit 130
}
trap interrupted INT TERM

rm -f "$log"/*.status "$log/running"
stage format 5 cargo fmt --all --check
stage tidy 20 cargo xtask tidy
stage lint 45 cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
# The platforms that connectors are tried against: minutes on a fresh machine, nothing afterwards.
stage services 30 scripts/services.sh install
if cargo nextest --version >/dev/null 2>&1; then
    stage tests 90 cargo nextest run --profile ci --workspace --locked --no-fail-fast --status-level fail --final-status-level fail --cargo-quiet --no-tests=pass
    stage examples 30 cargo test --workspace --locked --quiet --doc
else
    stage tests 90 cargo test --workspace --locked --quiet --no-fail-fast
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
