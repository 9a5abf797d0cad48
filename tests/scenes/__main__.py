"""Writes scenes as PNG, and `truth.csv`: `python -m tests.scenes FOLDER --scenes 4 --angle 30`."""

import argparse
import csv
from itertools import islice
from pathlib import Path

from PIL import Image

from tests.scenes import MOST_FACES, SIDES, STYLES, Look, compose, drawn_portraits, ferplus_portraits

DARK = 0.25


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--faces", type=int, default=MOST_FACES, help="in each scene")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="of portraits, in pixels, in turn")
    parser.add_argument("--styles", nargs="+", default=STYLES, help="of drawn faces, in turn")
    parser.add_argument("--ferplus", type=Path, help="root of FERPlus: its test faces instead of drawn ones")
    parser.add_argument("--angle", type=float, default=0.0)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--covered", action="store_true")
    given = parser.parse_args()
    look = Look(given.angle, DARK if given.dark else 1.0, given.covered)
    wanted = given.scenes * given.faces
    portraits = (
        iter(ferplus_portraits(given.ferplus, wanted)) if given.ferplus else drawn_portraits(styles=tuple(given.styles))
    )
    given.folder.mkdir(parents=True, exist_ok=True)
    with (given.folder / "truth.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("path", "label", "box", "side"))
        for number in range(given.scenes):
            some = list(islice(portraits, given.faces))
            pixels, truths = compose(some, seed=number, sides=given.sides, look=look)
            name = f"scene-{number:03}.png"
            Image.fromarray(pixels).save(given.folder / name)
            for truth in truths:
                box = " ".join(str(round(edge)) for edge in truth.box)
                table.writerow((name, truth.portrait.expression, box, round(truth.side)))
    print(f"{given.scenes} scenes in {given.folder}")


if __name__ == "__main__":
    main()
