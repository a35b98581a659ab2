"""Counts pairs of frames of different videos, and those that are near all the same.

frame_pairs.py LIST PROGRAM: each frame of the references is compared with two frames a second of the copies of other
clips, as they are and mirrored, as a node compares them. LIST has lines as `videos.tsv`, PROGRAM is `watchfire`. Writes
the paragraph on frames of docs/benchmarks/matching.md, and `frame_pairs` of matching-video.json.
"""

import datetime
import json
import os
import pathlib
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from video_report import DOCS, bound, read

BEGIN, END = "<!-- frames -->\n", "<!-- end of frames -->"
# How many are asked for.
WANTED = 100_000_000
# The field's distance for a match of two hashes, and its least quality: of a pair one frame has to have it.
MAX_DISTANCE, MIN_QUALITY = 31, 50
# The bits of a hash that a mirrored picture has the other way round: of all odd frequencies across.
MIRRORED = np.full(32, 0x55, np.uint8)


def hashed(program, path, *rate):
    """Distinct hashes of a video's frames, and whether each has quality."""
    told = subprocess.run([program, "hash", "--json", *rate, path], check=True, capture_output=True, text=True).stdout
    value = next(one["value"] for one in json.loads(told)["signals"] if one["kind"] == "vpdq")
    frames = [line.split(",") for line in value.splitlines()]
    best = {}
    for _, quality, pdq, _ in frames:
        best[pdq] = max(best.get(pdq, 0), int(quality))
    hashes = np.array([np.frombuffer(bytes.fromhex(pdq), np.uint8) for pdq in best])
    return hashes, np.array(list(best.values())) >= MIN_QUALITY


def all_of(program, paths, *rate):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(paths, pool.map(lambda path: hashed(program, path, *rate), paths)))


def main():
    rows, program = read(sys.argv[1]), sys.argv[2]
    clips = {path: name for _, name, _, _, path in rows}
    references = all_of(program, [path for role, *_, path in rows if "reference" in role])
    queries = all_of(program, [path for role, *_, path in rows if "query" in role], "--per-second", "2")
    compared, near, nearest = 0, Counter(), 256
    for query, (asked, good) in queries.items():
        asked = np.concatenate([asked, asked ^ MIRRORED]).view(np.uint64)
        good = np.concatenate([good, good])
        for reference, (known, known_good) in references.items():
            if clips[query] == clips[reference]:
                continue
            counts = good[:, None] | known_good[None, :]
            distances = np.bitwise_count(asked[:, None, :] ^ known.view(np.uint64)[None]).sum(axis=2)
            distances = distances[counts]
            compared += int(counts.sum())
            if distances.size:
                nearest = min(nearest, int(distances.min()))
                found = int((distances <= MAX_DISTANCE).sum())
                if found:
                    near[(pathlib.Path(query).stem, pathlib.Path(reference).stem)] += found
    wrong = sum(near.values())
    result = {
        "date": datetime.date.today().isoformat(),
        "frames_of_references": sum(len(of) for of, _ in references.values()),
        "frames_of_queries": sum(len(of) for of, _ in queries.values()),
        "comparisons": compared,
        "near": wrong,
        "nearest": nearest,
        "upper_bound_95": bound(wrong, compared),
        "near_pairs": [[*pair, count] for pair, count in near.most_common(50)],
    }
    table = DOCS / "matching-video.json"
    whole = json.loads(table.read_text())
    whole["frame_pairs"] = result
    table.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    short = "" if compared >= WANTED else f" (asked for are {WANTED:,})"
    about = (
        f"{result['date']}: {result['frames_of_references']:,} distinct frames of {len(references)} references against {result['frames_of_queries']:,} of "
        f"{len(queries)} copies of {len({clips[path] for path in queries})} clips, those of another clip, as they are and mirrored, one of each pair with quality {MIN_QUALITY} at least: "
        f"{compared:,} comparisons{short}, {wrong:,} within {MAX_DISTANCE} bits (nearest {nearest}); below {result['upper_bound_95']:.1e} with 95 % confidence."
    )
    print(about)
    for pair, count in near.most_common(20):
        print(count, *pair)
    page = (DOCS / "matching.md").read_text()
    head, rest = page.split(BEGIN)
    (DOCS / "matching.md").write_text(head + BEGIN + about + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
