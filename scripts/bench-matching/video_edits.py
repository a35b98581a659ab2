"""Edited copies of videos, as ffmpeg is told to make them, and what different videos are put under.

Every family is a row of the table in the report; a family has at most three strengths. What is drawn by
lot depends on the name of the clip and of the edit alone.
"""

import hashlib
import random

from PIL import Image, ImageDraw, ImageFont

WORDS = "they do not want you to see this share before it is deleted again now watch until the end".split()


def lot(*names):
    return random.Random(hashlib.sha256("/".join(map(str, names)).encode()).digest())


def font(size):
    return ImageFont.load_default(size=max(8, int(size)))


def sentence(draw, words):
    return " ".join(draw.choice(WORDS) for _ in range(words))


class Clip:
    """A clip that is edited: where it is, its size and length, other videos, and a folder for drawings."""

    def __init__(self, name, path, size, seconds, fillers, drawings):
        self.name, self.path, self.size, self.seconds = name, path, size, seconds
        self.fillers, self.drawings = fillers, drawings

    def drawing(self, kind, paint, size=None):
        """A transparent picture over the whole frame."""
        path = self.drawings / f"{kind}-{self.name}.png"
        image = Image.new("RGBA", size or self.size, (0, 0, 0, 0))
        paint(image, ImageDraw.Draw(image))
        image.save(path)
        return str(path)


def simple(filters):
    """An edit by a chain of filters; `{}` is the strength."""
    return lambda clip, strength, draw: ([], "[0:v]" + filters.replace("{}", str(strength)) + "[v]")


def centred(pen, at, text, size, fill=(255, 255, 255)):
    pen.text(at, text, font=font(size), fill=fill, anchor="mm", stroke_width=max(1, int(size / 12)), stroke_fill=(0, 0, 0))


def subtitle_drawings(clip, draw, count):
    width, height = clip.size

    def paint(text):
        return lambda _, pen: centred(pen, (width / 2, height * 0.88), text, width / 20)

    return [clip.drawing(f"subtitle-{place}", paint(sentence(draw, 6))) for place in range(count)]


def subtitles(clip, _, draw):
    """A line at the bottom, another one every two seconds."""
    paths = subtitle_drawings(clip, draw, 4)
    chain, last = "", "0:v"
    for place in range(len(paths)):
        chain += f"[{last}][{place + 1}:v]overlay=enable='eq(mod(floor(t/2),{len(paths)}),{place})'[s{place}];"
        last = f"s{place}"
    return [["-i", path] for path in paths], chain + f"[{last}]null[v]"


def over(clip, drawing, at="0:0"):
    return [["-i", drawing]], f"[0:v][1:v]overlay={at}[v]"


def text(clip, lines, draw):
    width, height = clip.size

    def paint(_, pen):
        for line in range(lines):
            place = (width / 2, height * (0.15 + 0.7 * (line + draw.uniform(0, 0.5)) / lines))
            centred(pen, place, sentence(draw, 4).upper(), width / 15)

    return over(clip, clip.drawing(f"text-{lines}", paint))


def smiley(pen, x, y, size, kind):
    colour = [(255, 210, 40), (230, 40, 60), (80, 170, 255)][kind % 3]
    pen.ellipse((x, y, x + size, y + size), fill=colour, outline=(60, 40, 0))
    for eye in (0.3, 0.62):
        pen.ellipse((x + size * eye, y + size * 0.28, x + size * (eye + 0.09), y + size * 0.46), fill=(60, 40, 0))
    pen.arc((x + size * 0.24, y + size * 0.3, x + size * 0.76, y + size * 0.8), 20, 160, fill=(60, 40, 0), width=3)


def emoji(clip, count, draw):
    width, height = clip.size

    def paint(_, pen):
        for kind in range(count):
            size = min(width, height) * draw.uniform(0.18, 0.28)
            smiley(pen, draw.uniform(0, width - size), draw.uniform(0, height - size), size, kind)

    return over(clip, clip.drawing(f"emoji-{count}", paint))


def logo(clip, share, draw, word=None):
    width, height = clip.size
    word = word or draw.choice(["LIVE 24", "CHANNEL 9", "TRUE TV"])
    left, top = draw.choice([0.03, 0.97 - share]), draw.choice([0.03, 0.85])

    def paint(_, pen):
        x, y = width * left, height * top
        pen.rounded_rectangle((x, y, x + width * share, y + height * 0.12), radius=6, fill=(210, 30, 40, 255), outline=(255, 255, 255))
        pen.text((x + width * share / 2, y + height * 0.06), word, font=font(width * share / 7), fill=(255, 255, 255), anchor="mm")

    return over(clip, clip.drawing(f"logo-{share}", paint))


def caption(clip, share, draw):
    width, height = clip.size
    bar = int(height * share) // 2 * 2

    def paint(image, pen):
        image.paste((255, 255, 255, 255), (0, 0, width, bar))
        pen.text((width * 0.04, bar * 0.2), sentence(draw, 6), font=font(min(bar / 2, width / 20)), fill=(0, 0, 0))

    size = (width, height + bar)
    return [["-i", clip.drawing("caption", paint, size)]], f"[0:v]pad=iw:ih+{bar}:0:{bar}[p];[p][1:v]overlay[v]"


