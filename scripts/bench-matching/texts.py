"""Fetches Debian packages with short texts and makes the files that the text benchmark compares.

texts.py DIR: leaves DIR/texts.tsv with one line a file: role, name, edit, strength, path. Roles:
`reference`, `query` (an edited copy), `phrase-reference` and `phrase-query` (different texts that share an
opening and a closing phrase), `template-reference` and `template-query` (one template, filled differently).
"""

import pathlib
import re
import sys

import debian
import text_edits as edits

PACKAGES = ["fortunes", "fortunes-min"]
PLACE = "usr/share/games/fortunes"
# Shorter texts are found as a whole only, whatever they are compared with; longer ones are rare.
LEAST_LETTERS, MOST_CHARS = 80, 3000
REFERENCES, SUBJECTS = 5000, 120
# Texts under each shared phrase or template: half of them references, half of them queries.
SHARED = 60
OPENING = "Nobody will tell you this, so read to the end and pass it on: "
CLOSING = " Share this with everybody you know before it is deleted again!"
TEMPLATE = "Dear {0}, we saw that you asked about {1} last week. As somebody from {2} you will want to know that {3}. Answer to this message by {4} and we tell you more about {5}."


def texts(folder):
    found = {}
    for path in sorted(folder.glob("*")):
        if path.is_dir() or path.is_symlink() or path.suffix in (".dat", ".u8"):
            continue
        parts = re.split(r"^%\s*$", path.read_text(encoding="utf-8", errors="replace"), flags=re.M)
        for number, text in enumerate(parts):
            text = text.strip()
            if sum(map(str.isalnum, text)) >= LEAST_LETTERS and len(text) <= MOST_CHARS:
                found.setdefault(text, f"{path.name}-{number}")
    return [(name, text) for text, name in found.items()]


def filled(stock, draw):
    def words(count):
        text = draw.choice(stock)[1].split()
        start = draw.randrange(max(1, len(text) - count))
        return " ".join(text[start : start + count])
    return TEMPLATE.format(words(2), words(3), words(2), words(14), words(2), words(9))


def main():
    root = pathlib.Path(sys.argv[1])
    found = texts(debian.unpacked(root, PACKAGES) / PLACE)
    edits.lot("texts").shuffle(found)
    kept, others = found[:REFERENCES], [text for _, text in found[REFERENCES:]]
    out = root / "made-texts"
    out.mkdir(exist_ok=True)
    lines = []

    def put(role, name, edit, strength, text):
        path = out / f"{len(lines):06}.txt"
        path.write_text(text, encoding="utf-8")
        lines.append((role, name, edit, strength, path))

    for name, text in kept:
        put("reference", name, "", "", text)
    for name, text in kept[:SUBJECTS]:
        for family, (strengths, _) in edits.FAMILIES.items():
            for strength in strengths:
                put("query", name, family, strength, edits.edited(text, family, strength, name, others))
    draw = edits.lot("shared")
    plain = [(name, text) for name, text in found[REFERENCES:] if len(text) < 400]
    for place in range(SHARED):
        half = "reference" if place < SHARED // 2 else "query"
        put(f"phrase-{half}", plain[place][0], "shared phrases", "", OPENING + plain[place][1] + CLOSING)
        put(f"template-{half}", f"template-{place}", "one template", "", filled(plain, draw))
    with open(root / "texts.tsv", "w") as table:
        for line in lines:
            table.write("\t".join(map(str, line)) + "\n")
    print(f"{len(kept)} references, {len(lines)} files")


if __name__ == "__main__":
    main()
