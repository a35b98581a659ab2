"""Judges what the matching benchmark found, beside its peers, and writes the tables.

report.py DIR OUT: DIR has KIND.tsv, KIND-matches.tsv and KIND-run.json for each kind (`pictures-first`,
`pictures-other`, `pictures-third`, `sounds`, `texts`), and KIND-peers.tsv where there are peers; OUT is the path of the Markdown
and JSON without its ending. A kind that is not there keeps the table it has.
"""

import collections
import datetime
import json
import math
import pathlib
import platform
import re
import sys

import numpy as np

# The field's distance for a match of two hashes.
MAX_DISTANCE = 31
# Photographs of one mountain from one place at different hours, and one photograph of which a part was painted
# over: told apart by no name.
SAME_SCENE = [
    {"games-endless-sky-images-land-badlands3", "games-endless-sky-images-land-bwerner2"},
    {"doc-opencv-doc-examples-data-ela_modified", "doc-opencv-doc-examples-data-ela_original"},
]


def scene(name):
    """Names that differ in a number, a letter or a side at their end are of one scene, in these folders."""
    if any(name in scene for scene in SAME_SCENE):
        return "/".join(sorted(next(scene for scene in SAME_SCENE if name in scene)))
    if name.startswith("games-endless-sky"):
        return name
    name = name.replace("left", "side").replace("right", "side")
    return re.sub(r"(_\d+x\d+|[0-9LRAB_]+|-with-street)$", "", name)


class Corpus:
    """Files with their roles. `same` photograph, sound or text, `open` question, or `other`."""

    def __init__(self, path):
        self.rows = [line.rstrip("\n").split("\t") for line in open(path)]
        self.references = [n for n, row in enumerate(self.rows) if row[0].endswith("reference")]
        self.queries = [n for n, row in enumerate(self.rows) if row[0].endswith("query")]
        self.number = {n: number for number, n in enumerate(self.references)}

    def is_hard(self, query, reference):
        """Whether both were given something in common."""
        q, r = self.rows[query], self.rows[reference]
        return r[0] != "reference" and q[0].split("-")[0] == r[0].split("-")[0]


class Pictures(Corpus):
    def __init__(self, path):
        super().__init__(path)
        self.shown = collections.defaultdict(set)
        for row in self.rows:
            if row[0] == "shown":
                self.shown[row[1]] |= {scene(name) for name in row[2:-1]}

    def scenes(self, number):
        """All scenes that a file shows."""
        row = self.rows[number]
        beside = row[2].startswith(("collage", "picture in picture"))
        return {scene(row[1])} | (self.shown[row[1]] if beside else set())

    def relation(self, query, reference):
        if self.rows[query][1] == self.rows[reference][1]:
            return "same"
        return "open" if self.scenes(query) & self.scenes(reference) else "other"

    def is_hard(self, query, reference):
        q, r = self.rows[query], self.rows[reference]
        return r[0] == "overlaid-reference" and (q[2] == r[2] or r[2].removeprefix("same ") in q[2])


class Sounds(Corpus):
    def relation(self, query, reference):
        """Minutes of one piece repeat each other; spoken menus are made of the same sentences."""
        q, r = self.rows[query][1], self.rows[reference][1]
        piece = lambda name: re.sub(r"^(conf|vm|dir|demo|priv|screen)[a-z]*-.*", r"\1", name.split("#")[0])
        return "same" if q == r else "open" if piece(q) == piece(r) else "other"


class Texts(Corpus):
    """A reference of which half of all three words in a row stand in the query's text is an open question:
    the fortunes have many texts twice, a little differently."""

    def __init__(self, path):
        super().__init__(path)
        self.texts = {n: self.grams(self.rows[n][-1]) for n in self.references}
        self.names = {self.rows[n][1]: n for n in self.references}
        self.asked = (None, None)

    def grams(self, path):
        words = re.findall(r"[a-z0-9]+", open(path, encoding="utf-8").read().lower())
        return set(zip(words, words[1:], words[2:]))

    def shown(self, query):
        if self.asked[0] != query:
            row = self.rows[query]
            whole = row[2].startswith("embedded") or row[1] not in self.names
            own = self.grams(row[-1]) if whole else self.texts[self.names[row[1]]]
            self.asked = (query, own)
        return self.asked[1]

    def relation(self, query, reference):
        q, r = self.rows[query], self.rows[reference]
        if q[1] == r[1]:
            return "same"
        if self.is_hard(query, reference):
            return "other"
        own, of = self.shown(query), self.texts[reference]
        return "open" if len(own & of) * 2 >= min(len(own), len(of)) else "other"


