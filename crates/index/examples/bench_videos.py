"""bench_videos beside the vPDQ index of python-threatexchange, on videos of 60 random frames, in one run.

pip install threatexchange vpdq faiss-cpu numpy; python bench_videos.py BENCH_VIDEOS [VIDEOS] [ROUNDS]
BENCH_VIDEOS is the program that `cargo build --release -p watchfire-index --example bench_videos` makes.
Both run one thread; rounds of the two take turns, and the ratio is of the medians over rounds.
"""

import json
import statistics
import subprocess
import sys
import time

import faiss
import numpy
from threatexchange.extensions.vpdq.vpdq_index import VPDQIndex

FRAMES = 60
SEARCHES = 10


def text(frames):
    """A video as a vPDQ signal: a JSON list of "pdq,quality,seconds"."""
    return json.dumps([f"{bytes(pdq).hex()},100,{at / 2}" for at, pdq in enumerate(frames)])


def main():
    program, videos = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    faiss.omp_set_num_threads(1)
    random = numpy.random.default_rng(1)
    index, stored = VPDQIndex(), []
    for number in range(videos):
        frames = random.integers(0, 256, (FRAMES, 32), dtype=numpy.uint8)
        index.add(text(frames), number)
        stored.append(frames if number < 100 else None)
    misses = [
        text(random.integers(0, 256, (FRAMES, 32), dtype=numpy.uint8)) for _ in range(SEARCHES)
    ]
    whole = text(stored[7])
    assert [match.metadata for match in index.query(whole)] == [7], "vPDQ's index finds a whole video"
    theirs, ours = [], []
    for turn in range(rounds):
        for query in misses:
            start = time.thread_time()
            index.query(query)
            theirs.append((time.thread_time() - start) * 1e6)
        run = subprocess.run([program, "--videos", str(videos)], capture_output=True, check=True)
        ours.append(json.loads(run.stdout))
        print(f"round {turn}: vpdq {statistics.median(theirs):.0f} us, watchfire {ours[-1]}", flush=True)
    theirs = statistics.median(theirs)
    for kind in ("miss_us", "hit_us"):
        us = statistics.median(run[kind] for run in ours)
        print(f"{kind}: vpdq {theirs:.0f}, watchfire {us:.0f}: {theirs / us:.0f} times as fast")


main()