def screen(clip, _, draw):
    """A phone's screen: a name, the video, a comment."""
    width, height = 480, 960
    inside = round(clip.size[1] * width / clip.size[0]) // 2 * 2
    inside, top = min(inside, 640), 130

    def paint(image, pen):
        image.paste((255, 255, 255, 255), (0, 0, width, height))
        image.paste((0, 0, 0, 0), (0, top, width, top + inside))
        pen.text((20, 10), "12:47", font=font(18), fill=(20, 20, 20))
        pen.ellipse((16, 60, 66, 110), fill=(120, 90, 200))
        pen.text((80, 66), "someone.somewhere", font=font(22), fill=(20, 20, 20))
        for place in range(4):
            pen.ellipse((20 + place * 60, top + inside + 14, 54 + place * 60, top + inside + 48), outline=(20, 20, 20), width=3)
        pen.text((20, top + inside + 70), sentence(draw, 6), font=font(20), fill=(20, 20, 20))

    drawing = clip.drawing("screen", paint, (width, height))
    return [["-i", drawing]], f"[0:v]scale={width}:-2,crop={width}:{inside},pad={width}:{height}:0:{top}[p];[p][1:v]overlay[v]"


def filler(clip, draw):
    return draw.choice(clip.fillers)


def even(length):
    return max(2, int(length) // 2 * 2)


def splice(clip, seconds, draw):
    """A piece of it amid 16 seconds of something else."""
    width, height = clip.size
    start = draw.uniform(0, max(0, clip.seconds - seconds))
    fit = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},setsar=1,fps=25"
    before = draw.uniform(5, 9)
    return [["-stream_loop", "9", "-i", filler(clip, draw)]], (
        f"[1:v]{fit},split[a][b];[a]trim=0:{before},setpts=PTS-STARTPTS[x];"
        f"[b]trim={before}:16,setpts=PTS-STARTPTS[y];"
        f"[0:v]trim={start}:{start + seconds},setpts=PTS-STARTPTS,{fit}[m];[x][m][y]concat=n=3[v]"
    )


def picture_in_picture(clip, share, draw):
    width, height = clip.size
    across, down = even(width * share), even(height * share)
    left, top = draw.randint(0, width - across), draw.randint(0, height - down)
    return [["-stream_loop", "9", "-i", filler(clip, draw)]], (
        f"[1:v]trim=0:{clip.seconds},scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},setsar=1[b];"
        f"[0:v]scale={across}:{down}[i];[b][i]overlay={left}:{top}:shortest=1[v]"
    )


def beside(clip, _, draw):
    """The screen split with another video."""
    width, height = clip.size
    return [["-stream_loop", "9", "-i", filler(clip, draw)]], (
        f"[1:v]trim=0:{clip.seconds},scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},setsar=1,fps=25[b];"
        f"[0:v]fps=25[a];[a][b]vstack=shortest=1[v]"
    )


def blurred_background(clip, _, __):
    return [], (
        "[0:v]split[a][b];[a]scale=360:640:force_original_aspect_ratio=increase,crop=360:640,gblur=16[c];"
        "[b]scale=360:-2[d];[c][d]overlay=(W-w)/2:(H-h)/2[v]"
    )


def cut(clip, keep, _):
    """Of every four seconds only the first ones are kept."""
    return [], f"[0:v]select='lt(mod(t,4),{keep})',setpts=N/FRAME_RATE/TB[v]"


def refilmed(clip, strength, draw):
    """A screen filmed by hand: perspective, a hand that moves, moiré, noise, blur, dim."""
    width, height = even(clip.size[0] * 1.2), even(clip.size[1] * 1.2)
    lean = 0.03 + 0.04 * strength
    corners = []
    for x, y in [(0.06, 0.06), (0.94, 0.06), (0.06, 0.94), (0.94, 0.94)]:
        corners += [x + draw.uniform(-lean, lean), y + draw.uniform(-lean, lean)]
    quad = ":".join(f"{name}={corner}*{side}" for name, corner, side in zip(["x0", "y0", "x1", "y1", "x2", "y2", "x3", "y3"], corners, "WH" * 4))
    shake = 4 * strength
    return [], (
        f"[0:v]scale={width}:{height},perspective={quad}:sense=destination,"
        f"crop=iw-{2 * even(shake + 2)}:ih-{2 * even(shake + 2)}:{even(shake + 2)}+{shake}*sin(t*2.1):{even(shake + 2)}+{shake}*sin(t*1.3),"
        f"geq=lum='clip(lum(X,Y)*0.8*(1+{0.05 * strength}*sin(X*1.9+Y*0.35)*sin(Y*1.7))+16,0,255)':cb='cb(X,Y)':cr='cr(X,Y)',"
        f"gblur={0.5 + 0.5 * strength},noise=alls={8 * strength}:allf=t[v]"
    )


