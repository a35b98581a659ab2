"""Fetches Debian packages with photographs and makes the files that the picture benchmark compares.

pictures.py DIR LOOK [SHARE]: leaves DIR/pictures-LOOK.tsv with one line a file: role, name of the photograph, edit, path.
Roles: `reference`, `query` (an edited copy), `overlaid-reference` and `overlaid-query` (different
photographs under the same overlay), `same` (two photographs that show the same scene: a match of these
is neither right nor wrong). LOOK is `first`, or `other` or `third`: other subjects, other edits by lot, other overlays. With SHARE, from 0 to
1, only as many of the edited copies are made and looked up, drawn by lot, and five times as many of the
photographs under the same overlay.
"""

import os
import pathlib
import sys
from concurrent.futures import ProcessPoolExecutor

from PIL import Image

import debian
import picture_edits as edits

PACKAGES = ["endless-sky-data", "scratch", "kphotoalbum", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "mate-backgrounds", "opencv-doc", "fonts-dejavu-core"]
FONTS = {
    "other": "usr/share/fonts/truetype/dejavu/DejaVuSerif-Bold.ttf",
    "third": "usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf",
}
# How far from those of the first look the subjects of others begin, as a share of the step between two.
ASIDE = {"first": 0, "other": 0.5, "third": 0.25}
PLACES = [
    "usr/share/games/endless-sky/images/land",
    "usr/share/games/endless-sky/images/scene",
    "usr/share/scratch/Media/Backgrounds",
    "usr/share/kphotoalbum/demo",
    "usr/share/backgrounds",
    "usr/share/doc/opencv-doc/examples/data",
]
# Drawings, charts, masks and patterns are no photographs.
NOT_PHOTOGRAPHS = ["logo", "ellipses", "gradient", "mask", "alphabet", "sudoku", "pic", "digits", "chessboard", "detect_blob", "notes", "imagetext", "templ", "tmpl", "ml.png", "cards", "alphaGT", "aloegt", "pca_test", "text_", "Categoryimages", "stripes", "cold-no", "dark-no", "radioactive", "warm-no", "transparent", "calib", "blender", "xy-grid", "flow.png", "gulp", "silk", "spring.png", "waves.png", "painting-colors"]
# Photographs of which edited copies are made, at most so many of a folder.
SUBJECTS = 60
# Photographs under each overlay: half of them references, half of them queries.
OVERLAID = 40


def photographs(files):
    found = []
    for place in PLACES:
        paths = sorted(path for path in (files / place).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".gif"))
        for path in paths:
            if any(word.lower() in path.name.lower() for word in NOT_PHOTOGRAPHS) or path.is_symlink():
                continue
            with Image.open(path) as image:
                if min(image.size) >= 200:
                    found.append((place.replace("usr/share/", "").replace("/", "-") + "-" + path.stem, path))
    return found


def read(path):
    image = Image.open(path).convert("RGB")
    image.thumbnail((1600, 1600), Image.LANCZOS)
    return image


def make(job):
    name, path, out, others, names, share = job
    lines = []
    image, others = read(path), [read(other) for other in others]
    for family, (strengths, _) in edits.FAMILIES.items():
        for number, strength in enumerate(strengths):
            if edits.lot("sample", name, family, strength).random() >= share:
                continue
            to = out / f"{list(edits.FAMILIES).index(family):02}-{number}-{name}.jpg"
            if not to.exists():
                edits.edited(image, family, strength, name, others).save(to, quality=88)
            lines.append(("query", name, f"{family}\t{strength}", to))
    shown = "\t".join(names)
    return lines + [("shown", name, shown, "collage, picture in picture")]


def main():
    root, look = pathlib.Path(sys.argv[1]), sys.argv[2]
    share = float(sys.argv[3]) if len(sys.argv) > 3 else 1
    files = debian.unpacked(root, PACKAGES)
    found = photographs(files)
    edits.wear(look, files / FONTS[look] if look in FONTS else None)
    out = root / f"made-{look}"
    out.mkdir(exist_ok=True)
    lines = [("reference", name, "\t", path) for name, path in found]
    step = len(found) / SUBJECTS
    subjects = [found[int((place + ASIDE[look]) * step)] for place in range(SUBJECTS)]
    paths = [path for _, path in found]
    jobs = []
    for name, path in subjects:
        others = edits.lot(name, "others").sample([p for p in paths if p != path], 6)
        jobs.append((name, path, out, others, [n for p in others for n, q in found if q == p], share))
    os.nice(5)
    with ProcessPoolExecutor() as pool:
        for made in pool.map(make, jobs):
            lines.extend(made)
    chosen = edits.lot("overlaid").sample(found, OVERLAID)
    for overlay, put in edits.OVERLAYS.items():
        for place, (name, path) in enumerate(chosen):
            role = "overlaid-reference" if place < OVERLAID // 2 else "overlaid-query"
            if role == "overlaid-query" and edits.lot("sample", name, overlay).random() >= 5 * share:
                continue
            to = out / f"overlaid-{overlay}-{name}.jpg"
            if not to.exists():
                put(read(path), name).save(to, quality=88)
            lines.append((role, name, f"same {overlay}\t", to))
    with open(root / f"pictures-{look}.tsv", "w") as table:
        for role, name, edit, path in lines:
            table.write(f"{role}\t{name}\t{edit}\t{path}\n")
    print(f"{len(found)} references, {len(lines)} files")


if __name__ == "__main__":
    main()
