"""Fetches Debian packages with videos and makes the files that the video benchmark compares.

videos.py DIR: leaves DIR/videos.tsv with one line a file: role, name of the clip, edit, strength, path.
Roles: `reference`, `query` (an edited copy), `overlaid-reference` and `overlaid-query` (different videos
under the same overlay).
"""

import os
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import debian
import video_edits as edits

PACKAGES = ["python3-imageio", "node-opencv", "planetblupi-common", "openboard-common", "pd-extendedview", "renpy-demo", "golang-github-gabriel-vasile-mimetype-dev", "opencv-doc"]
BLUPI = "usr/share/planetblupi/movie/"
MIMETYPE = "usr/share/gocode/src/github.com/gabriel-vasile/mimetype/testdata/"
COPYRIGHT = "usr/share/openboard/library/videos/wannaworktogether.mp4"
OPENCV = "usr/share/doc/opencv-doc/examples/data/"
# Name: file, where the clip begins in it, seconds. Edited copies are made of these.
SUBJECTS = {
    "bridge": (BLUPI + "play103.mkv", 0, 10),
    "tower": (BLUPI + "play105.mkv", 0, 9),
    "laboratory": (BLUPI + "play107.mkv", 0, 7.5),
    "stairs": (BLUPI + "play108.mkv", 0, 6.9),
    "bulldozer": (BLUPI + "play110.mkv", 0, 8.5),
    "armour": (BLUPI + "play118.mkv", 0, 7.6),
    "rocket": (BLUPI + "win129.mkv", 0, 10),
    "robot": (BLUPI + "history2.mkv", 0, 10),
    "coin": ("usr/share/doc/node-opencv/examples/files/motion.mov", 0, 8),
    "diver": ("usr/share/doc/pd-extendedview/media/diver.mov", 0, 10),
    "rabbit": (MIMETYPE + "mkv.mkv", 0, 3.6),
    "lego": (MIMETYPE + "mp4.mp4", 0, 5.5),
    "launch": ("usr/share/games/renpy/demo/game/oa4_launch.webm", 0, 8),
    "cockatoo": ("usr/lib/python3/dist-packages/imageio/resources/images/cockatoo.mp4", 0, 10),
    "restaurant": (OPENCV + "Megamind.avi", 0, 10),
    "street": (OPENCV + "vtest.avi", 0, 10),
    "commons": (COPYRIGHT, 20, 10),
    "culture": (COPYRIGHT, 100, 10),
}
# References of which no copies are made.
OTHERS = {
    "spider": (BLUPI + "play101.mkv", 0, 8.9),
    "car": (BLUPI + "play113.mkv", 0, 5),
    "crystals": (BLUPI + "play124.mkv", 0, 8.2),
    "crowd": (BLUPI + "win005.mkv", 0, 10),
}
# What copies are put beside, into or over; no references.
FILLERS = {
    "fountain": (BLUPI + "play116.mkv", 0, 8.3),
    "snow": (BLUPI + "play119.mkv", 0, 6),
    "tree": (OPENCV + "tree.avi", 0, 6),
    "film": (COPYRIGHT, 50, 16),
}
ENCODED = ["-an", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-threads", "1"]


def ffmpeg(inputs, arguments, to):
    part = to.with_suffix(".part.mp4")
    command = ["nice", "ffmpeg", "-v", "error", "-nostdin", "-y"]
    for given in inputs:
        command += given
    subprocess.run([*command, *arguments, *ENCODED, part], check=True)
    part.rename(to)


def clip(root, out, name, place):
    """The clip as it is known, at most 640 pixels wide."""
    path, start, seconds = place
    to = out / f"clip-{name}.mp4"
    if not to.exists():
        scale = "scale='trunc(min(640,iw)/2)*2':-2,setsar=1"
        seek = ["-ss", str(start)] if start else []
        ffmpeg([[*seek, "-i", root / path]], ["-t", str(seconds), "-vf", scale, "-crf", "16"], to)
    return to


def size(path):
    ask = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height:format=duration", "-of", "csv=p=0", path]
    width, height, seconds = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.replace("\n", ",").strip(",").split(",")
    return (int(width), int(height)), float(seconds)


def edited(job):
    to, inputs, chain, rate = job
    if not to.exists():
        given = ["-b:v", rate] if rate else ["-crf", "24"]
        ffmpeg(inputs, ["-filter_complex", chain, "-map", "[v]", *given], to)


def jobs(clips, out):
    """What has to be made, and the lines of the list."""
    made, lines = [], []
    for name, one in clips.items():
        for number, (family, (strengths, make)) in enumerate(edits.FAMILIES.items()):
            for place, strength in enumerate(strengths):
                inputs, chain = make(one, strength, edits.lot(name, family, strength))
                chain = chain.replace("s=WxH", "s={}x{}".format(*one.size))
                # Sides of an odd length cannot be encoded.
                chain = chain.removesuffix("[v]") + "[w];[w]scale=trunc(iw/2)*2:trunc(ih/2)*2[v]"
                to = out / f"{number:02}-{place}-{name}.mp4"
                rate = f"{strength}k" if family == "low rate" else None
                made.append((to, [["-i", one.path], *inputs], chain, rate))
                lines.append(("query", name, family, strength, to))
    for overlay, put in edits.OVERLAYS.items():
        for place, (name, one) in enumerate(clips.items()):
            inputs, chain = put(one)
            to = out / f"same-{overlay}-{name}.mp4"
            made.append((to, [["-i", one.path], *inputs], chain, None))
            role = "overlaid-reference" if place % 2 else "overlaid-query"
            lines.append((role, name, f"same {overlay}", "", to))
    return made, lines


def main():
    work = pathlib.Path(sys.argv[1])
    root = debian.unpacked(work, PACKAGES)
    out, drawings = work / "made", work / "drawings"
    out.mkdir(exist_ok=True)
    drawings.mkdir(exist_ok=True)
    fillers = [clip(root, out, name, place) for name, place in FILLERS.items()]
    references = {name: clip(root, out, name, place) for name, place in {**SUBJECTS, **OTHERS}.items()}
    clips = {name: edits.Clip(name, references[name], *size(references[name]), fillers, drawings) for name in SUBJECTS}
    lines = [("reference", name, "", "", path) for name, path in references.items()]
    made, more = jobs(clips, out)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(edited, made):
            pass
    with open(work / "videos.tsv", "w") as table:
        for line in lines + more:
            table.write("\t".join(map(str, line)) + "\n")
    print(f"{len(references)} references, {len(lines) + len(more)} files")


if __name__ == "__main__":
    main()
