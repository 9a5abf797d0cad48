"""A canvas that collects shapes, strokes and soft shadows in face coordinates, and paints them all at once."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from fercache.synthetic_faces.anatomy import Face
from fercache.synthetic_faces.geometry import Curve, jaw_opening

Colour = tuple[int, int, int]
Pixels = NDArray[np.float32]

SUPERSAMPLING = 2
EVEN = 128
# One unit of face coordinates as a share of the image's half width, at a zoom of 1.
UNIT = 1.12


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """A mix of `first` and a `share` of `second`, clipped to 0..1."""
    share = min(1.0, max(0.0, share))
    (a, b, c), (x, y, z) = first, second
    return round(a + (x - a) * share), round(b + (y - b) * share), round(c + (z - c) * share)


class Mark(NamedTuple):
    """One thing to paint: a filled shape (`width` 0), a closed contour or a stroke, on the image or on its shadows.

    The head is turned as an ellipsoid: a point with `relief` 1 is `lift` above its surface, one with `relief` 0
    `lift` in front of the plane of the silhouette.
    """

    points: Curve
    colour: Colour | int
    lift: float
    relief: float
    width: float = 0.0
    taper: float = 0.0
    closed: bool = False


class Canvas:
    """Collects the marks of one face, from the back to the front, without shadows unless it is `soft`.

    All measures are in face coordinates.
    """

    def __init__(self, face: Face, size: int, background: Colour, wobble: float = 0.0, soft: bool = True) -> None:
        self.size = size
        self._background = background
        self._face = face
        self._wobble = wobble
        self._soft = soft
        self._marks: list[Mark] = []
        self._scale = size * SUPERSAMPLING / 2.0 * UNIT * face.zoom

    def fill(self, points: Curve, colour: Colour, lift: float = 0.0, relief: float = 1.0) -> None:
        """A closed shape (P, 2) in one colour."""
        self._marks.append(Mark(points, colour, lift, relief))

    def contour(self, points: Curve, colour: Colour, width: float, lift: float = 0.0, relief: float = 1.0) -> None:
        """The outline of a closed shape (P, 2)."""
        self._marks.append(
            Mark(np.concatenate([points, points[:1]]), colour, lift, relief=relief, width=width, closed=True)
        )

    def stroke(self, points: Curve, colour: Colour, width: float, taper: float = 1.0, lift: float = 0.0) -> None:
        """A brush stroke (P, 2): `width` in the middle, thinner by the share `taper` at its ends."""
        self._marks.append(Mark(points, colour, lift, relief=1.0, width=width, taper=taper))

    def shade(self, points: Curve, depth: float) -> None:
        """A closed shape of the soft shadows: `depth` up to 1 darkens, below 0 lightens."""
        if self._soft:
            self._marks.append(Mark(points, round(EVEN * (1.0 - depth)), 0.0, 1.0))

    def shade_line(self, points: Curve, depth: float, width: float) -> None:
        """A line of the soft shadows."""
        if self._soft:
            self._marks.append(Mark(points, round(EVEN * (1.0 - depth)), 0.0, relief=1.0, width=width, taper=0.7))

    def paint(self) -> tuple[Pixels, Pixels]:
        """The image (size, size, 3) in 0..255 and its soft shadows (size, size) as factors around 1."""
        large = self.size * SUPERSAMPLING
        image = Image.new("RGB", (large, large), self._background)
        shadow = Image.new("L", (self.size, self.size), EVEN)
        draw_image, draw_shadow = ImageDraw.Draw(image), ImageDraw.Draw(shadow)
        lengths = [len(mark.points) for mark in self._marks]
        pixels = self._project(lengths)
        one_side, other_side = self._ribbons(pixels, lengths)
        total, start = len(pixels), 0
        flat, left, right = (rows.ravel().tolist() for rows in (pixels, one_side, other_side[::-1]))
        for mark, length in zip(self._marks, lengths, strict=True):
            first, last = 2 * start, 2 * (start + length)
            start += length
            if mark.width == 0.0:
                outline = flat[first:last]
            elif not mark.closed:
                outline = left[first:last] + right[2 * total - last : 2 * total - first]
            else:
                draw_image.line(flat[first:last], fill=mark.colour, width=max(1, round(mark.width * self._scale)))
                continue
            if isinstance(mark.colour, tuple):
                draw_image.polygon(outline, fill=mark.colour)
            else:
                draw_shadow.polygon([value / SUPERSAMPLING for value in outline], fill=mark.colour)
        soft = shadow.filter(ImageFilter.BoxBlur(self.size / 36)).filter(ImageFilter.BoxBlur(self.size / 60))
        factors = np.asarray(soft, dtype=np.float32) * np.float32(1.0 / EVEN)
        return np.asarray(image.reduce(SUPERSAMPLING), dtype=np.float32), factors

    def _project(self, lengths: list[int]) -> Curve:
        """The points of all marks, in pixels of the supersampled image (P, 2)."""
        face = self._face
        points = np.concatenate([mark.points for mark in self._marks])
        lift = np.repeat([mark.lift for mark in self._marks], lengths)
        relief = np.repeat([mark.relief for mark in self._marks], lengths)
        x, y = points[:, 0], points[:, 1]
        inside = np.maximum(1.0 - (x / (0.8 * face.head_width)) ** 2 - (y / 1.5) ** 2, 0.0)
        depth = lift + 0.68 * relief * np.sqrt(inside)
        if self._wobble:
            phase = face.noise_seed % 628 / 100.0
            x = x + self._wobble * np.sin(6.0 * y + 3.0 * x + phase)
            y = y + self._wobble * np.sin(7.0 * x - 2.0 * y + 2.0 * phase)
        yaw, pitch, roll = (math.radians(angle) for angle in (face.yaw, face.pitch, face.roll))
        turned = x * math.cos(yaw) + depth * math.sin(yaw)
        depth = depth * math.cos(yaw) - x * math.sin(yaw)
        nodded = y * math.cos(pitch) + depth * math.sin(pitch)
        # A turned head or a dropped jaw moves the face off the centre; half of it is undone, as a detector would.
        turned -= 0.3 * math.sin(yaw)
        nodded -= 0.3 * math.sin(pitch) + 0.5 * jaw_opening(face) - 0.02
        middle = self.size * SUPERSAMPLING / 2.0
        across = self._scale * (turned * math.cos(roll) - nodded * math.sin(roll)) + middle * (1.0 + face.shift[0])
        down = self._scale * (turned * math.sin(roll) + nodded * math.cos(roll)) + middle * (1.0 + face.shift[1])
        # Rounding removes platform differences in the last bits of sines.
        pixels: Curve = np.stack([across, down], axis=1)
        return pixels.round(2)

    def _ribbons(self, pixels: Curve, lengths: list[int]) -> tuple[Curve, Curve]:
        """Both edges of every stroke, (P, 2) each, as offsets from its points."""
        ends = np.cumsum(lengths)
        starts = ends - lengths
        along = np.empty_like(pixels)
        along[1:-1] = pixels[2:] - pixels[:-2]
        along[starts] = pixels[starts + 1] - pixels[starts]
        along[ends - 1] = pixels[ends - 1] - pixels[ends - 2]
        length = np.maximum(np.sqrt((along**2).sum(axis=1)), 1e-6)
        width = np.repeat([mark.width * self._scale for mark in self._marks], lengths)
        taper = np.repeat([mark.taper for mark in self._marks], lengths)
        breadth = np.concatenate([belly(points) for points in lengths])
        half = 0.5 * np.maximum(width * (1.0 - taper + taper * breadth), 0.7) / length
        aside = np.stack([-along[:, 1] * half, along[:, 0] * half], axis=1)
        return (pixels + aside).round(2), (pixels - aside).round(2)


@lru_cache(maxsize=64)
def belly(points: int) -> Curve:
    """The breadth of a stroke along its `points`: 0 at the ends, 1 in the middle."""
    breadth: Curve = np.sin(np.linspace(0.0, np.pi, points))
    return breadth
