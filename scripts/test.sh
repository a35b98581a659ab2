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

# stage NAME COMMAND…: runs it, shows its output, and goes on after a failure, so that one run
# shows everything that is wrong.
stage() {
    name=$1
    shift
    echo "==> $name: $*"
    begin=$(date +%s)
    status=0
    # `tee` would hide the exit code: it is carried past it in a file.
    { "$@" 2>&1 || echo $? >"$log/$name.status"; } | tee "$log/$name.log"
    if [ -s "$log/$name.status" ]; then
        status=$(cat "$log/$name.status")
        failed_stages=$((failed_stages + 1))
    fi
    rm -f "$log/$name.status"
    verdict=ok
    [ "$status" -eq 0 ] || verdict="FAILED ($status)"
    printf '%-8s %4ss  %s\n' "$name" "$(($(date +%s) - begin))" "$verdict" >>"$summary"
}

rm -f "$log"/*.status
stage format cargo fmt --all --check
stage tidy cargo xtask tidy
stage lint cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
if cargo nextest --version >/dev/null 2>&1; then
    stage tests cargo nextest run --workspace --locked --no-fail-fast --status-level fail --final-status-level fail --cargo-quiet --no-tests=pass
    stage examples cargo test --workspace --locked --quiet --doc
else
    stage tests cargo test --workspace --locked --quiet --no-fail-fast
fi
stage docs env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
# The program that the tests ran is the one that the demo plays with.
stage demo target/debug/watchfire demo --alerts 20

# nextest says "N tests run: N passed (…), N failed"; cargo test "test result: ok. N passed; N failed".
count() {
    cat "$log/tests.log" "$log/examples.log" 2>/dev/null | sed 's/\x1b\[[0-9;]*m//g' |
        grep -E 'tests? run:|^test result:' | grep -oE "[0-9]+ $1" |
        awk '{ n += $1 } END { print n + 0 }'
}
passed=$(count passed)
failed=$(count failed)
echo
cat "$summary"
if [ "$failed_stages" -gt 0 ] && [ "$failed" -eq 0 ]; then
    failed=$failed_stages
fi
echo "test: $passed passed, $failed failed"
[ "$failed_stages" -eq 0 ]
