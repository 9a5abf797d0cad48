"""Every method of a board against a baseline, on the faces that both read: is the difference more than chance?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError, nearest
from fercache.identity import seed_from
from fercache.records import MAIN, METRICS, Record, frame, predictions_path
from fercache.reporting.boards import METRIC_NAMES, Board, Method, Row, boards, is_without_duplicates
from fercache.scoring.comparison import Difference, holm, mcnemar, paired_difference
from fercache.scoring.metrics import count_confusion, predict
from fercache.store.runs import read_predictions

if TYPE_CHECKING:
    import pandas as pd

SELECTION = "source-val"
_AGAIN = "Type `fercache evaluate --again` to score the run again."
OfCell = Mapping[tuple[str, str], Sequence[Record]]
"""Records by method key and target label, one per seed."""

COLUMNS = (
    *("encoder", "source", "head", "trunk", "readout", "changed_settings", "baseline", "selection", "target", "metric"),
    *("difference", "low", "high", "p", "p_holm", "faces", "mcnemar_p"),
)


@dataclass(frozen=True)
class ReadFaces:
    """The faces that one run read of one target: their ids, sorted, and the names of the expressions, all (N,).

    `subject` is who is shown, "" where nobody knows.
    """

    id: NDArray[np.object_]
    truth: NDArray[np.object_]
    predicted: NDArray[np.object_]
    subject: NDArray[np.object_]

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether each face was read right."""
        return np.asarray(self.truth == self.predicted)

    def of(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "ReadFaces":
        """Those in the `rows`."""
        return ReadFaces(self.id[rows], self.truth[rows], self.predicted[rows], self.subject[rows])

    @property
    def subjects(self) -> NDArray[np.object_] | None:
        """Whom a bootstrap draws, None where it draws faces because nobody is known."""
        return self.subject if (self.subject != "").any() else None


@dataclass(frozen=True)
class MethodDifference:
    """How much better a method is than the board's baseline on a target, as fractions.

    `p_holm` is adjusted for all differences of the board. `mcnemar_p`, exact and not adjusted, is there for
    accuracy where both methods have one seed and no subjects are known.
    """

    method: Method
    target: str
    metric: Literal["accuracy", "uar"]
    difference: Difference
    p_holm: float
    faces: int
    mcnemar_p: float | None


@dataclass(frozen=True)
class BoardDifferences:
    """All methods of one board against its `baseline`. `missing` says what has no predictions to compare."""

    board: Board
    baseline: Method
    differences: tuple[MethodDifference, ...]
    missing: tuple[str, ...]


def differences(records: Sequence[Record], cache: Path, baseline: str) -> list[BoardDifferences]:
    """The paired differences to the `baseline` on each board that has it, with the epoch chosen on the source.

    `baseline` is a head's name, or a run's (or the first digits of its key), which stands for its method. Seeds are
    averaged, and compared are faces that all seeds of both methods read. Targets without duplicates are left out, since
    predictions do not say which faces those are. Raises UsageError when the records have no such baseline, or several.
    """
    chosen = [record for record in records if record.selection == SELECTION]
    keys = _baseline_keys(records, baseline)
    of_cell: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in chosen:
        of_cell[record.method_key, record.target_label].append(record)
    found = []
    for board in boards(frame(chosen)) if chosen else []:
        fitting = [row for row in board.headline if row.method.key in keys and row.method.readout == MAIN]
        if len(fitting) > 1:
            raise UsageError(_several(board, baseline, fitting, chosen))
        if fitting:
            found.append(_board_differences(board, fitting[0], of_cell, cache))
    return found


def differences_frame(found: Iterable[BoardDifferences]) -> "pd.DataFrame":
    """A row per method, target and metric. Differences and their 95 % intervals are in points."""
    import pandas as pd

    rows = [
        (
            *(of_board.board.encoder, of_board.board.source, each.method.head, each.method.trunk, each.method.readout),
            *(each.method.changed_text, str(of_board.baseline), SELECTION, each.target, METRIC_NAMES[each.metric]),
            *(100 * value for value in (each.difference.value, each.difference.low, each.difference.high)),
            *(each.difference.p, each.p_holm, each.faces, each.mcnemar_p),
        )
        for of_board in found
        for each in of_board.differences
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def read_faces(record: Record, readout: str, cache: Path) -> ReadFaces:
    """What the record's predictions in `cache` say. Raises UsageError where they are gone, or are not the record's."""
    path = predictions_path(cache / "runs" / record.run, record)
    predictions = read_predictions(path)
    if readout not in predictions.logits or predictions.expressions != record.classes:
        raise UsageError(f"{path} holds no predictions of the record's readout '{readout}' and expressions. {_AGAIN}")
    expected = np.array(record.scores[readout].confusion)
    # Whether an expression was masked is not written down. One that no face shows and none was read as may be masked
    # here: it was never the highest.
    known = [name for k, name in enumerate(record.classes) if expected[k].any() or expected[:, k].any()]
    predicted = predict(predictions.logits[readout], record.classes, known)
    if not np.array_equal(count_confusion(predictions.truth, predicted, len(record.classes)), expected):
        raise UsageError(f"{path} does not give the scores that its record has: one was written later. {_AGAIN}")
    names, order = np.array(record.classes, dtype=object), np.argsort(predictions.id)
    unknown = np.full(len(order), "", dtype=object)
    subject = unknown if predictions.subject is None else predictions.subject[order]
    return ReadFaces(predictions.id[order], names[predictions.truth[order]], names[predicted[order]], subject)


def shared_faces(read: Sequence[ReadFaces]) -> list[ReadFaces]:
    """Of each, the faces that all have with the same true expression. Raises UsageError when there are none."""
    ids = reduce(_in_both, (each.id for each in read))
    there = [each.of(np.searchsorted(each.id, ids)) for each in read]
    alike = np.all([each.truth == there[0].truth for each in there], axis=0)
    if not alike.any():
        raise UsageError("The predictions to compare share no face with the same label.")
    return [each.of(alike) for each in there]


def class_numbers(truth: NDArray[np.object_]) -> NDArray[np.int64]:
    """(N,) names of expressions -> (N,) numbers."""
    return np.unique(truth, return_inverse=True)[1]


def _in_both(ids: NDArray[np.object_], others: NDArray[np.object_]) -> NDArray[np.object_]:
    return ids if np.array_equal(ids, others) else np.intersect1d(ids, others)


def _baseline_keys(records: Sequence[Record], baseline: str) -> set[str]:
    """The keys of the methods that are meant."""
    run = Path(baseline).name
    by_run = {r.method_key for r in records if r.run == run or r.run.endswith("-" + run)}
    keys = {record.method_key for record in records if record.head == baseline} or by_run
    if not keys:
        names = {name for record in records for name in (record.head, record.run)}
        raise UsageError(f"There is no head and no run called '{baseline}' to compare with. {nearest(baseline, names)}")
    return keys


def _several(board: Board, baseline: str, fitting: Sequence[Row], records: Sequence[Record]) -> str:
    run_of = {record.method_key: record.run for record in records}
    runs = ", ".join(f"{run_of[row.method.key]} for {row.method}" for row in fitting)
    return (
        f"'{baseline}' is {len(fitting)} methods trained on {board.source}, where a baseline must be one. "
        f"Name a run of the one that you mean: {runs}."
    )


def _board_differences(board: Board, baseline: Row, of_cell: OfCell, cache: Path) -> BoardDifferences:
    found: list[MethodDifference] = []
    missing: list[str] = []
    for target in (label for label in board.columns if not is_without_duplicates(label)):
        scored = [row for row in board.headline if row.cells[target]["accuracy"].values]
        if baseline not in scored:
            continue
        try:
            theirs = _read(baseline, target, of_cell, cache)
        except UsageError as error:
            missing.append(f"{baseline.method} on {target}: {error}")
            continue
        for row in (row for row in scored if row is not baseline):
            try:
                found += _compared(row.method, baseline.method, target, _read(row, target, of_cell, cache), theirs)
            except UsageError as error:
                missing.append(f"{row.method} on {target}: {error}")
    adjusted = holm([each.difference.p for each in found])
    together = (replace(each, p_holm=p) for each, p in zip(found, adjusted, strict=True))
    return BoardDifferences(board, baseline.method, tuple(together), tuple(missing))


def _read(row: Row, target: str, of_cell: OfCell, cache: Path) -> list[ReadFaces]:
    """One per seed."""
    return [read_faces(record, row.method.readout, cache) for record in of_cell[row.method.key, target]]


def _compared(
    method: Method, baseline: Method, target: str, ours: Sequence[ReadFaces], theirs: Sequence[ReadFaces]
) -> Iterable[MethodDifference]:
    """In both metrics; p is not adjusted yet.

    McNemar's test is one of accuracy, and takes faces for independent: there is none where subjects are known.
    """
    shared = shared_faces([*ours, *theirs])
    right = np.array([each.right for each in shared])
    gain = right[: len(ours)].mean(axis=0) - right[len(ours) :].mean(axis=0)
    truth = class_numbers(shared[0].truth)
    for metric in METRICS:
        seed = seed_from("difference", method.key, method.readout, baseline.key, target, metric)
        difference = paired_difference(gain, truth, metric, seed=seed, subjects=shared[0].subjects)
        tested = len(right) == 2 and metric == "accuracy" and shared[0].subjects is None
        mcnemar_p = mcnemar(*right) if tested else None
        yield MethodDifference(method, target, metric, difference, difference.p, len(truth), mcnemar_p)
