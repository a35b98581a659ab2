"""Matches the same files with what the field uses: peers.py pictures|texts LIST OUT, pairs of lines, one peer a column."""

import sys

import numpy as np
from PIL import Image

# What the field calls a match: PDQ's distance and quality; TLSH's distance; of raw text the percentage.
PDQ_DISTANCE, PDQ_QUALITY = 31, 50
TLSH_DISTANCE = 30


def rows_of(path):
    rows = [line.rstrip("\n").split("\t") for line in open(path)]
    with_role = lambda role: [number for number, row in enumerate(rows) if row[0].endswith(role)]
    return rows, with_role("reference"), with_role("query")


def pdq(path):
    import pdqhash

    bits, quality = pdqhash.compute(np.asarray(Image.open(path).convert("RGB")))
    return np.packbits(bits.astype(np.uint8)), quality


def pictures(rows, references, queries):
    hashes = {number: pdq(rows[number][-1]) for number in references + queries}
    good = [number for number in references if hashes[number][1] >= PDQ_QUALITY]
    table = np.stack([hashes[number][0] for number in good])
    for query in queries:
        bits, quality = hashes[query]
        if quality >= PDQ_QUALITY:
            distances = np.unpackbits(table ^ bits, axis=1).sum(axis=1)
            yield from (("pdqhash", query, good[at]) for at in np.flatnonzero(distances <= PDQ_DISTANCE))


def is_near(raw_text, known, asked):
    try:
        return raw_text.matches_str(known, asked).match
    except UnicodeEncodeError:
        # It compares ASCII only.
        return False


def texts(rows, references, queries):
    import tlsh
    from threatexchange.signal_type.raw_text import RawTextSignal

    text = {number: open(rows[number][-1], encoding="utf-8").read() for number in references + queries}
    hashes = {number: tlsh.hash(text[number].encode()) for number in text}
    by_name = {rows[number][1]: number for number in references}
    for query in queries:
        # Comparing raw text with all references takes hours: it is compared with the right one alone.
        right = by_name.get(rows[query][1])
        if right is not None and is_near(RawTextSignal, text[right], text[query]):
            yield "raw text", query, right
        for reference in references:
            if "TNULL" in (hashes[query], hashes[reference]) or not hashes[query] or not hashes[reference]:
                continue
            if tlsh.diffxlen(hashes[query], hashes[reference]) <= TLSH_DISTANCE:
                yield "TLSH", query, reference


def main():
    kind, path, out = sys.argv[1:]
    with open(out, "w") as file:
        for peer, query, reference in {"pictures": pictures, "texts": texts}[kind](*rows_of(path)):
            file.write(f"{peer}\t{query}\t{reference}\n")


if __name__ == "__main__":
    main()
