"""Makes edited copies of sounds. Every family is a row of the table; a family has at most three strengths.

Sounds are mono, 22,050 samples a second, as floats from -1 to 1. What ffmpeg does better is done by it.
"""

import hashlib
import pathlib
import random
import subprocess
import tempfile

import numpy as np

RATE = 22_050


def lot(*names):
    return random.Random(hashlib.sha256("/".join(map(str, names)).encode()).digest())


def decoded(path, *arguments):
    """A sound file as samples."""
    command = ["ffmpeg", "-v", "error", "-nostdin", *arguments, "-i", str(path), "-map", "0:a:0", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    out = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, np.int16).astype(np.float32) / 32768


def written(path, sound):
    samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16).tobytes()
    command = ["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "-", str(path)]
    subprocess.run(command, input=samples, check=True)


def filtered(sound, chain):
    samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16).tobytes()
    raw = ["-f", "s16le", "-ar", str(RATE), "-ac", "1"]
    command = ["ffmpeg", "-v", "error", *raw, "-i", "-", "-af", chain, *raw, "-"]
    out = subprocess.run(command, input=samples, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, np.int16).astype(np.float32) / 32768


def coded(sound, ending, *arguments):
    """Through a codec and back."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / f"coded.{ending}"
        samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16).tobytes()
        command = ["ffmpeg", "-v", "error", "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "-", *arguments, str(path)]
        subprocess.run(command, input=samples, check=True)
        return decoded(path)


def level(sound):
    return float(np.sqrt(np.mean(sound**2)) + 1e-6)


def mixed(sound, other, decibels):
    """With other sound so many decibels below it."""
    other = np.resize(other, sound.shape)
    both = sound + other * (level(sound) / level(other) * 10 ** (-decibels / 20))
    return both / max(1, np.abs(both).max())


def noise(sound, decibels, draw, _):
    return mixed(sound, np.random.default_rng(draw.getrandbits(32)).normal(0, 1, sound.shape).astype(np.float32), decibels)


def cut(sound, seconds, draw, _):
    """So many seconds of it, or all if it is shorter."""
    start = draw.randrange(max(1, len(sound) - seconds * RATE))
    return sound[start : start + seconds * RATE]


def spliced(sound, seconds, draw, others):
    """So many seconds of it between other sound."""
    return np.concatenate([others[0][: 12 * RATE], cut(sound, seconds, draw, None), others[1][: 12 * RATE]])


def silences(sound, every, _, __):
    """Half a second of silence, each so many seconds."""
    parts = [sound[at : at + every * RATE] for at in range(0, len(sound), every * RATE)]
    quiet = np.zeros(RATE // 2, np.float32)
    return np.concatenate([part for one in parts for part in (one, quiet)])


def by(chain):
    """A family whose strength stands in a chain of ffmpeg's filters."""
    return lambda sound, strength, _, __: filtered(sound, chain.format(strength))


def codec(ending, name, *more):
    return lambda sound, kbit, _, __: coded(sound, ending, "-c:a", name, "-b:a", f"{kbit}k", *more)


def recorded(sound, strength, draw, _):
    """By a telephone in a room."""
    room = filtered(sound, f"aecho=0.8:0.7:{40 * strength}|{90 * strength}:0.4|0.25,highpass=250,lowpass=3600")
    return noise(room, 22 - 6 * strength, draw, None)


FAMILIES = {
    "MP3 kbit/s": ([64, 32, 16], codec("mp3", "libmp3lame")),
    "AAC kbit/s": ([48, 24], codec("m4a", "aac")),
    "Opus kbit/s": ([24, 12, 6], codec("ogg", "libopus")),
    "telephone": (["8 kHz", "GSM"], lambda s, kind, _, __: coded(s, "wav", "-ar", "8000", "-c:a", "libgsm_ms" if kind == "GSM" else "pcm_mulaw")),
    "noise, dB below": ([20, 10, 5], noise),
    "speech over it, dB below": ([12, 6], lambda s, below, _, others: mixed(s, others[2], below)),
    "music over it, dB below": ([12, 6], lambda s, below, _, others: mixed(s, others[0], below)),
    "echo, ms": ([60, 300], by("aecho=0.8:0.8:{}:0.5")),
    "volume, dB": ([-20, 12], by("volume={}dB")),
    "dynamics compressed": ([1], by("acompressor=threshold=0.05:ratio=12:makeup=6")),
    "low-pass, Hz": ([3000, 1500], by("lowpass={0},lowpass={0}")),
    "high-pass, Hz": ([300, 800], by("highpass={0},highpass={0}")),
    "bass or treble raised": (["bass", "treble"], by("{}=g=12")),
    "8 bits": ([1], by("acrusher=bits=5:mix=1")),
    "speed and pitch": ([0.9, 1.1, 1.25], by(f"asetrate={RATE}*{{}},aresample={RATE}")),
    "tempo": ([0.9, 1.1, 1.25], by("atempo={}")),
    "pitch, semitones": ([-1, 1], lambda s, tones, _, __: filtered(s, f"rubberband=pitch={2 ** (tones / 12):.5f}")),
    "chorus": ([1], by("chorus=0.6:0.9:50|60:0.4|0.32:0.25|0.4:2|1.3")),
    "tremolo": ([1], by("tremolo=f=5:d=0.7")),
    "flanger": ([1], by("flanger=depth=4:speed=0.5")),
    "recorded in a room": ([1, 2], recorded),
    "cut to seconds": ([10, 7], cut),
    "seconds between other sound": ([15, 8], spliced),
    "silence each so many seconds": ([10, 6], silences),
}


def edited(sound, family, strength, name, others):
    return FAMILIES[family][1](sound, strength, lot(name, family, strength), others)


def artificial():
    """Sounds that say little: silence, tones, noise."""
    time = np.arange(30 * RATE) / RATE
    random = np.random.default_rng(1)
    tone = lambda hertz: 0.3 * np.sin(2 * np.pi * hertz * time)
    white = random.normal(0, 0.1, time.shape)
    yield "silence", 0 * time
    yield "nearly silence", white / 300
    yield "white noise", white
    yield "brown noise", np.clip(np.cumsum(white) / 60 % 1 - 0.5, -1, 1)
    for hertz in (50, 220, 440, 1000, 2500):
        yield f"tone {hertz}", tone(hertz)
    yield "chord", (tone(220) + tone(277) + tone(330)) / 2
    yield "sweep", 0.3 * np.sin(2 * np.pi * (100 + 40 * time) * time)
    yield "beeps", tone(950) * (time % 1 < 0.4)
    yield "dial tone", (tone(350) + tone(440)) / 2
    yield "engaged", (tone(480) + tone(620)) * (time % 1 < 0.5) / 2
    yield "clicks", np.where(time % 0.5 < 0.002, 0.8, 0)
