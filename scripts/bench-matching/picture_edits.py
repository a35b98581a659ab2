"""Makes edited copies of photographs, and different photographs under the same overlay.

Every family is a row of the table in the report; a family has at most three strengths. What is drawn by
lot depends on the corpus and on the name of the photograph and of the edit alone.

What is written and drawn over photographs comes in three looks: thresholds were reasoned about with `first`
in sight; `other` was made afterwards, to see whether they hold for what nobody had looked at, and `third` after
the rule of the second look, for the same reason.
"""

import hashlib
import io
import math
import random

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps


class Look:
    name = "first"
    font = None


def wear(name, font):
    """From now on overlays have this look; `font` is the path of one, or none."""
    Look.name, Look.font = name, font


def is_other():
    return Look.name == "other"


def is_third():
    return Look.name == "third"


def lot(*names):
    names = names if Look.name == "first" else (Look.name, *names)
    return random.Random(hashlib.sha256("/".join(map(str, names)).encode()).digest())


def font(size):
    size = max(8, int(size))
    return ImageFont.truetype(str(Look.font), size) if Look.font else ImageFont.load_default(size=size)


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def resize(image, share, _):
    return image.resize((max(1, int(image.width * share)), max(1, int(image.height * share))), Image.LANCZOS)


def crop(image, share, draw):
    """Cuts `share` of the width and of the height away, unevenly."""
    width, height = int(image.width * (1 - share)), int(image.height * (1 - share))
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def letterbox(image, share, _, colour=(0, 0, 0)):
    bar = int(image.height * share)
    out = Image.new("RGB", (image.width, image.height + 2 * bar), colour)
    out.paste(image, (0, bar))
    return out


def pillarbox(image, share, _):
    bar = int(image.width * share)
    out = Image.new("RGB", (image.width + 2 * bar, image.height))
    out.paste(image, (bar, 0))
    return out


def border(image, share, draw):
    wide = int(min(image.size) * share)
    colour = draw.choice([(255, 255, 255), (240, 230, 40), (200, 20, 30), (20, 20, 20)])
    return ImageOps.expand(image, wide, colour)


