"""`watchfire bench index` beside FAISS, on the same uniform hashes, one thread each, in one run.

pip install faiss-cpu numpy; python bench_index.py WATCHFIRE [SIZE] [QUERIES]
WATCHFIRE is the program. FAISS is asked as Meta's HMA asks it: flat, MultiHash 16 x 16 bits with one flip,
and MultiHash 11 x 23 bits with two. All within 31 bits; the share of what flat finds is the recall.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import faiss
import numpy

GAMMA = numpy.uint64(0x9E3779B97F4A7C15)


def hashes(first, count):
    """Hashes as the benchmark makes them: splitmix64 from the number."""
    numpy.seterr(over="ignore")
    numbers = numpy.arange(first, first + count, dtype=numpy.uint64)
    state = numbers * numpy.uint64(0x9E3779B9) + numpy.uint64(1)
    words = numpy.empty((count, 4), dtype=numpy.uint64)
    for word in range(4):
        state = state + GAMMA
        z = (state ^ (state >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        words[:, word] = z ^ (z >> numpy.uint64(31))
    return words.view(numpy.uint8).reshape(count, 32)


def near(stored, count):
    """Stored hashes with 0 to 31 bits changed."""
    random = numpy.random.default_rng(99)
    queries = stored[random.integers(0, len(stored), count)].copy()
    for query in queries:
        for bit in random.choice(256, random.integers(0, 32), replace=False):
            query[bit // 8] ^= 1 << (bit % 8)
    return queries


def measured(index, queries):
    start, found = time.thread_time(), []
    for query in queries:
        limits, _, ids = index.range_search(query[None, :], 32)
        found.append(set(ids.tolist()))
    return len(queries) / (time.thread_time() - start), found


def size_of(index):
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = os.path.join(folder, "index")
        faiss.write_index_binary(index, path)
        return os.path.getsize(path)


def main():
    program, size = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    faiss.omp_set_num_threads(1)
    ours = subprocess.run(
        [program, "bench", "index", "--size", str(size), "--json"], capture_output=True, check=True
    )
    print("watchfire", ours.stdout.decode().strip(), flush=True)
    ours = json.loads(ours.stdout)["searches_per_second_hit"]
    stored = hashes(0, size)
    queries, truth = near(stored, count), None
    kinds = [
        ("flat", lambda: faiss.IndexBinaryFlat(256), None),
        ("MultiHash 16x16, 1 flip", lambda: faiss.IndexBinaryMultiHash(256, 16, 16), 1),
        ("MultiHash 11x23, 2 flips", lambda: faiss.IndexBinaryMultiHash(256, 11, 23), 2),
    ]
    for name, make, flips in kinds:
        index = make()
        start = time.thread_time()
        index.add(stored)
        insert_us = (time.thread_time() - start) * 1e6 / size
        if flips:
            index.nflip = flips
        rate, found = measured(index, queries)
        truth = truth or found
        recall = sum(len(a & b) for a, b in zip(found, truth)) / max(1, sum(map(len, truth)))
        print(
            f"faiss {name}: {rate:.0f} searches a second, recall {recall:.3f}, insert {insert_us:.2f} us, "
            f"{size_of(index) / size:.0f} bytes a hash in a file; watchfire {ours / rate:.0f} times as fast",
            flush=True,
        )
        del index


main()
