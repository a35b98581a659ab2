"""Writes the video table of docs/benchmarks/matching.md, and docs/benchmarks/matching-video.json.

video_report.py DIR LIST RUN MATCHES: LIST has lines of DIR/videos.tsv, all of them or all references and some
queries; MATCHES has what `match_files videos LIST MATCHES` wrote, RUN what it printed.
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
COLUMNS = {"aligned": "aligned", "turned": "aligned", "part": "part", "features": "features"}
# Half of the clips, drawn by lot before: rules were chosen by looking at copies of these alone.
LOOKED_AT = ["armour", "bulldozer", "coin", "culture", "launch", "lego", "restaurant", "street", "tower"]


def bound(wrong, pairs):
    """Upper end of the 95 % confidence interval of a share (rule of three, then Wilson)."""
    if wrong == 0:
        return 3 / pairs
    z, share = 1.96, wrong / pairs
    middle = share + z * z / (2 * pairs)
    return (middle + z * ((share * (1 - share) + z * z / (4 * pairs)) / pairs) ** 0.5) / (1 + z * z / pairs)


def read(path):
    return [line.rstrip("\n").split("\t") for line in open(path)]


def ours(rows, path):
    """Pairs of query and reference by column."""
    found = defaultdict(set)
    for line in open(path):
        query, reference, method, decision, *_ = line.split("\t")
        column = COLUMNS[method] if decision == "match" else "review"
        found[column].add((rows[int(query)][-1], rows[int(reference)][-1]))
    return found


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
    rows = read(sys.argv[2])
    references = {path: (role, name, family) for role, name, family, _, path in rows if "reference" in role}
    queries = {path: (role, name, family, strength) for role, name, family, strength, path in rows if "query" in role}
    made = sum("query" in row[0] for row in read(work / "videos.tsv"))
    found = ours(rows, sys.argv[4])
    sure = found["aligned"] | found["part"] | found["features"]
    columns = {
        "vpdq": peer(work, references, queries),
        "aligned": found["aligned"],
        "part": found["part"],
        "features": found["features"],
        "match": sure,
        "match or review": sure | found["review"],
    }
    recalls = {name: recall(references, queries, pairs) for name, pairs in columns.items()}
    mean = lambda values: sum(values) / len(values)
    table = {family: {name: mean(by[family].values()) for name, by in recalls.items()} for family in recalls["match"]}
    means = {name: mean([row[name] for row in table.values()]) for name in columns}
    errors = {name: wrong(references, queries, pairs) for name, pairs in columns.items()}
    unrelated = [(q, r) for q in queries.values() for r in references.values() if q[1] != r[1]]
    overlaid = sum(q[2] == r[2] for q, r in unrelated)
    show = lambda pair: [pathlib.Path(path).stem for path in pair]
    missed = defaultdict(list)
    for path, (role, name, family, strength) in queries.items():
        own = ("reference", name, "")
        if role == "query" and not any(pair[0] == path and references[pair[1]] == own for pair in sure):
            missed[f"{family} {strength}".strip()].append(name)
    halves = {}
    for half, names in {"looked at": LOOKED_AT, "not looked at": sorted({q[1] for q in queries.values()} - set(LOOKED_AT))}.items():
        part = {path: query for path, query in queries.items() if query[1] in names}
        by = recall(references, part, sure)
        halves[half] = {"clips": names, "copies": sum(q[0] == "query" for q in part.values()), "match": mean([mean(of.values()) for of in by.values()])}
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{cpu}, {platform.system()} {platform.release()}, {os.cpu_count()} cores",
        "clips": len({q[1] for q in queries.values()}),
        "references": len(references),
        "queries": len(queries),
        "queries_made": made,
        "edits": sum(len(by) for by in recalls["match"].values()),
        "run": json.loads(open(sys.argv[3]).read()),
        "unrelated_pairs": len(unrelated),
        "unrelated_pairs_under_the_same_overlay": overlaid,
        "recall": table,
        "recall_by_strength": recalls["match"],
        "mean_recall": means,
        "mean_recall_by_half": halves,
        "false_positives": {name: {"all": len(pairs), "under_the_same_overlay": same, "upper_bound_95": bound(len(pairs), len(unrelated))} for name, (pairs, same) in errors.items()},
        "wrong_matches": [show(pair) for pair in errors["match"][0]],
        "wrong_reviews": [show(pair) for pair in errors["match or review"][0]][:200],
        "missed": missed,
    }
    table_file = DOCS / "matching-video.json"
    # frame_pairs.py counts these.
    result["frame_pairs"] = json.loads(table_file.read_text())["frame_pairs"]
    table_file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
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
        f"{result['false_positives']['match']['upper_bound_95']:.1e} with 95 % confidence. Of the half of "
        f"the clips whose copies were looked at when rules were chosen {halves['looked at']['match']:.1f} % are matched, of the other half "
        f"{halves['not looked at']['match']:.1f} %.\n\n"
    )
    page = (DOCS / "matching.md").read_text()
    head, rest = page.split(BEGIN)
    (DOCS / "matching.md").write_text(head + BEGIN + about + "\n".join(lines) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
