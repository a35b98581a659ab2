# The two commands a newcomer needs are `make demo` and `make test`; `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help demo test bench bench-matching bench-overtaking bench-christchurch bench-small-member build toolchain media

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: toolchain media ## ten members on this machine play the story; ARGS="--media FILE --keep --json"
	cargo build --release --locked --package watchfire-cli --bin watchfire
	@target/release/watchfire demo $(ARGS)

test: toolchain media ## format, house rules, lints, tests, documentation, a short demo
	@scripts/test.sh

bench: toolchain ## measure hashing, the index and durable commits on this machine
	@scripts/bench.sh

bench-matching: toolchain media ## edited copies of public photographs and videos: what is found, beside pdqhash and vpdq
	@scripts/bench-matching.sh
	@scripts/bench-matching-videos.sh

bench-overtaking: toolchain ## a hundred thousand alerts, the last one retracted, the reader killed on the way: minutes
	cargo nextest run --profile long --workspace --locked

bench-christchurch: toolchain media ## an hour of an attack with 800 variants of a film, each another file: many minutes
	WATCHFIRE_S3_VARIANTS=800 cargo nextest run --profile christchurch --workspace --locked

bench-small-member: toolchain ## one processor and 256 MiB behind NAT, a million records to catch up with: minutes
	WATCHFIRE_S13_RECORDS=1000000 cargo nextest run --profile small-member --workspace --locked

build: toolchain ## the binary that users run: target/release/watchfire
	cargo build --release --locked --package watchfire-cli --bin watchfire

toolchain:
	@scripts/toolchain.sh

media:
	@scripts/need.sh ffmpeg=ffmpeg