def found_by(path):
    """Matches by method and decision: pairs of query and reference."""
    found = collections.defaultdict(set)
    for line in open(path):
        query, reference, method, decision = line.rstrip("\n").split("\t")[:4]
        kind = "pdq" if method.startswith("pdq") else method
        found[f"{kind} {decision}"].add((int(query), int(reference)))
    return found


def peers(path):
    found = collections.defaultdict(set)
    if path.exists():
        for line in open(path):
            peer, query, reference = line.rstrip("\n").split("\t")
            found[peer].add((int(query), int(reference)))
    return dict(found)


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
    hard = [pair for pair in wrong if corpus.is_hard(*pair)]
    return {"all": len(wrong), "hard": len(hard), "pairs": sorted(wrong)[:100]}


def unrelated(corpus):
    """Pairs of query and reference that are unrelated; of a name only one query is compared with all."""
    other = hard = 0
    like = {}
    for query in corpus.queries:
        row = corpus.rows[query]
        beside = row[2].startswith(("collage", "picture in picture", "embedded", "same"))
        key = query if beside or row[0] != "query" else row[1]
        if key not in like:
            like[key] = sum(corpus.relation(query, reference) == "other" for reference in corpus.references)
        other += like[key]
        hard += sum(corpus.is_hard(query, n) for n in corpus.references if corpus.rows[n][0] != "reference")
    return other, hard


def hash_pairs(corpus, path):
    """Hashes of all files against the eight turns of all others and their complements: comparisons of
    unrelated ones, and those within the distance."""
    numbers, turns = [], []
    for line in open(path):
        number, *hashes = line.split()
        numbers.append(int(number))
        turns.append([np.frombuffer(bytes.fromhex(one), np.uint64) for one in hashes])
    turns = np.array(turns)
    plain = turns[:, 0]
    scenes = [corpus.scenes(number) for number in numbers]
    compared, near = 0, []
    for at, number in enumerate(numbers):
        if at == 0:
            continue
        distances = np.bitwise_count(turns[at][:, None, :] ^ plain[None, :at]).sum(axis=2)
        distances = np.minimum(distances, 256 - distances).min(axis=0)
        free = np.array([not scenes[at] & other for other in scenes[:at]])
        compared += 16 * int(free.sum())
        near += [(number, numbers[one]) for one in np.flatnonzero(free & (distances <= MAX_DISTANCE))]
    return {"files": len(numbers), "comparisons": compared, "near": len(near), "near_pairs": [[corpus.rows[n][1:3] for n in pair] for pair in near[:50]]}


def columns_of(kind, found, others):
    if kind == "sounds":
        return {"match (review)": found["sound review"]}
    if kind == "texts":
        sure = found["near match"] | found["exact match"]
        return {**others, "match": sure, "match or review": sure | found["near review"]}
    sure = found["pdq match"] | found["features match"]
    return {**others, "pdq": found["pdq match"], "features": found["features match"], "match": sure, "match or review": sure | found["features review"]}


