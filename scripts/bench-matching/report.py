"""Judges what the picture benchmark found, beside PyPI pdqhash, and writes the table.

report.py LIST MATCHES RUN OUT: LIST is corpus.py's table, MATCHES and RUN what the example match_pictures
wrote and printed, OUT the path of the Markdown and JSON without its ending.
"""

import collections
import datetime
import json
import math
import platform
import re
import sys

import numpy as np
import pdqhash
from PIL import Image

# What the field calls a match: distance and quality.
MAX_DISTANCE, MIN_QUALITY = 31, 50


def scene(name):
    """Names that differ in a number, a letter or a side at their end are of one scene, in these folders."""
    if name.startswith("games-endless-sky"):
        return name
    name = name.replace("left", "side").replace("right", "side")
    return re.sub(r"(_\d+x\d+|[0-9LRAB_]+|-with-street)$", "", name)


class Corpus:
    def __init__(self, path):
        self.rows = [line.rstrip("\n").split("\t") for line in open(path)]
        self.shown = collections.defaultdict(set)
        for row in self.rows:
            if row[0] == "shown":
                self.shown[row[1]] |= {scene(name) for name in row[2:-1]}
        self.references = [n for n, row in enumerate(self.rows) if row[0].endswith("reference")]
        self.queries = [n for n, row in enumerate(self.rows) if row[0].endswith("query")]

    def relation(self, query, reference):
        """`same` photograph, `open` (same scene, or shown beside it), or `other`."""
        q, r = self.rows[query], self.rows[reference]
        if q[1] == r[1]:
            return "same"
        beside = q[2].startswith(("collage", "picture in picture"))
        if scene(q[1]) == scene(r[1]) or (beside and scene(r[1]) in self.shown[q[1]]):
            return "open"
        return "other"

    def is_overlaid(self, query, reference):
        """Whether both carry the same overlay: a hard negative."""
        q, r = self.rows[query], self.rows[reference]
        kind = r[2].removeprefix("same ")
        return r[0] == "overlaid-reference" and (q[2] == r[2] or kind in q[2])


def pdq(path):
    image = np.asarray(Image.open(path).convert("RGB"))
    bits, quality = pdqhash.compute(image)
    return np.packbits(bits.astype(np.uint8)), quality


def peer(corpus):
    """Matches of PyPI pdqhash, as pairs."""
    hashes = {n: pdq(corpus.rows[n][-1]) for n in corpus.references + corpus.queries}
    references = [n for n in corpus.references if hashes[n][1] >= MIN_QUALITY]
    table = np.stack([hashes[n][0] for n in references])
    found = set()
    for query in corpus.queries:
        bits, quality = hashes[query]
        if quality >= MIN_QUALITY:
            distances = np.unpackbits(table ^ bits, axis=1).sum(axis=1)
            found |= {(query, references[at]) for at in np.flatnonzero(distances <= MAX_DISTANCE)}
    return found


def ours(path):
    """Matches by method: pairs of query and reference."""
    found = collections.defaultdict(set)
    for line in open(path):
        query, reference, method, decision = line.rstrip("\n").split("\t")[:4]
        pair = (int(query), int(reference))
        kind = "features" if method == "features" else "pdq"
        found[f"{kind} {decision}"].add(pair)
    return found


def bound(count, pairs):
    """The 95 % upper bound on the share of false positives (Poisson)."""
    low, high = count, count + 20 + 10 * math.sqrt(count + 1)
    for _ in range(60):
        mean = (low + high) / 2
        chance = sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(count + 1)) if mean > 0 else 1
        low, high = (mean, high) if chance > 0.05 else (low, mean)
    return high / pairs


def recall(corpus, found):
    """Recall by family and strength, in percent."""
    right = {query for query, reference in found if corpus.relation(query, reference) == "same"}
    counts = collections.defaultdict(lambda: collections.defaultdict(list))
    for query in corpus.queries:
        role, _, family, strength = corpus.rows[query][:4]
        if role == "query":
            counts[family][strength].append(query in right)
    return {f: {s: 100 * sum(v) / len(v) for s, v in by.items()} for f, by in counts.items()}


