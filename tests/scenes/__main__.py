"""Writes scenes as PNG, and `truth.csv`: `python -m tests.scenes FOLDER --scenes 4 --angle 30`.

With `--by-expression`, all faces of a scene share one expression, the scenes lie in SPLIT/EXPRESSION/, and two of three
are for training: a dataset for `extract --faces`.
"""

import argparse
import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from PIL import Image

from fercache.synthetic_faces import EXPRESSIONS
from tests.scenes import MOST_FACES, SIDES, STYLES, Look, compose, drawn_portraits, ferplus_portraits
from tests.scenes.portraits import Portrait

DARK = 0.25
Scene = tuple[str, list[Portrait]]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=int, default=4, help="in all, or of each expression")
    parser.add_argument("--faces", type=int, default=MOST_FACES, help="in each scene")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="of portraits, in pixels, in turn")
    parser.add_argument("--styles", nargs="+", default=STYLES, help="of drawn faces, in turn")
    parser.add_argument("--ferplus", type=Path, help="root of FERPlus: its test faces instead of drawn ones")
    parser.add_argument("--by-expression", action="store_true")
    parser.add_argument("--angle", type=float, default=0.0)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--covered", action="store_true")
    given = parser.parse_args()
    look = Look(given.angle, DARK if given.dark else 1.0, given.covered)
    given.folder.mkdir(parents=True, exist_ok=True)
    with (given.folder / "truth.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("path", "label", "box", "side"))
        number = -1
        for number, (name, portraits) in enumerate(by_expression(given) if given.by_expression else in_turn(given)):
            pixels, truths = compose(portraits, seed=number, sides=given.sides, look=look)
            (given.folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(given.folder / name)
            for truth in truths:
                box = " ".join(str(round(edge)) for edge in truth.box)
                table.writerow((name, truth.portrait.expression, box, round(truth.side)))
    print(f"{number + 1} scenes in {given.folder}")


def portraits_of(given: argparse.Namespace, number: int) -> Iterator[Portrait]:
    if given.ferplus:
        return iter(ferplus_portraits(given.ferplus, number))
    return drawn_portraits(styles=tuple(given.styles))


def in_turn(given: argparse.Namespace) -> Iterator[Scene]:
    portraits = portraits_of(given, given.scenes * given.faces)
    for number in range(given.scenes):
        yield f"scene-{number:03}.png", list(islice(portraits, given.faces))


def by_expression(given: argparse.Namespace) -> Iterator[Scene]:
    wanted = given.scenes * given.faces
    waiting: dict[str, list[Portrait]] = {expression: [] for expression in EXPRESSIONS}
    for portrait in portraits_of(given, wanted * len(EXPRESSIONS)):
        if len(waiting[portrait.expression]) < wanted:
            waiting[portrait.expression].append(portrait)
        if all(len(some) == wanted for some in waiting.values()):
            break
    for expression, some in waiting.items():
        for number, start in enumerate(range(0, wanted, given.faces)):
            split = "test" if number % 3 == 2 else "train"
            yield f"{split}/{expression}/scene-{number:03}.png", some[start : start + given.faces]


if __name__ == "__main__":
    main()
