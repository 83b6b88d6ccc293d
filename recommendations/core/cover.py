"""Covers drawn from what a track is, for catalogues without images.

One learns to read them: the hue is the genre, a rough outline is an energetic track, a light ground
a glad one.  Title and artist choose the composition, so that an album's tracks differ.  Colours are
made in OKLCH (Ottosson 2020), where equal steps of lightness look equal at every hue.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from html import escape

GENRE_HUES = {
    # degrees in OKLCH: reds 0 to 40, yellows 80 to 110, greens 140 to 170, blues 230 to 270
    "metal": 12, "hard rock": 18, "punk": 5, "rock": 28, "grunge": 48, "rock and roll": 35,
    "blues": 255, "country": 65, "folk": 125, "singer-songwriter": 112, "indie": 160,
    "alternative": 145, "psychedelic": 325, "shoegaze": 305, "dream pop": 315, "post-rock": 225,
    "soul": 55, "funk": 75, "disco": 345, "r&b": 332, "hip hop": 85, "jazz": 265,
    "reggae": 140, "afrobeat": 98, "afrobeats": 92, "latin": 42, "bossa nova": 172, "world": 105,
    "pop": 355, "k-pop": 338, "j-pop": 350, "synth-pop": 298, "new wave": 288, "art pop": 310,
    "dance": 320, "house": 282, "techno": 240, "electronic": 215, "trip hop": 200, "ambient": 190,
    "classical": 235, "soundtrack": 250, "chanson": 22,
}  # fmt: skip

SIDE = 100.0


def cover_svg(
    *, title: str, artist: str, genres: Sequence[str] = (), energy: float, valence: float
) -> str:
    """Return a square SVG cover, the same text for the same track on every machine.

    It has no script, style, id or outside reference, so that it may stand in a page under a strict
    content security policy, any number of times.

    Args:
        title: of the track; with the artist it seeds the drawing and names it for screen readers.
        artist: of the track.
        genres: closest first; the first gives the hue, the second that of the accent.
        energy: in [0, 1], from smooth to jagged.
        valence: in [0, 1], from dark to light.

    Raises:
        ValueError: `energy` or `valence` is outside [0, 1] or NaN.
    """
    for name, value in (("energy", energy), ("valence", valence)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} must be in [0, 1], got {value}")
    chance = _Chance(f"{title}\n{artist}")
    hue = genre_hue(genres[0]) if genres else 360 * chance.next()
    accent = genre_hue(genres[1]) if len(genres) > 1 else (hue + 150) % 360
    low = 0.20 + 0.42 * valence
    step = 0.085 + 0.02 * (1 - valence)
    shades = [_hex(low + step * i, 0.055 + 0.022 * i, hue - 5 * i) for i in range(5)]
    compose = (_contours, _waves, _rays)[int(3 * chance.next())]
    parts = compose(chance, energy, shades[1:], _hex(0.80, 0.14, accent))
    name = f"Cover drawn for {title} by {artist}"
    name = escape("".join(c for c in name if c.isprintable()))  # XML has no control characters
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE:g} {SIDE:g}" role="img">'
        f'<title>{name}</title><rect width="{SIDE:g}" height="{SIDE:g}" fill="{shades[0]}"/>'
        f"{''.join(parts)}</svg>"
    )


def genre_hue(genre: str) -> float:
    """Return the genre's hue in degrees; genres outside the demo's vocabulary get one by hash."""
    known = GENRE_HUES.get(genre.lower())
    return float(known) if known is not None else 360 * _Chance(genre.lower()).next()


class _Chance:
    """A short stream of numbers in [0, 1) that depends on the text alone, on every machine."""

    def __init__(self, text: str) -> None:
        self._digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        self._used = 0

    def next(self) -> float:
        value = self._digest[self._used % len(self._digest)] / 256
        self._used += 1
        return value


def _contours(chance: _Chance, energy: float, shades: list[str], accent: str) -> Iterator[str]:
    """One outline inside the other, as on a map, around a small centre."""
    x, y = 30 + 40 * chance.next(), 30 + 40 * chance.next()
    size = 44 + 14 * chance.next()
    turn = chance.next() * math.tau
    spikes = 5 + int(9 * energy) + int(4 * chance.next())
    for ring, shade in enumerate(shades):
        radius = size * (1 - 0.23 * ring)
        outline = _outline(x, y, radius, energy, spikes, turn + 0.22 * ring * (0.3 + energy))
        yield f'<path d="{outline}" fill="{shade}"/>'
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{accent}"/>'


def _waves(chance: _Chance, energy: float, shades: list[str], accent: str) -> Iterator[str]:
    """Ranges of hills before a disc: rolling when calm, peaks when energetic."""
    disc_x, disc_y = 20 + 60 * chance.next(), 22 + 16 * chance.next()
    yield f'<circle cx="{disc_x:.1f}" cy="{disc_y:.1f}" r="{9 + 6 * chance.next():.1f}" '
    yield f'fill="{accent}"/>'
    for row, shade in enumerate(shades):
        base = 42 + 15 * row
        length = (34 + 30 * chance.next()) * (1.25 - 0.75 * energy)
        height = 5 + 9 * energy
        phase = chance.next()
        points = []
        for i in range(101):
            smooth = math.sin(math.tau * (i / length + phase))
            rough = 2 * abs(2 * ((i / length * 1.7 + phase) % 1) - 1) - 1
            points.append((float(i), base - height * ((1 - energy) * smooth + energy * rough)))
        line = "L".join(f"{px:.0f} {py:.1f}" for px, py in points)
        yield f'<path d="M{line}V100H0Z" fill="{shade}"/>'


def _rays(chance: _Chance, energy: float, shades: list[str], accent: str) -> Iterator[str]:
    """Half-discs or sharp beams that rise from an edge of the sleeve."""
    x, y = 25 + 50 * chance.next(), 100.0
    size = 80 + 14 * chance.next()
    turn = chance.next()
    spikes = 8 + int(20 * energy) + int(6 * chance.next())
    for ring, shade in enumerate(shades):
        outline = _outline(x, y, size * (1 - 0.22 * ring), energy * 0.8, spikes, turn)
        yield f'<path d="{outline}" fill="{shade}"/>'
    yield f'<path d="{_outline(x, y, size * 0.16, energy, spikes, turn)}" fill="{accent}"/>'


def _outline(x: float, y: float, radius: float, energy: float, spikes: int, turn: float) -> str:
    """Return a closed path around (x, y): nearly a circle at energy 0, a star at energy 1."""
    points = []
    per_spike = 12
    for i in range(spikes * per_spike):
        share = i / per_spike
        triangle = 2 * abs(2 * (share % 1) - 1) - 1
        wobble = math.sin(2 * math.tau * share / spikes + turn)
        r = radius * (1 + 0.30 * energy**1.4 * triangle + 0.07 * (1 - energy) * wobble)
        angle = math.tau * share / spikes + turn
        points.append(f"{x + r * math.cos(angle):.1f} {y + r * math.sin(angle):.1f}")
    return f"M{'L'.join(points)}Z"


def _hex(lightness: float, chroma: float, hue: float) -> str:
    """Return an OKLCH colour as #rrggbb, clipped to sRGB."""
    a = chroma * math.cos(math.radians(hue))
    b = chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _encode(channel)):02x}" for channel in linear)


def _encode(linear: float) -> float:
    """Return the sRGB value in [0, 1] of a linear one (IEC 61966-2-1)."""
    linear = min(max(linear, 0.0), 1.0)
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