def several(clip, _, draw):
    """Mirrored, cropped, a little faster, and written over."""
    inputs, chain = text(clip, 1, draw)
    return inputs, "[0:v]hflip,crop=iw*0.9:ih*0.9,scale={0}:{1},setpts=PTS/1.1[m];".format(*clip.size) + chain.replace("[0:v]", "[m]")


# Family: strengths, and how it is made.
FAMILIES = {
    "spliced into 16 s of something else": ([5, 8], splice),
    "mirrored": ([""], simple("hflip")),
    "letterbox": ([0.1, 0.2], simple("pad=iw:ceil(ih*(1+2*{})/2)*2:0:(oh-ih)/2")),
    "pillarbox": ([0.15], simple("pad=ceil(iw*(1+2*{})/2)*2:ih:(ow-iw)/2:0")),
    "speed": ([0.8, 1.1, 1.25], simple("setpts=PTS/{}")),
    "crop": ([0.1, 0.25, 0.4], simple("crop=iw*(1-{}):ih*(1-{}):iw*{}*0.3:ih*{}*0.6")),
    "re-filmed": ([0.5, 1.0], refilmed),
    "subtitles": ([""], subtitles),
    "text": ([1, 3], text),
    "low rate": ([60, 120], simple("null")),
    "resized": ([0.5, 0.25], simple("scale=trunc(iw*{}/2)*2:trunc(ih*{}/2)*2")),
    "frames a second": ([5, 10, 50], simple("fps={}")),
    "border": ([0.05, 0.1], simple("pad=ceil(iw*(1+2*{})/2)*2:ceil(ih*(1+2*{})/2)*2:(ow-iw)/2:(oh-ih)/2:color=yellow")),
    "grey": ([""], simple("hue=s=0")),
    "brightness": ([-0.2, 0.2], simple("eq=brightness={}")),
    "contrast": ([0.6, 1.6], simple("eq=contrast={}")),
    "blurred": ([1.5, 3], simple("gblur={}")),
    "noise": ([15, 40], simple("noise=alls={}:allf=t")),
    "rotated": ([2, 5], simple("rotate={}*PI/180")),
    "picture in picture": ([0.4, 0.6], picture_in_picture),
    "logo": ([0.2, 0.35], logo),
    "cut": ([2, 3], cut),
    "hue": ([60, 180], simple("hue=h={}")),
    "emoji": ([1, 3], emoji),
    "blurred background, 9:16": ([""], blurred_background),
    "caption": ([0.15, 0.25], caption),
    "stretched": ([0.75, 1.33], simple("scale=trunc(iw*{}/2)*2:ih")),
    "screen of an app": ([""], screen),
    "split screen": ([""], beside),
    "zooming in": ([""], simple("scale=iw*2:ih*2,zoompan=z='min(1+on*0.002,1.5)':x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2':d=1:s=WxH")),
    "mirrored, cropped, faster, text": ([""], several),
}


def same_subtitle(clip):
    return subtitles(clip, "", lot("the same subtitle"))


def same_logo(clip):
    return logo(clip, 0.35, lot("the same logo"), "CHANNEL 9")


def same_frame(clip):
    width, height = clip.size

    def paint(image, pen):
        draw = lot("the same frame")
        wide = int(min(width, height) * 0.14)
        for x in range(0, width, 12):
            for y in range(0, height, 12):
                if x < wide or y < wide or x >= width - wide or y >= height - wide:
                    pen.rectangle((x, y, x + 11, y + 11), fill=tuple(draw.randint(0, 255) for _ in range(3)) + (255,))

    return over(clip, clip.drawing("same-frame", paint))


def same_watermark(clip):
    width, height = clip.size

    def paint(_, pen):
        for row in range(5):
            for column in range(3):
                pen.text((width * (column * 0.36 + 0.1 * (row % 2) - 0.05), height * (0.05 + row * 0.2)), "unseen media", font=font(width / 16), fill=(255, 255, 255, 110))

    return over(clip, clip.drawing("same-watermark", paint))


def same_card(clip):
    """Three seconds of the same card before and after."""
    width, height = clip.size

    def paint(image, pen):
        image.paste((20, 30, 90, 255), (0, 0, width, height))
        draw = lot("the same card")
        for _ in range(40):
            x, y = draw.uniform(0, width), draw.uniform(0, height)
            pen.ellipse((x, y, x + width * 0.06, y + width * 0.06), fill=tuple(draw.randint(60, 255) for _ in range(3)))
        centred(pen, (width / 2, height * 0.4), "BREAKING NEWS", width / 10)
        centred(pen, (width / 2, height * 0.65), "what nobody tells you", width / 18)

    card = clip.drawing("same-card", paint)
    fit = f"scale={width}:{height},setsar=1,fps=25,format=yuv420p"
    inputs = [["-loop", "1", "-t", "3", "-i", card], ["-loop", "1", "-t", "3", "-i", card]]
    return inputs, f"[0:v]{fit}[m];[1:v]{fit}[a];[2:v]{fit}[b];[a][m][b]concat=n=3[v]"


OVERLAYS = {"subtitles": same_subtitle, "logo": same_logo, "frame": same_frame, "watermark": same_watermark, "card": same_card}