def blurred_background(image, _, __):
    width, height = 720, 1280
    cover = ImageOps.fit(image, (width, height)).filter(ImageFilter.GaussianBlur(24))
    inside = image.resize((width, max(1, int(image.height * width / image.width))), Image.LANCZOS)
    if inside.height > height:
        inside = image.resize((max(1, int(image.width * height / image.height)), height), Image.LANCZOS)
    cover.paste(inside, ((width - inside.width) // 2, (height - inside.height) // 2))
    return cover


def rotate(image, degrees, draw):
    return image.rotate(degrees * draw.choice([-1, 1]), Image.BICUBIC)


def quarter(image, turns, _):
    return image.transpose([Image.ROTATE_90, Image.ROTATE_180, Image.ROTATE_270][turns - 1])


def mirror(image, _, __):
    return ImageOps.mirror(image)


WORDS = "they do not want you to see this share before it is deleted again now watch until the end".split()


def sentence(draw, words):
    return " ".join(draw.choice(WORDS) for _ in range(words))


def text(image, lines, draw):
    out = image.copy()
    pen = ImageDraw.Draw(out)
    size = image.width / 14
    for line in range(lines):
        at = (image.width * draw.uniform(0.02, 0.15), image.height * (0.1 + 0.8 * (line + draw.uniform(0, 0.5)) / max(lines, 1)))
        if is_third():
            pen.text(at, sentence(draw, 5), font=font(size * 0.8), fill=(255, 230, 0), stroke_width=max(1, int(size / 9)), stroke_fill=(120, 0, 60))
            continue
        pen.text(at, sentence(draw, 5).upper(), font=font(size), fill=(255, 255, 255), stroke_width=max(1, int(size / 12)), stroke_fill=(0, 0, 0))
    return out


def emoji(out, x, y, size, kind):
    pen = ImageDraw.Draw(out)
    if is_other():
        return heart(pen, x, y, size, kind)
    if is_third():
        return mask(pen, x, y, size, kind)
    colour = [(255, 210, 40), (230, 40, 60), (80, 170, 255), (120, 200, 80)][kind % 4]
    pen.ellipse((x, y, x + size, y + size), fill=colour, outline=(60, 40, 0), width=max(1, int(size / 30)))
    for eye in (0.3, 0.62):
        pen.ellipse((x + size * eye, y + size * 0.28, x + size * (eye + 0.09), y + size * 0.46), fill=(60, 40, 0))
    pen.arc((x + size * 0.24, y + size * 0.3, x + size * 0.76, y + size * 0.8), 20, 160, fill=(60, 40, 0), width=max(2, int(size / 18)))


def heart(pen, x, y, size, kind):
    """A heart with two letters, or a star."""
    colour = [(210, 20, 60), (250, 140, 20), (30, 30, 30), (140, 60, 200)][kind % 4]
    if kind % 2:
        points = [(math.pi * (turn / 5 - 0.5), size * (0.5 if turn % 2 == 0 else 0.2)) for turn in range(10)]
        pen.polygon([(x + size / 2 + r * math.cos(a), y + size / 2 + r * math.sin(a)) for a, r in points], fill=colour)
        return
    pen.pieslice((x, y, x + size * 0.55, y + size * 0.6), 150, 360, fill=colour)
    pen.pieslice((x + size * 0.45, y, x + size, y + size * 0.6), 180, 30, fill=colour)
    pen.polygon([(x + size * 0.03, y + size * 0.4), (x + size * 0.97, y + size * 0.4), (x + size / 2, y + size)], fill=colour)
    pen.text((x + size * 0.3, y + size * 0.25), "OK", font=font(size / 4), fill=(255, 255, 255))


def mask(pen, x, y, size, kind):
    """A square head with crosses for eyes and teeth, or a flame."""
    colour = [(90, 40, 130), (255, 120, 0), (0, 150, 140), (240, 240, 240)][kind % 4]
    line = max(2, int(size / 20))
    if kind % 2:
        flame = [(0.5, 0), (0.7, 0.35), (0.9, 0.3), (0.85, 0.8), (0.5, 1), (0.15, 0.8), (0.1, 0.4), (0.35, 0.5)]
        pen.polygon([(x + size * a, y + size * b) for a, b in flame], fill=colour, outline=(120, 20, 0))
        return
    pen.rounded_rectangle((x, y, x + size, y + size), radius=size / 8, fill=colour, outline=(10, 10, 10), width=line)
    for eye in (0.2, 0.6):
        left, top, wide = x + size * eye, y + size * 0.2, size * 0.2
        pen.line((left, top, left + wide, top + wide), fill=(255, 255, 255), width=line)
        pen.line((left + wide, top, left, top + wide), fill=(255, 255, 255), width=line)
    for tooth in range(5):
        left = x + size * (0.2 + 0.12 * tooth)
        pen.rectangle((left, y + size * 0.62, left + size * 0.1, y + size * 0.8), fill=(255, 255, 255), outline=(10, 10, 10))


def emojis(image, count, draw):
    out = image.copy()
    for kind in range(count):
        size = min(image.size) * draw.uniform(0.18, 0.3)
        emoji(out, draw.uniform(0, image.width - size), draw.uniform(0, image.height - size), size, kind)
    return out


def caption(image, share, draw, words=None):
    bar = int(image.height * share)
    lines = words or [sentence(draw, 6), sentence(draw, 6)]
    if is_third():
        return caption_below(image, bar, lines)
    out = Image.new("RGB", (image.width, image.height + bar), (255, 255, 255))
    out.paste(image, (0, bar))
    pen = ImageDraw.Draw(out)
    size = min(bar / (len(lines) * 1.5), image.width / 18)
    for place, line in enumerate(lines):
        pen.text((image.width * 0.04, bar * 0.1 + place * size * 1.35), line, font=font(size), fill=(0, 0, 0))
    return out


def caption_below(image, bar, lines):
    """White on black, in the middle, under a line of colour."""
    out = Image.new("RGB", (image.width, image.height + bar), (15, 15, 15))
    out.paste(image, (0, 0))
    pen = ImageDraw.Draw(out)
    pen.rectangle((0, image.height, image.width, image.height + max(3, bar // 20)), fill=(200, 0, 60))
    size = min(bar / (len(lines) * 1.6), image.width / 22)
    for place, line in enumerate(lines):
        at = (image.width / 2, image.height + bar * 0.2 + place * size * 1.4)
        pen.text(at, line, font=font(size), fill=(255, 255, 255), anchor="ma")
    return out


def browser(image, mode, draw, words):
    """A page in a browser: tabs, an address, a headline, the picture, a column of links."""
    back, ink = ((255, 255, 250), (20, 20, 60)) if mode == "light" else ((30, 32, 38), (210, 215, 220))
    out = Image.new("RGB", (1280, 1024), back)
    pen = ImageDraw.Draw(out)
    pen.rectangle((0, 0, 1280, 44), fill=(90, 95, 110))
    for place in range(3):
        pen.rounded_rectangle((10 + place * 210, 8, 210 + place * 210, 44), radius=8, fill=back)
        pen.text((24 + place * 210, 14), ["Front page", "Weather", "Mail (3)"][place], font=font(18), fill=ink)
    pen.rounded_rectangle((90, 52, 1190, 84), radius=14, outline=(140, 140, 160), width=2)
    pen.text((110, 56), "https://news.example/world/today", font=font(18), fill=ink)
    for place in range(3):
        pen.ellipse((12 + place * 24, 60, 28 + place * 24, 76), outline=ink, width=2)
    lines = words or [sentence(draw, 6), sentence(draw, 7)]
    pen.text((40, 104), lines[0], font=font(40), fill=ink)
    inside = ImageOps.contain(image, (860, 760), Image.LANCZOS)
    out.paste(inside, (40, 170))
    pen.text((40, 180 + inside.height), lines[1], font=font(22), fill=(130, 130, 140))
    for place in range(9):
        pen.line((940, 170 + place * 84, 1240, 170 + place * 84), fill=(160, 160, 170), width=2)
        pen.text((940, 182 + place * 84), f"{place + 1}. read next", font=font(24), fill=ink)
    return out


def tablet(image, mode, draw, words):
    """A tablet's screen: the picture beside a list of messages."""
    back, ink = ((250, 250, 245), (30, 30, 40)) if mode == "light" else ((10, 14, 24), (220, 225, 235))
    out = Image.new("RGB", (1440, 900), back)
    pen = ImageDraw.Draw(out)
    pen.text((30, 20), "Fri 27 Nov   channel of the day", font=font(28), fill=ink)
    pen.line((0, 70, 1440, 70), fill=(140, 140, 150), width=2)
    inside = ImageOps.contain(image, (900, 760), Image.LANCZOS)
    out.paste(inside, (20, 100))
    for place in range(6):
        top = 110 + place * 125
        pen.rounded_rectangle((950, top, 1410, top + 105), radius=18, outline=(120, 160, 220), width=3)
        pen.rectangle((965, top + 15, 1015, top + 65), fill=(60 + 30 * place, 120, 160))
        line = words[place % len(words)] if words else sentence(draw, 4)
        pen.text((1030, top + 20), line, font=font(22), fill=ink)
        pen.text((1030, top + 60), "12 answers", font=font(18), fill=(140, 140, 150))
    return out


def screenshot(image, mode, draw, words=None):
    """A phone's screen: bars, a name, the picture, buttons, a comment."""
    if is_other():
        return tablet(image, mode, draw, words)
    if is_third():
        return browser(image, mode, draw, words)
    width, height = 720, 1480
    back, ink = ((255, 255, 255), (20, 20, 20)) if mode == "light" else ((18, 18, 20), (235, 235, 235))
    out = Image.new("RGB", (width, height), back)
    pen = ImageDraw.Draw(out)
    pen.text((30, 14), "12:47", font=font(26), fill=ink)
    pen.rectangle((640, 18, 690, 38), outline=ink, width=3)
    pen.ellipse((24, 90, 94, 160), fill=(120, 90, 200))
    pen.text((112, 96), "someone.somewhere", font=font(30), fill=ink)
    pen.text((112, 132), "3 hours ago", font=font(22), fill=(130, 130, 130))
    inside = image.resize((width, max(1, int(image.height * width / image.width))), Image.LANCZOS)
    inside = inside.crop((0, 0, width, min(inside.height, 1000)))
    top = 190
    out.paste(inside, (0, top))
    below = top + inside.height
    for place in range(4):
        pen.ellipse((30 + place * 90, below + 20, 80 + place * 90, below + 70), outline=ink, width=4)
    lines = words or [sentence(draw, 7), sentence(draw, 7)]
    for place, line in enumerate(lines):
        pen.text((30, below + 95 + 40 * place), line, font=font(28), fill=ink)
    pen.rectangle((0, 1400, width, 1402), fill=(130, 130, 130))
    for place in range(5):
        pen.rectangle((50 + place * 140, 1420, 100 + place * 140, 1460), outline=ink, width=4)
    return out


def picture_in_picture(image, share, draw, others):
    back = ImageOps.fit(draw.choice(others), (960, 720), Image.LANCZOS)
    scale = share * min(960 / image.width, 720 / image.height)
    inside = image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))), Image.LANCZOS)
    back.paste(inside, (draw.randint(0, 960 - inside.width), draw.randint(0, 720 - inside.height)))
    return back


def collage(image, _, draw, others):
    out = Image.new("RGB", (1000, 760), (255, 255, 255))
    tiles = [image] + draw.sample(others, 3)
    draw.shuffle(tiles)
    for place, tile in enumerate(tiles):
        out.paste(ImageOps.fit(tile, (495, 375), Image.LANCZOS), ((place % 2) * 505, (place // 2) * 385))
    return out


def refilmed(image, strength, draw):
    """A screen filmed by hand: perspective, moiré, glare, blur, noise, its own JPEG."""
    image = ImageOps.contain(image, (1100, 1100), Image.LANCZOS)
    pixels = np.asarray(image).astype(np.float32)
    height, width = pixels.shape[:2]
    canvas_width, canvas_height = int(width * 1.2), int(height * 1.2)
    move = 0.03 + 0.04 * strength
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    at = np.float32([
        [x * 0.88 + 0.16 * width * 0.6 + draw.uniform(-move, move) * width, y * 0.88 + 0.16 * height * 0.6 + draw.uniform(-move, move) * height]
        for x, y in corners
    ])
    warped = cv2.warpPerspective(pixels, cv2.getPerspectiveTransform(corners, at), (canvas_width, canvas_height), borderValue=(25, 22, 20), flags=cv2.INTER_AREA)
    ys, xs = np.mgrid[0:canvas_height, 0:canvas_width]
    moire = 1 + 0.04 * strength * np.sin(xs * 1.9 + ys * 0.35) * np.sin(ys * 1.7)
    glare = 55 * strength * np.exp(-(((xs - canvas_width * draw.uniform(0.2, 0.8)) / (canvas_width * 0.25)) ** 2 + ((ys - canvas_height * draw.uniform(0.2, 0.8)) / (canvas_height * 0.2)) ** 2))
    warped = warped * moire[..., None] * 0.85 + glare[..., None] + 12
    noise = np.random.default_rng(draw.getrandbits(32)).normal(0, 6 * strength, warped.shape)
    out = Image.fromarray(np.clip(warped + noise, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8 + 0.5 * strength))
    return jpeg(ImageOps.contain(out, (900, 900), Image.LANCZOS), 60)


def blur(image, share, _):
    return image.filter(ImageFilter.GaussianBlur(max(image.size) * share))


def noise(image, sigma, draw):
    pixels = np.asarray(image).astype(np.float32)
    grain = np.random.default_rng(draw.getrandbits(32)).normal(0, sigma, pixels.shape)
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def gamma(image, power, _):
    return image.point([int(255 * (value / 255) ** power + 0.5) for value in range(256)] * 3)


def stretch(image, share, _):
    return image.resize((int(image.width * share), image.height), Image.LANCZOS)


def watermark(image, strength, draw, words="unseen media"):
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    if is_other():
        for row in range(4):
            for column in range(2):
                at = (image.width * (column * 0.6 - 0.2 * (row % 2)), image.height * (0.02 + row * 0.27))
                pen.text(at, "© Front 24", font=font(image.width / 11), fill=(250, 240, 200, int(255 * strength)))
                pen.ellipse((at[0] - 40, at[1], at[0] - 10, at[1] + 30), outline=(250, 240, 200, int(255 * strength)), width=4)
        return Image.alpha_composite(image.convert("RGBA"), layer.rotate(-22)).convert("RGB")
    if is_third():
        for row in range(6):
            for column in range(2):
                at = (image.width * (column * 0.52 - 0.12 * (row % 3)), image.height * (row * 0.18 - 0.02))
                pen.text(at, "@night_owl", font=font(image.width / 13), fill=(20, 20, 60, int(255 * strength)))
        pen.ellipse((image.width * 0.42, image.height * 0.4, image.width * 0.58, image.height * 0.6), outline=(20, 20, 60, int(255 * strength)), width=8)
        return Image.alpha_composite(image.convert("RGBA"), layer.rotate(32)).convert("RGB")
    size = image.width / 16
    for row in range(5):
        for column in range(3):
            at = (image.width * (column * 0.36 + 0.1 * (row % 2) - 0.05), image.height * (0.05 + row * 0.2))
            pen.text(at, words, font=font(size), fill=(255, 255, 255, int(255 * strength)))
    return Image.alpha_composite(image.convert("RGBA"), layer.rotate(15)).convert("RGB")


def sticker(image, share, draw, at=None):
    """One opaque badge, large and with writing."""
    out = image.copy()
    pen = ImageDraw.Draw(out)
    width, height = image.width * share, image.width * share * 0.45
    x, y = at or (draw.uniform(0, image.width - width), draw.uniform(0, max(1, image.height - height)))
    if is_other():
        return badge(out, x, y, width)
    if is_third():
        return seal(out, x, y, width)
    pen.rounded_rectangle((x, y, x + width, y + height), radius=height / 5, fill=(220, 30, 40), outline=(255, 255, 255), width=max(2, int(height / 25)))
    pen.text((x + width * 0.08, y + height * 0.15), "BREAKING", font=font(width / 6.5), fill=(255, 255, 255))
    pen.text((x + width * 0.08, y + height * 0.55), "exclusive footage", font=font(width / 10), fill=(255, 240, 120))
    return out


def badge(out, x, y, width):
    """A yellow board with a warning sign and a line of small print."""
    pen = ImageDraw.Draw(out)
    height = width * 0.5
    pen.rectangle((x, y, x + width, y + height), fill=(245, 200, 30), outline=(20, 20, 20), width=max(2, int(width / 40)))
    corner = (x + width * 0.06, y + height * 0.85)
    pen.polygon([corner, (corner[0] + width * 0.3, corner[1]), (corner[0] + width * 0.15, y + height * 0.15)], fill=(20, 20, 20))
    pen.text((x + width * 0.18, y + height * 0.35), "!", font=font(height / 2.6), fill=(245, 200, 30))
    for line, words in enumerate(["GRAPHIC", "viewer", "discretion"]):
        pen.text((x + width * 0.42, y + height * (0.12 + 0.28 * line)), words, font=font(width / 10), fill=(20, 20, 20))
    return out


def seal(out, x, y, width):
    """A green ellipse with two rings, a word and dots around it."""
    pen = ImageDraw.Draw(out)
    height = width * 0.55
    line = max(2, int(width / 60))
    pen.ellipse((x, y, x + width, y + height), fill=(10, 110, 60), outline=(250, 250, 250), width=line)
    pen.ellipse((x + width * 0.06, y + height * 0.08, x + width * 0.94, y + height * 0.92), outline=(250, 250, 250), width=line)
    for dot in range(24):
        turn = math.pi * dot / 12
        dx, dy = x + width * (0.5 + 0.47 * math.cos(turn)), y + height * (0.5 + 0.46 * math.sin(turn))
        pen.ellipse((dx - line, dy - line, dx + line, dy + line), fill=(255, 230, 120))
    pen.text((x + width / 2, y + height * 0.3), "LEAKED", font=font(width / 6), fill=(255, 255, 255), anchor="ma")
    pen.text((x + width / 2, y + height * 0.62), "part 2 of 7", font=font(width / 13), fill=(255, 230, 120), anchor="ma")
    return out


def film(image):
    """A strip of film: holes above and below, numbers between them."""
    wide = int(min(image.size) * 0.12)
    out = Image.new("RGB", (image.width + wide, image.height + 2 * wide), (25, 15, 10))
    out.paste(image, (wide // 2, wide))
    pen = ImageDraw.Draw(out)
    step = max(10, int(wide * 0.9))
    for place, x in enumerate(range(step // 3, out.width, step)):
        for y in (wide * 0.15, out.height - wide * 0.65):
            pen.rounded_rectangle((x, y, x + step * 0.5, y + wide * 0.5), radius=wide / 10, fill=(245, 245, 240))
        if place % 4 == 1:
            pen.text((x, wide * 0.68), f"{place}A", font=font(wide * 0.25), fill=(240, 150, 40))
    return out


def frame(image, _, __):
    """A decorated frame."""
    if is_third():
        return film(image)
    wide = int(min(image.size) * 0.12)
    out = ImageOps.expand(image, wide, (20, 70, 60) if is_other() else (90, 60, 30))
    pen = ImageDraw.Draw(out)
    step = max(8, wide // 2)
    if is_other():
        for place in range(-wide, out.width + out.height, 2 * step):
            pen.line((place, 0, place - wide, wide), fill=(230, 80, 60), width=step // 3)
            pen.line((place, out.height - wide, place - wide, out.height), fill=(230, 80, 60), width=step // 3)
            pen.rectangle((wide // 4, place, wide * 3 // 4, place + step), outline=(240, 240, 230), width=3)
            pen.rectangle((out.width - wide * 3 // 4, place, out.width - wide // 4, place + step), outline=(240, 240, 230), width=3)
        out.paste(image, (wide, wide))
        return out
    for x in range(0, out.width, step):
        for y in list(range(0, wide - step // 2, step)) + list(range(out.height - wide, out.height, step)):
            pen.ellipse((x, y, x + step * 0.7, y + step * 0.7), fill=(200, 170, 60))
    for y in range(wide, out.height - wide, step):
        for x in (wide // 5, out.width - wide + wide // 5):
            pen.polygon([(x, y), (x + step * 0.6, y + step * 0.3), (x, y + step * 0.6)], fill=(240, 220, 140))
    return out


def pixelate_part(image, share, draw):
    out = image.copy()
    width, height = int(image.width * share), int(image.height * share)
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    part = out.crop((left, top, left + width, top + height))
    out.paste(part.resize((10, 10), Image.BOX).resize(part.size, Image.NEAREST), (left, top))
    return out


def hue(image, degrees, _):
    h, s, v = image.convert("HSV").split()
    return Image.merge("HSV", (h.point([(value + int(degrees * 256 / 360)) % 256 for value in range(256)]), s, v)).convert("RGB")


def reposted(image, strength, draw):
    """What happens to a picture on its way: cut, captioned, compressed."""
    out = caption(crop(image, 0.1 * strength, draw), 0.18, draw)
    if strength > 1:
        out = mirror(out, 0, draw)
    return jpeg(resize(out, 0.6, draw), 35)


def enhanced(kind):
    return lambda image, factor, _: kind(image).enhance(factor)


# Family: its strengths, and how a copy is made of image, strength, lot (and other photographs).
FAMILIES = {
    "jpeg": ([30, 10], lambda image, quality, _: jpeg(image, quality)),
    "resize": ([0.5, 0.25], resize),
    "crop 10 %": ([0.1], crop),
    "crop 20 %": ([0.2], crop),
    "crop 40 %": ([0.4], crop),
    "letterbox, pillarbox": ([0.12, 0.3, "side"], lambda image, s, draw: pillarbox(image, 0.25, draw) if s == "side" else letterbox(image, s, draw)),
    "border": ([0.05, 0.15], border),
    "blurred 9:16 background": ([1], blurred_background),
    "rotation 2°": ([2], rotate),
    "rotation 5°": ([5], rotate),
    "rotation 10–30°": ([10, 30], rotate),
    "rotation 90°": ([1, 2, 3], quarter),
    "mirror": ([1], mirror),
    "text": ([1, 3], text),
    "3 emoji": ([3], emojis),
    "caption": ([0.15, 0.3], caption),
    "screenshot of an app": (["light", "dark"], screenshot),
    "picture in picture 40 %": ([0.4], picture_in_picture),
    "picture in picture 60 %": ([0.6], picture_in_picture),
    "collage 2 × 2": ([1], collage),
    "re-filmed": ([0.5, 1], refilmed),
    "blur": ([0.004, 0.01], blur),
    "noise": ([15, 40], noise),
    "brightness": ([0.6, 1.5], enhanced(ImageEnhance.Brightness)),
    "contrast": ([0.5, 1.8], enhanced(ImageEnhance.Contrast)),
    "gamma": ([0.5, 2.0], gamma),
    "grey": ([1], lambda image, _, __: image.convert("L").convert("RGB")),
    "invert": ([1], lambda image, _, __: ImageOps.invert(image)),
    "saturation": ([0.3, 2.5], enhanced(ImageEnhance.Color)),
    "hue": ([90], hue),
    "sharpen": ([3], enhanced(ImageEnhance.Sharpness)),
    "stretch": ([0.8, 1.25], stretch),
    "watermark": ([0.35, 0.6], watermark),
    "sticker": ([0.3, 0.5], sticker),
    "decorated frame": ([1], frame),
    "part pixelated": ([0.3], pixelate_part),
    "reposted": ([1, 2], reposted),
}

SAME = ["they do not want you to", "see this before it is gone"]

# Overlays that different photographs share; references carry them too.
OVERLAYS = {
    "caption": lambda image, name: caption(image, 0.3, None, SAME),
    "sticker": lambda image, name: sticker(image, 0.5, None, (image.width * 0.4, image.height * 0.1)),
    "frame": lambda image, name: frame(image, 1, None),
    "watermark": lambda image, name: watermark(image, 0.6, None),
    "screenshot": lambda image, name: screenshot(image, "light", None, SAME),
    "emoji": lambda image, name: emojis(image, 3, lot("same")),
}


def edited(image, family, strength, name, others):
    draw = lot(name, family, strength)
    make = FAMILIES[family][1]
    if make in (picture_in_picture, collage):
        return make(image, strength, draw, others)
    return make(image, strength, draw)