def judged(kind, root):
    corpus = {"sounds": Sounds, "texts": Texts}.get(kind, Pictures)(root / f"{kind}.tsv")
    columns = columns_of(kind, found_by(root / f"{kind}-matches.tsv"), peers(root / f"{kind}-peers.tsv"))
    recalls = {name: recall(corpus, pairs) for name, pairs in columns.items()}
    mean = lambda values: sum(values) / len(values)
    families = list(next(iter(recalls.values())))
    table = {f: {c: mean(recalls[c][f].values()) for c in columns} for f in families}
    other, hard = unrelated(corpus)
    wrong = {c: false_positives(corpus, pairs) for c, pairs in columns.items()}
    names = lambda pair: [f"{corpus.rows[n][2]} {corpus.rows[n][1]}".strip() for n in pair]
    last = "match" if "match" in columns else "match (review)"
    result = {
        "subjects": len({corpus.rows[n][1] for n in corpus.queries if corpus.rows[n][0] == "query"}),
        "edits": sum(len(by) for by in recalls[last].values()),
        "references": len(corpus.references),
        "queries": len(corpus.queries),
        "run": json.loads((root / f"{kind}-run.json").read_text().splitlines()[0]),
        "unrelated_pairs": other,
        "hard_pairs": hard,
        "recall": table,
        "recall_by_strength": recalls[last],
        "mean_recall": {c: mean([table[f][c] for f in families]) for c in columns},
        "false_positives": {c: {"all": w["all"], "hard": w["hard"], "upper_bound_95": bound(w["all"], other)} for c, w in wrong.items()},
        "wrong_matches": [names(pair) for pair in wrong[last]["pairs"]],
    }
    hashes = root / f"{kind}-matches.tsv.pdq"
    if hashes.exists():
        result["hashes"] = hash_pairs(corpus, hashes)
    return result


def shown(result):
    """The table of one kind."""
    columns = list(result["mean_recall"])
    by_strength = result["recall_by_strength"]
    last = "match" if "match" in columns else columns[-1]
    limit = result["false_positives"][last]["upper_bound_95"]
    about = (
        f"{result['references']:,} references, {result['subjects']} subjects with {result['edits']} edits each, {result['queries']:,} queries; "
        f"{result['unrelated_pairs']:,} unrelated pairs, {result['hard_pairs']:,} of them with something in common. The share of false "
        f"positives among pairs at *{last}* is below {limit:.1e} with 95 % confidence."
    )
    if "hashes" in result:
        h = result["hashes"]
        about += f" PDQ hashes of all {h['files']:,} files against each other, turned and inverted: {h['comparisons']:,} comparisons of unrelated ones, {h['near']} within 31 bits; below {bound(h['near'], h['comparisons']):.1e} with 95 % confidence."
    lines = [about, "", "| edit | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for family, row in result["recall"].items():
        strengths = list(by_strength[family])
        note = f" ({', '.join(strengths)})" if len(strengths) > 1 else ""
        lines.append(f"| {family}{note} | " + " | ".join(f"{row[c]:.1f}" for c in columns) + " |")
    lines.append(f"| **mean of {len(result['recall'])}** | " + " | ".join(f"**{result['mean_recall'][c]:.1f}**" for c in columns) + " |")
    for words, key in [("false positives", "all"), ("of these with something in common", "hard")]:
        lines.append(f"| {words} | " + " | ".join(str(result["false_positives"][c][key]) for c in columns) + " |")
    return "\n".join(lines)


def main():
    root, out = pathlib.Path(sys.argv[1]), sys.argv[2]
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    path, page = pathlib.Path(out + ".json"), open(out + ".md").read()
    results = json.loads(path.read_text()) if path.exists() else {}
    for kind in ["pictures-first", "pictures-other", "pictures-third", "sounds", "texts"]:
        if not (root / f"{kind}-run.json").exists() or not (root / f"{kind}-run.json").read_text():
            continue
        result = judged(kind, root)
        result["date"] = datetime.date.today().isoformat()
        result["machine"] = f"{cpu}, {platform.system()} {platform.release()}"
        results[kind] = result
        begin, end = f"<!-- {kind} -->\n", f"<!-- end of {kind} -->"
        before, rest = page.split(begin)
        text = f"{result['date']}, {result['machine']}; " + shown(result)
        page = before + begin + text + "\n" + end + rest.split(end)[1]
        print(kind, {c: round(value, 1) for c, value in result["mean_recall"].items()}, result["false_positives"])
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    open(out + ".md", "w").write(page)


if __name__ == "__main__":
    main()
