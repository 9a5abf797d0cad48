"""A few labelled faces of a target, from which heads learn besides the source: the list of `fercache suggest`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fercache.csv_cells import plain
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.expressions import canonical
from fercache.layouts.own_lists import NOT_GIVEN, named_rows
from fercache.loading.labelled_faces import LabelledFaces
from fercache.loading.run_config import FewLabels
from fercache.output_paths import shown
from fercache.store.schema import CLEAN
from fercache.store.tables import FeatureTable
from fercache.toml_files import is_file

NEEDED = ("id", "label", "target")
"""Columns of the list; `image` is checked if it is there."""

FIRM = 5
"""With so many labels of each expression, the labelled faces weigh half as much as the source."""


@dataclass(frozen=True)
class FewFace:
    """A line of the list with a label. `image` is what `image_mark` says of its pixels, "" if not listed."""

    line: int
    id: str
    expression: str
    image: str


@dataclass(frozen=True)
class FewList:
    """The labelled `faces` of a `file`, all of one `target`."""

    file: Path
    target: DatasetName
    faces: tuple[FewFace, ...]


def read_few(file: Path) -> FewList:
    """Reads a list of `fercache suggest` with labels; lines without a label do not count.

    Raises UsageError, with the line, for a label that is no expression, a face listed twice, several targets, and
    without any label.
    """
    if not is_file(file):
        raise UsageError(f"--few {file}: no such file. To make one: fercache suggest TARGET --for training")
    targets: dict[str, int] = {}
    faces: dict[str, FewFace] = {}
    for line, cells in named_rows(file, NEEDED):
        where = f"{shown(file)}, line {line}"
        targets.setdefault(cells["target"], line)
        if len(targets) > 1:
            raise UsageError(
                f"{where}: the target is '{cells['target']}', but above it is '{next(iter(targets))}'. List the "
                "faces of one target only."
            )
        if cells["label"].lower() in NOT_GIVEN:
            continue
        if cells["id"] in faces:
            raise UsageError(f"{where}: {cells['id']} is also in line {faces[cells['id']].line}. List each face once.")
        try:
            expression = canonical(cells["label"])
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None
        faces[cells["id"]] = FewFace(line, cells["id"], expression, image=cells.get("image", ""))
    if not faces:
        raise UsageError(
            f"{shown(file)} has no labels. Write the expression of each face into the column `label`; "
            "to make such a list: fercache suggest TARGET --for training"
        )
    return FewList(file, DatasetName.parse(next(iter(targets))), tuple(faces.values()))


def few_labelled(few: FewList, table: FeatureTable, expressions: Sequence[str]) -> LabelledFaces:
    """The listed faces in the target's table, in its order, with the labels of the list. The table's are not read.

    Raises UsageError, with the line, for a face that the table lacks, one whose image has changed since it was listed,
    and an expression that the source lacks.
    """
    columns, again = table.columns, f"Make a new list: fercache suggest {few.target.whole} --for training --out NEW.csv"
    rows = {str(plain(id)): row for row, id in enumerate(columns.id)}
    truth: dict[int, int] = {}
    for face in few.faces:
        where = f"{shown(few.file)}, line {face.line}"
        row = rows.get(face.id, rows.get(str(plain(face.id))))
        if row is None:
            raise UsageError(
                f"{where}: {few.target.whole} has no face '{face.id}'; the cache has {len(rows):,} others. {again}"
            )
        mark = image_mark(columns.pixel_sha256[row].tobytes())
        if face.image and face.image != mark:
            raise UsageError(
                f"{where}: the image of {face.id} has changed since it was listed: expected {face.image}, found {mark} "
                f"in the table of {few.target.whole} that was requested last. Extract the earlier images again. {again}"
            )
        if face.expression not in expressions:
            raise UsageError(
                f"{where}: {face.expression} is not among the expressions of the source ({', '.join(expressions)}). "
                "Empty the cell to leave the face out; `--classes 8` adds contempt if the source has it."
            )
        truth[row] = list(expressions).index(face.expression)
    listed = np.array(sorted(truth), dtype=np.int64)
    return LabelledFaces(
        row=listed,
        features=columns.features[CLEAN][listed],
        truth=np.array([truth[each] for each in listed.tolist()], dtype=np.int64),
        distribution=None,
        id=columns.id[listed],
        subject=columns.subject[listed],
        group=columns.group[listed],
        dropped={},
    )


def labels_of_run(
    name: DatasetName, table: FeatureTable, faces: LabelledFaces, *, expressions: Sequence[str]
) -> FewLabels:
    """What a run stores of the labelled `faces` that it learned from."""
    expression_of = dict(zip(faces.row.tolist(), faces.truth.tolist(), strict=True))  # once, however often repeated
    return FewLabels(
        target=str(name.whole),
        key=table.clean_key,
        faces={str(table.columns.id[row]): expressions[truth] for row, truth in expression_of.items()},
        images=[table.columns.pixel_sha256[row].tobytes().hex() for row in expression_of],
    )


def image_mark(pixels: bytes) -> str:
    """A face's pixels in lists: the beginning of their SHA-256, written so that no spreadsheet makes it a number."""
    return f"sha256:{pixels.hex()[:16]}"


def repeated(faces: LabelledFaces, source: int, expressions: int) -> LabelledFaces:
    """The labelled faces, each so often that N of them weigh N / (N + FIRM L) of the `source` training faces, for L
    expressions; each at least once."""
    count = len(faces.row)
    times = max(1, round(source / (count + FIRM * expressions)))
    return faces.take(np.tile(np.arange(count), times))
