"""The other side of bench_pdq.rs: PyPI pdqhash from pixels, and from JPEG files with Pillow.

pip install pdqhash pillow numpy; python bench_pdq.py [FILE.jpg ...]
"""

import sys
import time

import numpy
import pdqhash
from PIL import Image

SIZES = [(512, 512), (1600, 1004), (4000, 3000)]
AT_LEAST_S = 1.0


def report(what, run):
    start, times = time.perf_counter(), []
    while time.perf_counter() - start < AT_LEAST_S or len(times) < 5:
        begin = time.thread_time()
        run()
        times.append((time.thread_time() - begin) * 1e3)
    times.sort()
    print(f"{what}: best {times[0]:.3f} ms, median {times[len(times) // 2]:.3f} ms", flush=True)


def pixels_of(path):
    return numpy.asarray(Image.open(path).convert("RGB"))


for width, height in SIZES:
    pixels = numpy.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=numpy.uint8)
    report(f"pixels {width}x{height}", lambda: pdqhash.compute(pixels))
for path in sys.argv[1:]:
    report(f"decode {path}", lambda: pixels_of(path))
    report(f"decode and hash {path}", lambda: pdqhash.compute(pixels_of(path)))
