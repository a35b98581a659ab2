"""The other side of bench_video.rs: PyPI vpdq at one frame a second and at every frame.

apt-get install libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libavfilter-dev libavdevice-dev
pip install vpdq; python bench_video.py FILE [ROUNDS]
"""

import resource
import sys
import time

import vpdq

ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def report(what, seconds_per_hash):
    walls, before = [], processor_seconds()
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        frames = vpdq.computeHash(sys.argv[1], seconds_per_hash=seconds_per_hash)
        walls.append((time.perf_counter() - begin) * 1e3)
    each = (processor_seconds() - before) * 1e3 / ROUNDS
    print(f"{what}: {len(frames)} frames, {each:.0f} ms of processor time, best wall time {min(walls):.0f} ms")


report("vpdq, 1 a second", 1)
report("vpdq, every frame", 0)
