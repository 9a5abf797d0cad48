"""Recall, false boxes and processor seconds of detectors on scenes, as a Markdown table.

`python -m tests.scenes.measure mtcnn yunet:FILE --ferplus ROOT`, with OMP_NUM_THREADS=1 for one thread.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import torch

import fercache
from fercache.detectors import Detector, load_detector
from tests.scenes.compose import MOST_FACES, SIDES, Look, compose
from tests.scenes.matching import match
from tests.scenes.portraits import Portrait, drawn_portraits, ferplus_portraits

DARK = 0.25
LOOKS = {
    "upright": Look(),
    "turned 15°": Look(15),
    "turned 30°": Look(30),
    "turned 45°": Look(45),
    "dark": Look(light=DARK),
    "covered": Look(covered=True),
}


def measure(
    detector: Detector, portraits: Sequence[Portrait], look: Look, least: float
) -> tuple[dict[int, float], int, float]:
    """Recall by side (0: all), false boxes, and the processor's seconds a scene."""
    found, false, seconds, scenes = defaultdict(list), 0, 0.0, 0
    for number, start in enumerate(range(0, len(portraits), MOST_FACES)):
        pixels, truths = compose(portraits[start : start + MOST_FACES], seed=number, look=look)
        begin = time.process_time()
        faces = detector.find(pixels)
        seconds, scenes = seconds + time.process_time() - begin, scenes + 1
        matched = match(faces, truths, least)
        false += len(matched.false)
        for truth, face in zip(truths, matched.faces, strict=True):
            for side in (0, round(truth.side)):
                found[side].append(face is not None)
    return {side: sum(hits) / len(hits) for side, hits in found.items()}, false, seconds / scenes


def rows(detectors: Sequence[str], kinds: dict[str, Sequence[Portrait]], least: float) -> Iterator[list[str]]:
    """A row per kind of faces, look and detector."""
    yield ["faces", "scenes", "detector", "recall", *(f"{side} px" for side in SIDES), "false boxes", "s a scene"]
    loaded = {name: load_detector(name) for name in detectors}
    for kind, portraits in kinds.items():
        for look_name, look in LOOKS.items():
            for name, detector in loaded.items():
                recall, false, seconds = measure(detector, portraits, look, least)
                shares = [f"{100 * recall[side]:.0f} %" for side in (0, *SIDES)]
                yield [kind, look_name, name.partition(":")[0], *shares, str(false), f"{seconds:.2f}"]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detectors", nargs="+")
    parser.add_argument("--ferplus", type=Path, help="root of FERPlus")
    parser.add_argument("--faces", type=int, default=60)
    parser.add_argument("--overlap", type=float, default=0.5, help="that counts as found")
    parser.add_argument("--plugin", type=Path, nargs="*", default=(), help="files of other detectors")
    given = parser.parse_args()
    fercache.use_plugins(given.plugin)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    kinds: dict[str, Sequence[Portrait]] = {"drawn": list(islice(drawn_portraits(), given.faces))}
    if given.ferplus:
        kinds["FERPlus"] = ferplus_portraits(given.ferplus, given.faces)
    for row in rows(given.detectors, kinds, given.overlap):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
