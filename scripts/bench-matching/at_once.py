"""Different photographs under the same overlays, all of them at once: what must not match, at its hardest.

at_once.py make DIR LOOK: leaves DIR/at-once-LOOK.tsv and the pictures that it names, as pictures.py does (run that before).
Twenty photographs are references and twenty others queries, all of one size, each under ten piles of overlays that are
the same to the pixel.
at_once.py count DIR LOOK…: prints how many pairs there are, and which of them DIR/at-once-LOOK-matches.tsv has as a match.
"""

import pathlib
import sys

from PIL import ImageOps

import debian
import picture_edits as edits
import pictures
import report

# Photographs that lie under each pile: half of them references, half of them queries.
PHOTOGRAPHS = 40
SIZE = (1024, 768)


def written(image, lines):
    return edits.text(image, lines, edits.lot("at once"))


def stuck(image):
    return edits.sticker(image, 0.5, None, (image.width * 0.4, image.height * 0.1))


def faces(image, count=3):
    return edits.emojis(image, count, edits.lot("at once"))


def captioned(image):
    return edits.caption(image, 0.3, None, edits.SAME)


def marked(image):
    return edits.watermark(image, 0.6, None)


def framed(image):
    return edits.frame(image, 1, None)


def in_app(image):
    return edits.screenshot(image, "light", None, edits.SAME)


PILES = {
    "six lines": lambda image: written(image, 6),
    "sticker, three lines": lambda image: written(stuck(image), 3),
    "sticker, caption, frame": lambda image: framed(captioned(stuck(image))),
    "watermark, sticker, text, emoji": lambda image: faces(written(stuck(marked(image)), 3)),
    "all of these in an app": lambda image: in_app(captioned(faces(written(stuck(marked(image)), 3)))),
    "watermark, six lines": lambda image: written(marked(image), 6),
    "caption in an app": lambda image: in_app(captioned(image)),
    "frame, watermark, emoji": lambda image: faces(marked(framed(image))),
    "six emoji, sticker": lambda image: stuck(faces(image, 6)),
    "pale, written over": lambda image: written(edits.ImageEnhance.Contrast(image).enhance(0.4), 6),
}


def make(root, look):
    files = debian.unpacked(root, pictures.PACKAGES)
    edits.wear(look, files / pictures.FONTS[look] if look in pictures.FONTS else None)
    out = root / f"made-at-once-{look}"
    out.mkdir(exist_ok=True)
    of_scene = {report.scene(name): (name, path) for name, path in pictures.photographs(files)}
    chosen = edits.lot("at once", look).sample(sorted(of_scene.values()), PHOTOGRAPHS)
    with open(root / f"at-once-{look}.tsv", "w") as table:
        for place, (name, path) in enumerate(chosen):
            role = "overlaid-reference" if place % 2 else "overlaid-query"
            image = ImageOps.fit(pictures.read(path), SIZE)
            for pile, put in PILES.items():
                to = out / f"{list(PILES).index(pile)}-{name}.jpg"
                put(image).save(to, quality=88)
                table.write(f"{role}\t{name}\tsame {pile}\t\t{to}\n")


def count(root, looks):
    for look in looks:
        corpus = report.Pictures(root / f"at-once-{look}.tsv")
        pairs = [(q, r) for q in corpus.queries for r in corpus.references]
        hard = sum(corpus.is_hard(q, r) for q, r in pairs)
        wrong, reviews = [], set()
        for line in open(root / f"at-once-{look}-matches.tsv"):
            query, reference, method, decision, *rest = line.split("\t")
            pair = (int(query), int(reference))
            if decision == "match":
                wrong.append((corpus.rows[pair[0]][1:3], corpus.rows[pair[1]][1:3], method, rest[0].strip()))
            else:
                reviews.add(pair)
        print(f"{look}: {len(pairs)} pairs of different photographs, {hard} of them under the same pile; {len(wrong)} matches, {len(reviews)} for review")
        for query, reference, method, nearness in wrong:
            print(f"  {method} {nearness}: {' under '.join(query)} and {' under '.join(reference)}")


def main():
    what, root, looks = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    if what == "count":
        return count(root, looks)
    make(root, looks[0])


if __name__ == "__main__":
    main()
