"""Writes the video table of docs/benchmarks/matching.md, and docs/benchmarks/matching-video.json.

video_report.py DIR RUN MATCHES…: MATCHES have what `watchfire match --json` printed (among references without
an overlay alone where the name ends with `-clean.jsonl`, among those under the same one alone where it ends with
`-overlaid.jsonl`), RUN the seconds it took.
Beside it PyPI `vpdq` decides as python-threatexchange does: one frame a second, quality at least 50, distance
at most 31, at least 80 % of the query's frames.
"""

import datetime
import json
import os
import pathlib
import platform
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor

from threatexchange.extensions.vpdq.vpdq import VPDQSignal
from threatexchange.extensions.vpdq.vpdq_index import VPDQIndex

DOCS = pathlib.Path(__file__).parents[2] / "docs/benchmarks"
BEGIN, END = "<!-- videos -->\n", "<!-- end of videos -->"
HASHED = ("aligned", "turned", "near", "exact")


def bound(wrong, pairs):
    """Upper end of the 95 % confidence interval of a share (rule of three, then Wilson)."""
    if wrong == 0:
        return 3 / pairs
    z, share = 1.96, wrong / pairs
    middle = share + z * z / (2 * pairs)
    return (middle + z * ((share * (1 - share) + z * z / (4 * pairs)) / pairs) ** 0.5) / (1 + z * z / pairs)


def read(work):
    rows = [line.rstrip("\n").split("\t") for line in open(work / "videos.tsv")]
    references = {path: (role, name, family) for role, name, family, _, path in rows if "reference" in role}
    queries = {path: (role, name, family, strength) for role, name, family, strength, path in rows if "query" in role}
    return references, queries


def among(path):
    """Which references a file's queries were looked up among."""
    return next((which for which in ("clean", "overlaid") if path.endswith(f"-{which}.jsonl")), "all")


def ours(paths):
    """Pairs of query and reference by column, and what was looked up among which references."""
    found, looked = defaultdict(set), {}
    lines = ((line, among(path)) for path in paths for line in open(path))
    for line, which in lines:
        if not line.endswith("\n"):
            continue
        one = json.loads(line)
        known = looked.get(one["file"])
        looked[one["file"]] = which if known in (None, which) else "all"
        for match in one["matches"]:
            pair = (one["file"], match["ref"])
            if match["method"] in HASHED:
                found["aligned"].add(pair)
            elif match["method"] == "features":
                found["features" if match["decision"] == "match" else "review"].add(pair)
    return found, looked


def vpdq(path):
    return VPDQSignal.hash_from_file(pathlib.Path(path))


def peer(work, references, queries):
    cache = work / "vpdq.json"
    hashes = json.load(open(cache)) if cache.exists() else {}
    missing = [path for path in [*references, *queries] if path not in hashes]
    with ProcessPoolExecutor() as pool:
        hashes.update(zip(missing, pool.map(vpdq, missing)))
    json.dump(hashes, open(cache, "w"))
    index = VPDQIndex()
    for path in references:
        try:
            index.add(hashes[path], path)
        except ValueError:
            print("no vPDQ hash of", path)
    return {(path, match.metadata) for path in queries for match in index.query(hashes[path])}


def recall(references, queries, found):
    counts = defaultdict(lambda: defaultdict(list))
    for path, (role, name, family, strength) in queries.items():
        if role == "query":
            own = [of for of, (kind, known, _) in references.items() if kind == "reference" and known == name]
            counts[family][strength].append(any((path, of) in found for of in own))
    return {family: {s: 100 * sum(hits) / len(hits) for s, hits in by.items()} for family, by in counts.items()}


def wrong(references, queries, found):
    pairs = [pair for pair in found if queries[pair[0]][1] != references[pair[1]][1]]
    same = [pair for pair in pairs if queries[pair[0]][2] == references[pair[1]][2]]
    return sorted(pairs), len(same)


def main():
    work = pathlib.Path(sys.argv[1])
    references, queries = read(work)
    made = len(queries)
    found, looked = ours(sys.argv[3:])
    queries = {path: query for path, query in queries.items() if path in looked}
    sure = found["aligned"] | found["features"]
    columns = {
        "vpdq": peer(work, references, queries),
        "aligned": found["aligned"],
        "features": found["features"],
        "match": sure,
        "match or review": sure | found["review"],
    }
    recalls = {name: recall(references, queries, pairs) for name, pairs in columns.items()}
    mean = lambda values: sum(values) / len(values)
    table = {family: {name: mean(by[family].values()) for name, by in recalls.items()} for family in recalls["match"]}
    means = {name: mean([row[name] for row in table.values()]) for name in columns}
    errors = {name: wrong(references, queries, pairs) for name, pairs in columns.items()}
    unrelated = [
        (q, r)
        for path, q in queries.items()
        for r in references.values()
        if q[1] != r[1] and {"all": True, "clean": r[0] == "reference", "overlaid": q[2] == r[2]}[looked[path]]
    ]
    overlaid = sum(q[2] == r[2] for q, r in unrelated)
    show = lambda pair: [pathlib.Path(path).stem for path in pair]
    missed = defaultdict(list)
    for path, (role, name, family, strength) in queries.items():
        own = ("reference", name, "")
        if role == "query" and not any(pair[0] == path and references[pair[1]] == own for pair in sure):
            missed[f"{family} {strength}".strip()].append(name)
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{cpu}, {platform.system()} {platform.release()}, {os.cpu_count()} cores",
        "clips": len({q[1] for q in queries.values()}),
        "references": len(references),
        "queries": len(queries),
        "queries_made": made,
        "edits": sum(len(by) for by in recalls["match"].values()),
        "run": json.loads(open(sys.argv[2]).read()),
        "unrelated_pairs": len(unrelated),
        "unrelated_pairs_under_the_same_overlay": overlaid,
        "recall": table,
        "recall_by_strength": recalls["match"],
        "mean_recall": means,
        "false_positives": {name: {"all": len(pairs), "under_the_same_overlay": same, "upper_bound_95": bound(len(pairs), len(unrelated))} for name, (pairs, same) in errors.items()},
        "wrong_matches": [show(pair) for pair in errors["match"][0]],
        "wrong_reviews": [show(pair) for pair in errors["match or review"][0]][:200],
        "missed": missed,
    }
    (DOCS / "matching-video.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    lines = ["| edit | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for family, row in table.items():
        strengths = list(recalls["match"][family])
        note = f" ({', '.join(strengths)})" if len(strengths) > 1 else ""
        lines.append(f"| {family}{note} | " + " | ".join(f"{row[name]:.1f}" for name in columns) + " |")
    lines.append(f"| **mean of {len(table)}** | " + " | ".join(f"**{means[name]:.1f}**" for name in columns) + " |")
    lines.append("| false positives | " + " | ".join(str(len(errors[name][0])) for name in columns) + " |")
    lines.append("| of these under the same overlay | " + " | ".join(str(errors[name][1]) for name in columns) + " |")
    print("\n".join(lines))
    sample = "" if len(queries) == made else f" (a sample of the {made:,} that are made, drawn by lot before)"
    about = (
        f"{result['date']}, {result['machine']}; {len(references)} references, {len(queries)} queries{sample}, {len(unrelated):,} unrelated "
        f"pairs, {overlaid:,} of them under the same overlay. The share of false positives among matches is below "
        f"{result['false_positives']['match']['upper_bound_95']:.1e} with 95 % confidence.\n\n"
    )
    page = (DOCS / "matching.md").read_text()
    head, rest = page.split(BEGIN)
    (DOCS / "matching.md").write_text(head + BEGIN + about + "\n".join(lines) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
