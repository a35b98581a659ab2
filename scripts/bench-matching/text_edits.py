"""Makes edited copies of texts. Every family is a row of the table; a family has at most three strengths."""

import hashlib
import html
import random
import re
import textwrap


def lot(*names):
    return random.Random(hashlib.sha256("/".join(map(str, names)).encode()).digest())


LETTERS = "abcdefghijklmnopqrstuvwxyz"
LOOKALIKES = str.maketrans("aceopxyikmhtbABCEHIKMOPTXY", "асеорхуіκмһтЬАВСЕНІКМОРТХУ")
LEET = str.maketrans("aeiostlbgAEIOSTLBG", "431057189431057189")
FANCY = {letter: chr(0x1D41A + place) for place, letter in enumerate(LETTERS)} | {letter.upper(): chr(0x1D400 + place) for place, letter in enumerate(LETTERS)}
WIDE = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
EMOJI = ["😀", "🔥", "💀", "👉", "❤️", "🇺🇦", "👩‍👩‍👧"]
HIDDEN = ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad"]


def each(text, share, draw, change, only=str.isalpha):
    """Changes so large a share of the characters that are asked for."""
    return "".join(change(c) if only(c) and draw.random() < share else c for c in text)


def words(text, share, draw, change):
    """Changes so large a share of the words, spaces left as they are."""
    return "".join(change(part) if part.strip() and draw.random() < share else part for part in re.split(r"(\s+)", text))


def typos(text, percent, draw, _):
    """Of a hundred letters so many wrong, missing, doubled by another, or in the wrong order."""
    out, at = [], 0
    while at < len(text):
        c = text[at]
        at += 1
        if not c.isalpha() or draw.random() >= percent / 100:
            out.append(c)
            continue
        kind = draw.randrange(4)
        if kind == 0:
            out.append(draw.choice(LETTERS))
        elif kind == 1:
            out += [c, draw.choice(LETTERS)]
        elif kind == 2 and at < len(text):
            out += [text[at], c]
            at += 1
    return "".join(out)


def scrambled(text, share, draw, _):
    """The inner letters of words in another order."""
    def change(word):
        inner = list(word[1:-1])
        draw.shuffle(inner)
        return word[:1] + "".join(inner) + word[-1:]
    return words(text, share, draw, change)


def swapped(text, share, draw, _):
    parts = text.split(" ")
    for at in range(len(parts) - 1):
        if draw.random() < share:
            parts[at], parts[at + 1] = parts[at + 1], parts[at]
    return " ".join(parts)


def embedded(text, times, draw, others):
    """In so many times as much other text."""
    around = []
    while sum(map(len, around)) < times * len(text):
        around.append(draw.choice(others))
    half = len(around) // 2
    return "\n\n".join([*around[:half], text, *around[half:]])


def cut(text, kept, _, __):
    """What is kept, from the front or the end."""
    length = int(len(text) * abs(kept))
    return text[:length] if kept > 0 else text[-length:]


def reordered(text, _, draw, __):
    """Sentences in another order."""
    parts = re.split(r"(?<=[.!?\n])\s+", text)
    draw.shuffle(parts)
    return " ".join(parts)


def as_html(text, kind, draw, _):
    if kind == "entities":
        return "".join(f"&#{ord(c)};" if draw.random() < 0.3 else html.escape(c) for c in text)
    marked = words(html.escape(text), 0.2, draw, lambda word: f"<b>{word}</b>")
    return f'<div class="post"><p style="color:red">{marked.replace(chr(10), "<br>")}</p></div>'


def markdown(text, _, draw, __):
    marked = words(text, 0.25, draw, lambda word: draw.choice(["**{}**", "_{}_", "`{}`", "~~{}~~"]).format(word))
    return "# Read this\n\n" + "\n".join("> " + line for line in marked.split("\n"))


def link(text, place, draw, _):
    address = f"https://example.org/{draw.getrandbits(40):x}?utm_source=share&id={draw.randrange(10**6)}"
    return f"{address} {text}" if place == "front" else f"{text}\n{address}"


def hashtags(text, kind, draw, _):
    if kind == "words":
        return words(text, 0.2, draw, lambda word: "#" + word)
    return text + " " + " ".join("#" + draw.choice(["news", "truth", "viral", "share", "watch", "today"]) for _ in range(5))


