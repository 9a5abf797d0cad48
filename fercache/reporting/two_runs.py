"""Comparing two runs: how their configurations differ, and which one is better on which faces."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS
from fercache.records import MAIN, METRICS, Record
from fercache.reporting.columns import GAP, folded, side_by_side
from fercache.reporting.predictions import Reader, ReadFaces, class_numbers, shared_faces
from fercache.reporting.table_rows import METRIC_NAMES
from fercache.scoring.comparison import Difference, Runs, difference, face_units, mcnemar
from fercache.scoring.selection import headline

if TYPE_CHECKING:
    import pandas as pd

NOT_SET = "-"
_MEANING = (
    "low, high: 95 % interval of A-B for other faces like these. p: two-sided, not adjusted for the number of tests.",
    "This compares two trained models, not two methods: other seeds of the same methods may reverse it.",
    "`fercache compare --baseline HEAD` compares methods, over their seeds.",
)
MOST_OF_A_CHANGE = (24, 25, 25)
"""Characters of a changed setting's name and its two values; longer ones go on below."""
_HEADING = ["", "faces", "A", "B", "A-B", "low", "high", "p"]


@dataclass(frozen=True)
class Change:
    """A setting or option that is `a` in the first run and `b` in the second."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class PairedScore:
    """A score of both runs, as fractions, and their difference, over a number of `faces`."""

    a: float
    b: float
    difference: Difference
    faces: int


@dataclass(frozen=True)
class FlippedFace:
    """A face that only one run classified correctly, and both predictions."""

    id: str
    truth: str
    a: str
    b: str


@dataclass(frozen=True)
class PairedTarget:
    """Both runs on the faces of one target that both scored.

    `scores` are by metric, `recall` by expression. `only_a` and `only_b` are the faces that only one run classified
    correctly, in the order of their ids. `mcnemar_p` assumes independent faces: None if subjects are known.
    """

    target: str
    faces: int
    scores: dict[str, PairedScore]
    mcnemar_p: float | None
    recall: dict[str, PairedScore]
    only_a: tuple[FlippedFace, ...]
    only_b: tuple[FlippedFace, ...]


@dataclass(frozen=True)
class Pair:
    """Two runs, `a` and `b` by name. `missing` lists common targets that cannot be compared, and why."""

    a: str
    b: str
    changes: tuple[Change, ...]
    targets: tuple[PairedTarget, ...]
    missing: tuple[str, ...]


def compare_pair(records_a: Sequence[Record], records_b: Sequence[Record], cache: Path) -> Pair:
    """Compares the runs on the targets that both were scored on, with the epoch chosen on the source.

    Each sequence holds the records of one run; their predictions are in `cache`. Leaves out targets without duplicates,
    because predictions do not mark them. Raises UsageError if there is no common target.
    """
    records_a, records_b = ([record for record in each if record.adaptation is None] for each in (records_a, records_b))
    policy = headline([{record.selection for record in each} for each in (records_a, records_b)])
    of_a, of_b = (_by_target(each, policy) for each in (records_a, records_b))
    a, b = records_a[0], records_b[0]
    common = [label for label in of_a if label in of_b]
    if not common:
        listed = " and ".join(f"{r.run} on {', '.join(of) or 'none'}" for r, of in ((a, of_a), (b, of_b)))
        raise UsageError(
            f"Two runs can be compared on targets that both were scored on under one selection policy, here {policy}; "
            f"found {listed}. Run `fercache evaluate` to score what is missing."
        )
    targets, missing, reader = [], [], Reader(cache)
    for label in common:
        try:
            ours, theirs = shared_faces([reader.faces(of[label], MAIN) for of in (of_a, of_b)])
            targets.append(_paired(label, ours, theirs))
        except UsageError as error:
            missing.append(f"{label}: {error}")
    changes = tuple(_changes(a, b))
    return Pair(a.run, b.run, changes=changes, targets=tuple(targets), missing=tuple(missing))


def flips_frame(pair: Pair) -> "pd.DataFrame":
    """One row per face that only one run classified correctly."""
    import pandas as pd

    rows = [
        (each.target, flip.id, flip.truth, flip.a, flip.b, flip.a == flip.truth, flip.b == flip.truth)
        for each in pair.targets
        for flip in (*each.only_a, *each.only_b)
    ]
    return pd.DataFrame(rows, columns=["target", "id", "truth", "a", "b", "a_right", "b_right"])


def pair_table(pair: Pair) -> str:
    """Text of at most WIDTH columns: the changes, then a block per target with a line per metric and expression."""
    lines = {each.target: list(_lines(each)) for each in pair.targets}
    widths = _widths([_HEADING, *(line for block in lines.values() for line in block)])
    blocks = [[*folded(f"A: {pair.a}"), *folded(f"B: {pair.b}")], _changed_lines(pair)]
    if pair.targets:
        blocks.append(["Percent, on the faces that both runs scored.", _aligned(_HEADING, widths)])
    blocks += [
        [*folded(_flips_line(each)), *(_aligned(line, widths) for line in lines[each.target])] for each in pair.targets
    ]
    if pair.targets:
        blocks.append([line for text in _MEANING for line in folded(text)])
    if pair.missing:
        blocks.append([line for reason in pair.missing for line in folded(f"not compared: {reason}")])
    return "\n\n".join("\n".join(block) for block in blocks)


def _by_target(records: Iterable[Record], policy: str) -> dict[str, Record]:
    scored = (record for record in records if record.selection == policy and not record.without_duplicates)
    return {record.target_label: record for record in sorted(scored, key=lambda record: record.target_label)}


def _changes(a: Record, b: Record) -> Iterable[Change]:
    ours, theirs = _described(a), _described(b)
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = (_written(each.get(name)) for each in (ours, theirs))
        if one != other:
            yield Change(name, one, other)


def _described(record: Record) -> dict[str, JsonValue]:
    """Everything that defines the run. Options replace fields of the same name, because they also have splits."""
    fields: dict[str, JsonValue] = {name: getattr(record, name) for name in ("encoder", "source", "head", "trunk")}
    options = {name: value for group in record.options.values() for name, value in group.items()}
    identity: dict[str, JsonValue] = {
        "seed": record.seed,
        "expressions": len(record.classes),
        "encoder key": record.encoder_key[:8],
    }
    return {**fields, **options, **record.settings, **identity}


def _written(value: JsonValue) -> str:
    if value is None:
        return NOT_SET
    return value if isinstance(value, str) else json.dumps(value)


def _paired(label: str, a: ReadFaces, b: ReadFaces) -> PairedTarget:
    shown = [name for name in EXPRESSIONS if (a.truth == name).any()]
    return PairedTarget(
        target=label,
        faces=len(a.id),
        scores={metric: _score(a, b, metric) for metric in METRICS},
        mcnemar_p=mcnemar(a.right, b.right) if a.subjects is None else None,
        recall={name: _score(a.of(a.truth == name), b.of(a.truth == name), "accuracy") for name in shown},
        only_a=_flips(a, b, a.right & ~b.right),
        only_b=_flips(a, b, b.right & ~a.right),
    )


def _score(a: ReadFaces, b: ReadFaces, metric: Literal["accuracy", "mean_class_recall"]) -> PairedScore:
    truth = class_numbers(a.truth)
    units = face_units(truth, metric, a.subjects)
    runs = tuple(Runs(each.right[None].astype(np.float64)) for each in (a, b))
    found = difference(runs[0], runs[1], units)
    if metric == "accuracy" and a.subjects is None:  # exact even if few faces flip
        found = replace(found, p=mcnemar(a.right, b.right))
    ours, theirs = (float(each.scores(units)[0, 0]) for each in runs)
    return PairedScore(ours, theirs, difference=found, faces=len(truth))


def _flips(a: ReadFaces, b: ReadFaces, rows: NDArray[np.bool_]) -> tuple[FlippedFace, ...]:
    columns = (a.id[rows], a.truth[rows], a.predicted[rows], b.predicted[rows])
    return tuple(FlippedFace(*map(str, face)) for face in zip(*columns, strict=True))


def _changed_lines(pair: Pair) -> list[str]:
    if not pair.changes:
        return ["Both runs have the same settings and options."]
    rows = [("", "A", "B"), *((change.name, change.a, change.b) for change in pair.changes)]
    cells = [
        [wrap(text, most, break_on_hyphens=False) for text, most in zip(row, MOST_OF_A_CHANGE, strict=True)]
        for row in rows
    ]
    widths = [max(len(line) for cell in column for line in cell) for column in zip(*cells, strict=True)]
    return [line for row in cells for line in side_by_side(row, widths)]


def _flips_line(each: PairedTarget) -> str:
    alone = f"only A is right on {len(each.only_a):,}, only B on {len(each.only_b):,}"
    return f"{each.target}: {alone}" + ("" if each.mcnemar_p is None else f" (McNemar's exact p {_p(each.mcnemar_p)})")


def _lines(each: PairedTarget) -> Iterable[list[str]]:
    for metric, score in each.scores.items():
        yield _line(METRIC_NAMES[metric], score)
    for expression, score in each.recall.items():
        yield _line(f"  {expression}", score)


def _line(label: str, score: PairedScore) -> list[str]:
    difference = score.difference
    return [
        label,
        f"{score.faces:,}",
        *(f"{100 * value:.1f}" for value in (score.a, score.b)),
        *(f"{100 * value:+z.1f}" for value in (difference.value, difference.low, difference.high)),
        _p(difference.p),
    ]


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """The label to the left, numbers to the right."""
    numbers = (text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True))
    return GAP.join([line[0].ljust(widths[0]), *numbers])