def false_positives(corpus, found):
    wrong = [pair for pair in found if corpus.relation(*pair) == "other"]
    overlaid = [pair for pair in wrong if corpus.is_overlaid(*pair)]
    return {"all": len(wrong), "overlaid": len(overlaid), "pairs": sorted(wrong)[:200]}


def main():
    list_path, matches_path, run_path, out = sys.argv[1:]
    corpus = Corpus(list_path)
    found = ours(matches_path)
    sure = found["pdq match"] | found["features match"]
    columns = {
        "pdqhash": peer(corpus),
        "pdq": found["pdq match"],
        "features": found["features match"],
        "match": sure,
        "match or review": sure | found["features review"],
    }
    recalls = {name: recall(corpus, pairs) for name, pairs in columns.items()}
    families = list(recalls["match"])
    mean = lambda values: sum(values) / len(values)
    table = {f: {c: mean(recalls[c][f].values()) for c in columns} for f in families}
    means = {c: mean([table[f][c] for f in families]) for c in columns}
    related = {"other": 0, "overlaid": 0}
    for query in corpus.queries:
        for reference in corpus.references:
            if corpus.relation(query, reference) == "other":
                related["other"] += 1
                related["overlaid"] += corpus.is_overlaid(query, reference)
    wrong = {c: false_positives(corpus, pairs) for c, pairs in columns.items()}
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    run = json.loads(open(run_path).read().splitlines()[-1])
    names = lambda pair: [corpus.rows[pair[0]][2], corpus.rows[pair[0]][1], corpus.rows[pair[1]][2], corpus.rows[pair[1]][1]]
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{cpu}, {platform.system()} {platform.release()}",
        "photographs": sum(row[0] == "reference" for row in corpus.rows),
        "edits": sum(len(by) for by in recalls["match"].values()),
        "run": run,
        "unrelated_pairs": related["other"],
        "unrelated_pairs_under_the_same_overlay": related["overlaid"],
        "recall": table,
        "recall_by_strength": recalls["match"],
        "mean_recall": means,
        "false_positives": {c: {"all": w["all"], "under_the_same_overlay": w["overlaid"], "upper_bound_95": bound(w["all"], related["other"])} for c, w in wrong.items()},
        "wrong_matches": [names(pair) for pair in wrong["match"]["pairs"]],
    }
    with open(out + ".json", "w") as file:
        json.dump(result, file, indent=1, ensure_ascii=False)
        file.write("\n")
    lines = ["| edit | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for f in families:
        strengths = recalls["match"][f]
        note = f" ({', '.join(strengths)})" if len(strengths) > 1 else ""
        lines.append(f"| {f}{note} | " + " | ".join(f"{table[f][c]:.1f}" for c in columns) + " |")
    lines.append(f"| **mean of {len(families)}** | " + " | ".join(f"**{means[c]:.1f}**" for c in columns) + " |")
    lines.append("| false positives | " + " | ".join(str(wrong[c]["all"]) for c in columns) + " |")
    lines.append("| of these under the same overlay | " + " | ".join(str(wrong[c]["overlaid"]) for c in columns) + " |")
    text = "\n".join(lines)
    print(text)
    page = open(out + ".md").read()
    begin, end = "<!-- table -->\n", "<!-- end of table -->"
    head, rest = page.split(begin)
    about = (
        f"{result['date']}, {result['machine']}; {len(corpus.references)} references, {len(corpus.queries)} queries, "
        f"{related['other']:,} unrelated pairs, {related['overlaid']:,} of them under the same overlay. The share of false "
        f"positives among matches is below {result['false_positives']['match']['upper_bound_95']:.1e} with 95 % confidence.\n\n"
    )
    open(out + ".md", "w").write(head + begin + about + text + "\n" + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
