"""feature tables -> leaks between datasets and splits, swapped label names, doubtful labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations, combinations_with_replacement
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fercache.audits.duplicates import CopyCalibration, Pairs, SearchedFaces, find_pairs
from fercache.audits.label_permutation import Verdict, compare_labels
from fercache.audits.raters import Ceiling, Rerated, annotator_ceiling, rerated
from fercache.audits.suspects import suspect_labels
from fercache.csv_cells import csv_text
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS
from fercache.loading.labelled_faces import Labelling, labels_of, searched_faces
from fercache.loading.tables import find_table, same_encoder
from fercache.options.audit import AuditRequest
from fercache.runtime.devices import resolve_device
from fercache.runtime.progress import progress
from fercache.settings import Settings
from fercache.stages._pair_sheet import LabelledImage, Pair, write_pair_sheet
from fercache.store.atomic import write_text
from fercache.store.rows import Rows
from fercache.store.tables import FeatureTable, read_table

if TYPE_CHECKING:
    import pandas as pd

NO_LABEL = ""
IDENTICAL, NEAR = "identical", "near"
ALL_PAIRS, BY_INDEX = "all pairs", "index"
_SIDE = ("dataset", "split", "id", "label")
"""Columns of each image in a pair; those of the second image begin with `other_`."""


@dataclass(frozen=True)
class AuditedDataset:
    """The rows of a dataset for the audits. `index` (N,) points into EXPRESSIONS, by majority vote; -1: no label."""

    name: DatasetName
    table: FeatureTable
    faces: SearchedFaces
    id: NDArray[np.object_]
    split: NDArray[np.object_]
    index: NDArray[np.int64]
    votes: NDArray[np.int16] | None

    @property
    def label(self) -> NDArray[np.object_]:
        """(N,) expressions, or NO_LABEL."""
        return np.array([*EXPRESSIONS, NO_LABEL], dtype=object)[self.index]

    def labelled(self) -> tuple[Rows, NDArray[np.int64]]:
        """Features and indices of the rows."""
        return self.faces.features, self.index


@dataclass(frozen=True)
class Search:
    """How copies were looked for in two datasets, or within one (`other` is the same).

    `threshold`, `rate` and `expected_by_chance` are those of the calibration. `by` is "all pairs", or "index": then
    `sampled` faces were also compared with all others; of the `sampled_pairs`, the index found `sampled_found`.
    """

    name: str
    other: str
    threshold: float
    rate: float
    expected_by_chance: float
    by: str
    sampled: int = 0
    sampled_pairs: int = 0
    sampled_found: int = 0


@dataclass(frozen=True)
class Leak:
    """Images of one place (dataset and split) with copies in another place, or in the same.

    `near` counts images with slightly changed copies only; `conflicting`, images whose label differs from a copy's.
    """

    place: str
    other: str
    images: int
    images_of_other: int
    identical: int
    near: int
    conflicting: int


@dataclass(frozen=True)
class Audit:
    """The findings, and the folder that holds them as CSV files."""

    folder: Path
    leaks: list[Leak]
    calibrations: dict[tuple[str, str], CopyCalibration]
    searches: list[Search]
    verdicts: dict[tuple[str, str], Verdict | None]
    ceilings: dict[str, Ceiling]
    rerated: dict[str, Rerated]
    suspects: dict[str, int]
    sheet: Path | None


def audit(settings: Settings, request: AuditRequest) -> Audit:
    """Audits the feature tables of datasets; writes `reports/audit-<datasets>/`.

    Raises UsageError for a dataset that is not extracted, overlapping splits, and tables of different encoders.
    """
    device = resolve_device(request.device)
    names = [DatasetName.parse(text) for text in request.datasets]
    folder = settings.new_report(request.name or "-".join(["audit", *(_place(n.slug, n.split) for n in names)]))
    tables = _read_tables(settings, request)
    datasets = [_audited(name, table) for name, table in tables.items()]
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("suspects-*.csv"):
        earlier.unlink()
    pairs = _find_all_pairs(datasets, device)
    listed = _listed(datasets, pairs)
    write_text(folder / "duplicates.csv", csv_text(listed, "%.4f"))
    leaks = _leaks(datasets, listed)
    write_text(folder / "leaks.csv", csv_text(_frame(leaks, Leak)))
    searches = [_search(datasets[i].name, datasets[j].name, found) for (i, j), found in pairs.items()]
    write_text(folder / "searches.csv", csv_text(_frame(searches, Search)))
    calibrations = {
        (str(datasets[i].name), str(datasets[j].name)): found.calibration for (i, j), found in pairs.items()
    }
    return Audit(
        folder=folder,
        leaks=leaks,
        calibrations=calibrations,
        searches=searches,
        verdicts={
            (str(one.name), str(other.name)): compare_labels(one.labelled(), other.labelled(), EXPRESSIONS)
            for one, other in combinations(datasets, 2)
        },
        ceilings={name: ceiling for one in datasets for name, ceiling in _ceilings(one)},
        rerated={
            name: found for i, one in enumerate(datasets) for name, found in _rerated(one, pairs[i, i]) if found.pairs
        },
        suspects={str(one.name): _write_suspects(one, listed, folder) for one in datasets},
        sheet=write_pair_sheet(folder / "closest.png", settings, _closest(listed), tables=tables),
    )


def _read_tables(settings: Settings, request: AuditRequest) -> dict[DatasetName, FeatureTable]:
    names = [DatasetName.parse(text) for text in request.datasets]
    for one, other in combinations(names, 2):
        if one.whole == other.whole and (one.split == other.split or "" in (one.split, other.split)):
            raise UsageError(
                f"{one} and {other} overlap. Name one of them: every dataset is also compared with itself."
            )
    tables = {n: read_table(find_table(settings.cache, str(n), request.encoder).path) for n in names}
    first, *others = tables
    for other in others:
        if not same_encoder(tables[first].identity["encoder"], tables[other].identity["encoder"]):
            raise UsageError(
                f"{first} and {other} were extracted with different encoders, whose features cannot be compared. "
                "Extract both with one encoder, and name it with --encoder."
            )
    return tables


def _audited(name: DatasetName, table: FeatureTable) -> AuditedDataset:
    columns = table.columns
    rows = columns.split == name.split if name.split else slice(None)
    if not len(columns.id[rows]):
        known = ", ".join(sorted(set(columns.split)))
        raise UsageError(f"{name} has no faces; the splits of this dataset are {known}.")
    votes = None if columns.votes is None else columns.votes[rows]
    index = labels_of(table, rows, Labelling(EXPRESSIONS)).index
    return AuditedDataset(
        name=name,
        table=table,
        faces=searched_faces(table, rows),
        id=columns.id[rows],
        split=columns.split[rows],
        index=index,
        votes=votes,
    )


def _find_all_pairs(datasets: Sequence[AuditedDataset], device: str) -> dict[tuple[int, int], Pairs]:
    jobs = list(combinations_with_replacement(range(len(datasets)), 2))
    with progress("look for copies", sum(len(datasets[i].faces) for i, _ in jobs), "face") as bar:
        return {
            (i, j): find_pairs(
                datasets[i].faces, None if i == j else datasets[j].faces, device=device, report=bar.update
            )
            for i, j in jobs
        }


def _listed(datasets: Sequence[AuditedDataset], pairs: Mapping[tuple[int, int], Pairs]) -> "pd.DataFrame":
    """One row per pair: identical images first, then by cosine."""
    import pandas as pd

    parts = []
    for (i, j), found in pairs.items():
        sides = {"": (datasets[i], found.left), "other_": (datasets[j], found.right)}
        columns: dict[str, object] = {"kind": np.where(found.identical, IDENTICAL, NEAR), "cosine": found.cosine}
        for side, (one, rows) in sides.items():
            values = (str(one.name.whole), one.split[rows], one.id[rows], one.label[rows])
            columns |= {side + column: value for column, value in zip(_SIDE, values, strict=True)}
        parts.append(pd.DataFrame(columns))
    listed = pd.concat(parts, ignore_index=True)
    labelled = (listed["label"] != NO_LABEL) & (listed["other_label"] != NO_LABEL)
    listed["conflicting"] = labelled & (listed["label"] != listed["other_label"])
    return listed.sort_values(["kind", "cosine"], ascending=[True, False], kind="stable", ignore_index=True)


def _leaks(datasets: Sequence[AuditedDataset], listed: "pd.DataFrame") -> list[Leak]:
    """For every ordered pair of places with copies, the images of the first that are in the second."""
    images = {
        _place(str(one.name.whole), split): int((one.split == split).sum())
        for one in datasets
        for split in np.unique(one.split)
    }
    found: dict[tuple[str, str], dict[str, tuple[bool, bool]]] = {}
    for kind, _, conflicting, here, there in _rows(listed):
        for (name, split, id, _), (other, other_split, *_) in ((here, there), (there, here)):
            twins = found.setdefault((_place(name, split), _place(other, other_split)), {})
            identical, conflicts = twins.get(id, (False, False))
            twins[id] = identical or kind == IDENTICAL, conflicts or conflicting
    leaks = []
    for (place, other), twins in sorted(found.items()):
        same = sum(identical for identical, _ in twins.values())
        elsewhere = sum(conflicts for _, conflicts in twins.values())
        leaks.append(
            Leak(
                place,
                other,
                images[place],
                images_of_other=images[other],
                identical=same,
                near=len(twins) - same,
                conflicting=elsewhere,
            )
        )
    return leaks


def _place(name: str, split: str) -> str:
    return f"{name}@{split}" if split else name


def _rows(listed: "pd.DataFrame") -> Iterator[tuple[str, float, bool, Sequence[str], Sequence[str]]]:
    """Kind, cosine, whether the labels conflict, and the columns _SIDE of both images."""
    names = ("kind", "cosine", "conflicting", *_SIDE, *(f"other_{column}" for column in _SIDE))
    for kind, cosine, conflicting, *sides in zip(*(listed[name].tolist() for name in names), strict=True):
        yield kind, cosine, conflicting, sides[: len(_SIDE)], sides[len(_SIDE) :]


def _search(name: DatasetName, other: DatasetName, found: Pairs) -> Search:
    limit, recall = found.calibration, found.recall
    measured = (BY_INDEX, recall.rows, recall.pairs, recall.found) if recall else (ALL_PAIRS,)
    return Search(str(name), str(other), limit.threshold, limit.rate, limit.expected_by_chance, *measured)


def _frame(rows: Sequence[object], kind: type) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(rows, columns=[field.name for field in fields(kind)])


def _votes(one: AuditedDataset) -> Iterator[tuple[str, list[str], NDArray[np.int16]]]:
    """For every label file: its title, the V options that raters voted for, and the votes (N, V)."""
    columns = [column.partition(":") for column in one.table.vote_columns]
    for file in dict.fromkeys(file for file, _, _ in columns):
        chosen = [i for i, (of, _, _) in enumerate(columns) if of == file]
        if one.votes is not None:
            yield f"{one.name}, {file}", [columns[i][2] for i in chosen], one.votes[:, chosen]


def _ceilings(one: AuditedDataset) -> Iterator[tuple[str, Ceiling]]:
    for name, names, votes in _votes(one):
        ceiling = annotator_ceiling(votes, names, EXPRESSIONS)
        if ceiling is not None:
            yield name, ceiling


def _rerated(one: AuditedDataset, within: Pairs) -> Iterator[tuple[str, Rerated]]:
    left, right = within.left[within.identical], within.right[within.identical]
    for name, names, votes in _votes(one):
        yield name, rerated(votes[left], votes[right], names)


def _write_suspects(one: AuditedDataset, listed: "pd.DataFrame", folder: Path) -> int:
    """Writes the faces with doubtful labels to `suspects-<dataset>[@<split>].csv`; returns how many there are."""
    import pandas as pd

    found = suspect_labels(*one.labelled())
    rows = found.row
    frame = pd.DataFrame(
        {
            "id": one.id[rows],
            "split": one.split[rows],
            "label": one.label[rows],
            "suggested": [EXPRESSIONS[k] for k in found.suggested],
            "probability_of_label": found.of_label,
            "probability_of_suggested": found.of_suggested,
        }
    )
    frame["twin_of_another_label"] = frame["id"].map(_conflicts_of(str(one.name.whole), listed)).fillna("")
    if one.votes is not None:
        for column, votes in zip(one.table.vote_columns, one.votes[rows].T, strict=True):
            frame[column] = votes
    path = folder / f"suspects-{_place(one.name.slug, one.name.split)}.csv"
    write_text(path, csv_text(frame, "%.4g"))
    return len(frame)


def _conflicts_of(name: str, listed: "pd.DataFrame") -> dict[str, str]:
    """The copies (dataset, id, label) with another label, by id."""
    twins: dict[str, list[str]] = {}
    for _, _, conflicting, here, there in _rows(listed):
        for (own, _, id, _), (other, _, other_id, label) in ((here, there), (there, here)):
            if conflicting and own == name:
                twins.setdefault(id, []).append(f"{other} {other_id} {label}")
    return {id: "; ".join(copies) for id, copies in twins.items()}


def _closest(listed: "pd.DataFrame") -> list[Pair]:
    """The near pairs, closest first."""
    return [
        (LabelledImage(name, id, label), LabelledImage(other, other_id, other_label), cosine)
        for kind, cosine, _, (name, _, id, label), (other, _, other_id, other_label) in _rows(listed)
        if kind == NEAR
    ]
