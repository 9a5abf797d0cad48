"""runs, and a list of a few labelled faces -> accuracy and mean class recall of each run, with intervals."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from fercache.csv_cells import plain
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS, canonical
from fercache.layouts.own_lists import NOT_GIVEN, named_rows
from fercache.loading.committee import TEXT, Committee, Member, read_committee
from fercache.loading.run_config import read_config
from fercache.loading.run_names import resolve_all
from fercache.loading.tables import find_table
from fercache.options.estimate import EstimateRequest
from fercache.output_paths import shown
from fercache.scoring.few_labels import FEWEST_LABELS, Estimate, LabelledSample, estimate_scores
from fercache.scoring.label_design import strata
from fercache.settings import Settings
from fercache.store.runs import find_runs

NEEDED = ("id", "label", "predicted", "confidence", "inclusion_probability")
"""Columns of the list that `fercache suggest` writes."""
LEVEL = 0.9
"""Of the intervals, as of those without labels."""


@dataclass(frozen=True)
class LabelledEstimate:
    """The scores of a `run` on all `faces` of a target, from `labels` of them."""

    run: str
    labels: int
    faces: int
    accuracy: Estimate
    mean_class_recall: Estimate


def estimate_labelled(settings: Settings, request: EstimateRequest) -> list[LabelledEstimate]:
    """The scores of runs (default: every one that has not been trained on the target) from the list `labelled`.

    The list is one of `fercache suggest`, with labels filled in. Labels of the table are not read. Raises UsageError
    with the line for a wrong list, and for fewer than FEWEST_LABELS labels that a run could have answered with.
    """
    assert request.labelled is not None
    info, name = find_table(settings.cache, request.target, request.encoder), DatasetName.parse(request.target)
    finished = find_runs(settings.cache)
    asked = [folder.name for folder in resolve_all(finished, request.runs)]
    committee = read_committee(settings, info, name, every_run=True, device=request.device)
    known = {member.name for member in committee.members}
    if unknown := [run for run in asked if run not in known]:
        read_committee(settings, info, name, runs=unknown)  # raises with the reason
    sample = _read_sample(request.labelled, committee)
    committee = _untaught(settings, committee, sample, asked=asked)
    return [_estimate(committee, each, sample) for each in committee.members if not asked or each.name in asked]


def _untaught(settings: Settings, committee: Committee, sample: LabelledSample, asked: Sequence[str]) -> Committee:
    """The committee without the runs that learned from labels of the sample, which say nothing new about them.

    Raises UsageError if one of these is `asked`, or if they are all.
    """
    ids = {str(committee.id[row]) for row in sample.row}
    kept, reasons = [], []
    for member in committee.members:
        few = None if member.name == TEXT else read_config(settings.cache / "runs" / member.name)[1].few_labels
        same = few is not None and DatasetName.parse(few.target).clean == committee.name.clean
        known = ids & set(few.faces) if few is not None and same else set()
        if not known:
            kept.append(member)
            continue
        reasons.append(
            f"{member.name} learned from {len(known)} of the labelled faces, so they do not estimate it. "
            f"Label others: fercache suggest {committee.name.whole} --out NEW.csv --seed 1"
        )
        if member.name in asked:
            raise UsageError(reasons[-1])
    if not kept:
        raise UsageError(reasons[0])
    for reason in reasons:
        print(f"skipped: {reason}", file=sys.stderr)
    return replace(committee, members=tuple(kept))


def _estimate(committee: Committee, member: Member, sample: LabelledSample) -> LabelledEstimate:
    possible = (sample.truth >= 0) & member.knows[sample.truth]
    kept = sample.take(possible)
    if len(kept.row) < FEWEST_LABELS:
        raise UsageError(
            f"{member.name} knows the expressions of {len(kept.row)} labels only; {FEWEST_LABELS} are needed."
        )
    scores = estimate_scores(kept, member.answers, committee.posterior, level=LEVEL)
    return LabelledEstimate(member.name, len(kept.row), len(committee.id), **scores)


def _read_sample(file: Path, committee: Committee) -> LabelledSample:
    """The labelled faces of a list. If a part is labelled, as its order is random, each probability is that part's."""
    faces = {str(plain(id)): row for row, id in enumerate(committee.id)}
    listed: set[int] = set()
    labelled: list[tuple[int, int, float, int]] = []
    for line, cells in named_rows(file, NEEDED):
        try:
            row = _face(cells["id"], faces, committee.name)
            if row in listed:
                raise UsageError(f"{cells['id']} is listed twice.")
            listed.add(row)
            if cells["label"].lower() not in NOT_GIVEN:
                labelled.append((row, *_label(cells, committee.expressions)))
        except UsageError as error:
            raise UsageError(f"{shown(file)}, line {line}: {error}") from None
    if len(labelled) < FEWEST_LABELS:
        raise UsageError(f"{shown(file)} has {len(labelled)} labels. Label {FEWEST_LABELS} faces or more.")
    rows, truth, inclusion, stratum = (np.array(column) for column in zip(*labelled, strict=True))
    return LabelledSample(rows, truth, inclusion * len(labelled) / len(listed), stratum=stratum)


def _label(cells: dict[str, str], expressions: Sequence[str]) -> tuple[int, float, int]:
    """The expression's index, the inclusion probability, and the stratum."""
    label, answer = canonical(cells["label"]), canonical(cells["predicted"])
    confidence = np.array([_share(cells, "confidence")])
    stratum = strata(np.array([EXPRESSIONS.index(answer)]), confidence)
    truth = expressions.index(label) if label in expressions else -1
    return truth, _share(cells, "inclusion_probability"), int(stratum[0])


def _face(id: str, faces: dict[str, int], name: DatasetName) -> int:
    if id not in faces:
        raise UsageError(f"{name} has no face '{id}'. Give the target for which `fercache suggest` made the list.")
    return faces[id]


def _share(cells: dict[str, str], column: str) -> float:
    """A number above 0, up to 1; some spreadsheet programs write a decimal comma."""
    try:
        share = float(cells[column].replace(",", "."))
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(
            f"{column} is '{cells[column]}', not a number between 0 and 1. An estimate needs a list of "
            "`fercache suggest --for estimate`."
        )
    return share


def labelled_table(target: str, found: Sequence[LabelledEstimate]) -> pd.DataFrame:
    """A row per run: scores and the limits of their intervals, as shares."""
    return pd.DataFrame(
        {
            "run": each.run,
            "target": target,
            "labels": each.labels,
            "faces": each.faces,
            **{
                f"{score}{suffix}": value
                for score, estimate in (("accuracy", each.accuracy), ("mean_class_recall", each.mean_class_recall))
                for suffix, value in zip(("", "_low", "_high"), (estimate.value, *estimate.interval), strict=True)
            },
        }
        for each in found
    )