def accents(text, count, draw, _):
    marks = [chr(code) for code in range(0x300, 0x340)]
    return each(text, 1 if count > 1 else 0.5, draw, lambda c: c + "".join(draw.choice(marks) for _ in range(count)))


def censored(text, share, draw, _):
    """A vowel of a word written as a sign."""
    return words(text, share, draw, lambda word: re.sub(r"[aeiouAEIOU]", "*", word, count=1))


def inserted_words(text, share, draw, others):
    stock = " ".join(others[:20]).split()
    return words(text, share, draw, lambda word: word + " " + draw.choice(stock))


def spacing(text, kind, draw, _):
    if kind == "none":
        return re.sub(r"\s+", "", text)
    return " ".join(text) if kind == "letters" else re.sub(" ", lambda _: " " * draw.randint(1, 4), text)


def case(text, kind, draw, _):
    return {"upper": text.upper(), "lower": text.lower(), "mixed": each(text, 0.5, draw, str.swapcase)}[kind]


def wrapped(text, width, _, __):
    return "\n".join(textwrap.wrap(text, width)) if width > 1 else "\n".join(text.split())


def signs_between(text, sign, draw, _):
    return words(text, 0.5, draw, sign.join)


FAMILIES = {
    "typos": ([2, 5, 8], typos),
    "homoglyphs": ([0.3, 1], lambda t, s, d, _: each(t, s, d, lambda c: c.translate(LOOKALIKES))),
    "leet": ([0.5, 1], lambda t, s, d, _: each(t, s, d, lambda c: c.translate(LEET))),
    "mathematical letters": ([0.5, 1], lambda t, s, d, _: each(t, s, d, lambda c: FANCY.get(c, c))),
    "full-width letters": ([1], lambda t, s, d, _: each(t, s, d, lambda c: WIDE.get(c, c), lambda c: True)),
    "zero-width characters": ([0.2, 1], lambda t, s, d, _: each(t, s, d, lambda c: c + d.choice(HIDDEN), lambda c: True)),
    "direction marks": ([0.2], lambda t, s, d, _: words(t, s, d, lambda w: "\u202e\u2066" + w + "\u2069\u202c")),
    "spacing": (["between words", "letters", "none"], spacing),
    "case": (["upper", "lower", "mixed"], case),
    "punctuation removed": ([1], lambda t, s, d, _: "".join(c for c in t if c.isalnum() or c.isspace())),
    "signs between letters": ([".", "-"], signs_between),
    "accents": ([1, 3], accents),
    "vowels censored": ([0.1, 0.3], censored),
    "repeated letters": ([0.05, 0.2], lambda t, s, d, _: each(t, s, d, lambda c: c * d.randint(2, 5))),
    "emoji inserted": ([0.2, 1], lambda t, s, d, _: words(t, s, d, lambda w: w + " " + d.choice(EMOJI))),
    "line breaks": ([40, 20, 1], wrapped),
    "HTML": (["tags", "entities"], as_html),
    "Markdown": ([1], markdown),
    "link added": (["front", "end"], link),
    "hashtags": (["end", "words"], hashtags),
    "quoted reply": ([1], lambda t, s, d, _: "On Friday someone wrote:\n" + "\n".join("> " + line for line in t.split("\n")) + "\nI agree."),
    "numbered lines": ([30], lambda t, s, d, _: "\n".join(f"{n}. {line}" for n, line in enumerate(textwrap.wrap(t, s), 1))),
    "embedded in longer text": ([2, 10, 50], embedded),
    "words removed": ([0.03, 0.06], lambda t, s, d, _: words(t, s, d, lambda w: "")),
    "words inserted": ([0.03, 0.06], inserted_words),
    "words swapped": ([0.03, 0.06], swapped),
    "sentences reordered": ([1], reordered),
    "letters scrambled": ([0.05, 0.1], scrambled),
    "cut by a tenth": ([0.9, -0.9], cut),
    "cut in half": ([0.5, -0.5], cut),
}


def edited(text, family, strength, name, others):
    return FAMILIES[family][1](text, strength, lot(name, family, strength), others)


