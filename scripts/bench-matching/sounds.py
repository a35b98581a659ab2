"""Fetches Debian packages with music and speech and makes the files that the sound benchmark compares.

sounds.py DIR: leaves DIR/sounds.tsv with one line a file: role, name, edit, strength, path. Roles:
`reference` (a minute of music, a spoken text), `query` (an edited copy of twenty seconds of one),
`other-query` (pieces that are no reference, silence, tones, noise). A name is the file and, after `#`, the
minute.
"""

import os
import pathlib
import sys
from concurrent.futures import ProcessPoolExecutor

import debian
import sound_edits as edits

PACKAGES = ["asterisk-moh-opsound-wav", "linphone-common", "zaz-data", "asc-music", "pushover-data", "asterisk-core-sounds-en-wav"]
MUSIC = ["usr/share/asterisk/moh", "usr/share/sounds/linphone", "usr/share/games/zaz", "usr/share/games/asc/music", "usr/share/pushover/themes"]
SPEECH = "usr/share/asterisk/sounds/en_US_f_Allison"
# Minutes of a file that are taken, and of these at most so many.
MINUTE, MOST = 60, 4
# Of so many files of music and speech edited copies are made.
MUSIC_SUBJECTS, SPEECH_SUBJECTS = 12, 6
# Seconds of a reference that are edited.
PART = 20


def minutes(path):
    sound = edits.decoded(path, "-t", str(MINUTE * MOST))
    parts = [sound[at : at + MINUTE * edits.RATE] for at in range(0, len(sound), MINUTE * edits.RATE)]
    return [part for part in parts if len(part) >= (PART + 5) * edits.RATE]


def make(job):
    name, sound, others, out = job
    middle = max(0, len(sound) - PART * edits.RATE) // 2
    part = sound[middle : middle + PART * edits.RATE]
    lines = []
    for number, (family, (strengths, _)) in enumerate(edits.FAMILIES.items()):
        for place, strength in enumerate(strengths):
            to = out / f"{number:02}-{place}-{name.replace('#', '-')}.wav"
            if not to.exists():
                edits.written(to, edits.edited(part, family, strength, name, others))
            lines.append(("query", name, family, strength, to))
    return lines


def main():
    root = pathlib.Path(sys.argv[1])
    files = debian.unpacked(root, PACKAGES)
    out = root / "made-sounds"
    out.mkdir(exist_ok=True)
    lines = []

    def put(role, name, sound):
        to = out / f"{role}-{name.replace('#', '-').replace(' ', '-')}.wav"
        if not to.exists():
            edits.written(to, sound)
        lines.append((role, name, "", "", to))

    paths = [path for place in MUSIC for path in sorted((files / place).rglob("*")) if path.suffix in (".wav", ".ogg", ".mp3", ".mkv") and path.stat().st_size > 100_000]
    music = [(path.stem, parts) for path in paths if (parts := minutes(path))]
    spoken = [path for path in sorted((files / SPEECH).rglob("*.wav")) if path.stat().st_size > 170_000 and "silence" not in str(path)]
    speech = [(path.stem, [edits.decoded(path)]) for path in spoken]
    for found in (music, speech):
        edits.lot("sounds").shuffle(found)
    subjects = []
    for found, count in ((music, MUSIC_SUBJECTS), (speech, SPEECH_SUBJECTS)):
        known = max(count, len(found) * 2 // 3)
        for place, (name, parts) in enumerate(found):
            for minute, part in enumerate(parts):
                put("reference" if place < known else "other-query", f"{name}#{minute}", part)
        subjects += [(f"{name}#{len(parts) // 2}", parts[len(parts) // 2]) for name, parts in found[:count]]
    for name, sound in edits.artificial():
        put("other-query", f"{name}#0", sound)
    # What lies over and around copies is no reference.
    others = [music[-1][1][0], music[-2][1][0], speech[-1][1][0]]
    os.nice(5)
    with ProcessPoolExecutor() as pool:
        for made in pool.map(make, [(name, sound, others, out) for name, sound in subjects]):
            lines.extend(made)
    with open(root / "sounds.tsv", "w") as table:
        for line in lines:
            table.write("\t".join(map(str, line)) + "\n")
    references = sum(line[0] == "reference" for line in lines)
    print(f"{references} references, {len(lines)} files")


if __name__ == "__main__":
    main()
