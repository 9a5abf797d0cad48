"""The frames of a clip, and how it is written and lengthened."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from fercache.synthetic_faces import draw, sample_face
from tests.scenes import Portrait
from tests.scenes.portraits import SEED, Pixels, resized
from tests.scenes.textures import draw_texture

WIDTH, HEIGHT = 1280, 720
RATE, SECONDS = 25, 60.0
SIDE, DRAWN = 200, 256
"""Pixels of a portrait on average, and as it is drawn."""


@dataclass(frozen=True)
class Step:
    """From `time` seconds on, a face shows `expression`."""

    time: float
    expression: str


PLANS = (
    tuple(Step(*step) for step in ((0.0, "neutral"), (8.3, "happiness"), (21.7, "surprise"), (37.1, "neutral"))),
    tuple(
        Step(*step)
        for step in ((0.0, "happiness"), (14.9, "neutral"), (30.2, "surprise"), (44.6, "happiness"), (52.5, "neutral"))
    ),
)
"""Of the two faces; no two changes are at the same time."""


def clip_frames(people: tuple[int, int], style: str = "studio", seconds: float = SECONDS) -> Iterator[Pixels]:
    """(HEIGHT, WIDTH, 3) frames, RATE per second: two faces on ellipses, one left and one right, before a texture."""
    texture = draw_texture(0, np.random.default_rng(0), WIDTH, HEIGHT)
    portraits = [
        {step.expression: _portrait(person, style, step.expression) for step in plan}
        for person, plan in zip(people, PLANS, strict=True)
    ]
    for number in range(int(seconds * RATE)):
        time, scene = number / RATE, Image.fromarray(texture)
        for face, plan in enumerate(PLANS):
            shown = [step.expression for step in plan if step.time <= time + 1e-9][-1]
            turn = 2 * np.pi * time / (11 + 4 * face)
            side = round(SIDE * (1 + 0.2 * np.sin(turn * 0.7)))
            x, y = WIDTH * (0.28 + 0.44 * face + 0.13 * np.cos(turn)), HEIGHT * (0.5 + 0.25 * np.sin(turn))
            scene.paste(resized(portraits[face][shown], side), (int(x - side / 2), int(y - side / 2)))
        yield np.asarray(scene)


def _portrait(person: int, style: str, expression: str) -> Portrait:
    return Portrait(draw(sample_face(SEED, person, style, expression), DRAWN), (0, 0, 1, 1), expression, str(person))


def write_film(path: Path, frames: Iterable[Pixels]) -> Path:
    """H.264 in MP4."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def repeated(clip: Path, path: Path, times: int) -> Path:
    """The same clip `times` times in a row, without encoding it again."""
    with av.open(str(path), "w") as longer:
        target: Any = None
        for turn in range(times):
            with av.open(str(clip)) as container:
                source = container.streams.video[0]
                target = target or longer.add_stream_from_template(source)
                whole = int(source.duration or 0)
                for packet in container.demux(source):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + turn * whole, packet.dts + turn * whole, target
                    longer.mux(packet)
    return path
