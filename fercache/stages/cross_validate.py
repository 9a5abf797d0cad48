"""run -> scores inside its source: every face is scored once, by a head trained on the other folds.

Such scores are about faces of the training domain, not about an unseen one. They are in a table of their own, and no
report compares them with records.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from fercache.csv_cells import csv_text
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.loading.batches import as_faces, crops_of
from fercache.loading.labelled_faces import LabelledFaces, Labelling, labelled_faces
from fercache.loading.run_config import CROSS_VALIDATION, VALIDATION, RunConfig, read_config
from fercache.loading.tables import find_table
from fercache.loading.validation_rows import split_folds
from fercache.options.evaluate import EvaluateRequest
from fercache.policies import VotePolicy
from fercache.runtime.devices import resolve_device
from fercache.runtime.progress import progress
from fercache.scoring.intervals import Interval, score_intervals
from fercache.scoring.metrics import Scores, score
from fercache.scoring.selection import choose, headline_of
from fercache.settings import Settings
from fercache.stages._source_validation import request_of
from fercache.stages._training_plans import training_plans
from fercache.stages.evaluate import chosen_runs
from fercache.stages.train import workers
from fercache.store.atomic import write_text
from fercache.store.rows import take
from fercache.store.schema import Columns
from fercache.store.tables import FeatureTable, read_table
from fercache.training import head_logits


@dataclass(frozen=True)
class CrossValidated:
    """A run's scores inside its source, by `folds`; `grouped` by subject: no person is in two folds."""

    config: RunConfig
    folds: int
    grouped: bool
    scores: Scores
    intervals: dict[str, Interval]


def cross_validate(settings: Settings, request: EvaluateRequest) -> tuple[Path, list[CrossValidated]]:
    """Repeats the training of runs on the folds of their source; writes `reports/folds/scores.csv`.

    Raises UsageError for a requested run with a pooled source, with a source that has changed, or with too few faces,
    and if no run is left.
    """
    if request.targets or request.adapt or request.exclude_duplicates:
        raise UsageError(
            "--folds scores a run inside its own source: leave out --target, --adapt and --exclude-duplicates."
        )
    folder = settings.new_report("folds")
    runs = chosen_runs(settings, request)

    def scored(run: Path) -> CrossValidated | str:
        try:
            return _cross_validated(settings, request, read_config(run)[1])
        except UsageError as error:
            return str(error)
        finally:
            bar.update()

    on_features = all(read_config(run)[1].crop_side is None for run in runs)
    parallel = on_features and resolve_device(request.device) == "cpu"
    with progress("cross-validate", len(runs), "run") as bar, workers(parallel) as run_all:
        outcomes = list(run_all(scored, runs))
    found = [each for each in outcomes if isinstance(each, CrossValidated)]
    reasons = [each for each in outcomes if isinstance(each, str)]
    if reasons and (request.runs or not found):
        raise UsageError(reasons[0])
    for reason in dict.fromkeys(reasons):
        print(f"skipped: {reason}", file=sys.stderr)
    return write_text(folder / "scores.csv", csv_text(_table(found))), found


def _cross_validated(settings: Settings, request: EvaluateRequest, config: RunConfig) -> CrossValidated:
    faces, table = _faces(settings, config)
    groups = _groups(table, faces)
    fold = split_folds(faces.truth, groups, int(request.folds or 0))
    folds = np.unique(fold)
    if len(folds) < 2:
        raise UsageError(f"{config.source} has too few labelled faces or subjects for folds.")
    logits = np.full((len(faces.truth), len(config.expressions)), -np.inf, dtype=np.float32)
    for number in folds:
        logits[fold == number] = _logits(
            settings, config, table, held_out=faces.take(fold == number), device=request.device
        )
    grouped = bool((faces.subject != "").any())
    intervals = score_intervals(faces.truth, logits.argmax(axis=1), groups if grouped else None)
    scores = score(logits, faces.truth, config.expressions, known=config.expressions)
    return CrossValidated(config, len(folds), grouped, scores=scores, intervals=intervals)


def _faces(settings: Settings, config: RunConfig) -> tuple[LabelledFaces, FeatureTable]:
    """The labelled faces of the split that a run was trained on, and their table. Raises UsageError as above."""
    if len(config.parts) > 1:
        raise UsageError(f"--folds needs a source of one dataset; {config.name} has a pooled source, {config.source}.")
    (part,) = config.parts
    info = find_table(settings.cache, part.name, config.encoder)
    if info.clean_key != part.key:
        raise UsageError(
            f"{config.source} has changed in the cache since {config.name} was trained on it. Run the same "
            "`fercache train` again."
        )
    table, votes = read_table(info.path), "majority" if config.votes == VotePolicy.SOFT else config.votes
    labelling = Labelling(tuple(config.expressions), votes, config.labels)
    return labelled_faces(table, DatasetName.parse(part.name), part.split, labelling=labelling), table


def _groups(table: FeatureTable, faces: LabelledFaces) -> NDArray[np.object_]:
    """(N,) what stays in one fold: a subject's faces; of unknown subjects, faces with identical pixels."""
    pixels = [row.tobytes().hex() for row in table.columns.pixel_sha256[faces.row]]
    counts = Counter(pixels)
    copied = (f"pixels {pixel}" if counts[pixel] > 1 else "" for pixel in pixels)
    return np.array([subject or copy for subject, copy in zip(faces.subject, copied, strict=True)], dtype=object)


def _logits(
    settings: Settings, config: RunConfig, table: FeatureTable, *, held_out: LabelledFaces, device: str
) -> NDArray[np.float32]:
    """(n, L) logits of the faces `held_out`, by the run's method, trained on the others."""
    others = _others(table, held_out)
    asked = request_of(config, device).but(heads=(config.head,), seeds=(config.seed,), set=_settings(config))
    (plan,) = training_plans(settings, asked, lambda path: others if path == table.path else read_table(path))
    head, fitted = plan.fit(config.seed)
    by = plan.chosen_by
    faces = len((plan.source.faces.train if by == CROSS_VALIDATION else plan.source.faces.validation).labels)
    policy = headline_of(fitted.history)
    head.load_state_dict(fitted.snapshots[choose(policy, fitted.history, faces, too_few=by != VALIDATION)])
    head.eval()
    crops = None if config.crop_side is None else crops_of(settings.cache, plan.source.table, config.crop_side)
    with torch.inference_mode():
        found = head_logits(head, as_faces(held_out, crops, plan.source.device)).float().cpu().numpy()
    logits = np.full((len(found), len(config.expressions)), -np.inf, dtype=np.float32)
    logits[:, [config.expressions.index(name) for name in plan.source.expressions]] = found
    return logits


def _others(table: FeatureTable, held_out: LabelledFaces) -> FeatureTable:
    """The table without the faces `held_out`, and without whatever has the same subject or pixels, labelled or not."""
    columns = table.columns
    pixels = columns.digests(slice(None))
    subjects = set(held_out.subject) - {""}
    same_person = np.array([subject in subjects for subject in columns.subject], dtype=bool)
    kept = ~same_person & ~np.isin(pixels, pixels[held_out.row])
    return replace(table, columns=Columns.of({name: take(array, kept) for name, array in columns.arrays().items()}))


def _settings(config: RunConfig) -> dict[str, object]:
    return config.settings | ({"crops": config.crop_side} if config.crop_side else {})


def _table(found: Sequence[CrossValidated]) -> pd.DataFrame:
    """A row per run; `scored` says that no score is about an unseen domain."""
    return pd.DataFrame(
        {
            "run": each.config.name,
            "source": each.config.source,
            "scored": f"in-domain, {each.folds} folds",
            "grouped_by_subject": each.grouped,
            "faces": each.scores.n,
            "accuracy": each.scores.accuracy,
            "accuracy_low": each.intervals["accuracy"][0],
            "accuracy_high": each.intervals["accuracy"][1],
            "mean_class_recall": each.scores.mean_class_recall,
            "mean_class_recall_low": each.intervals["mean_class_recall"][0],
            "mean_class_recall_high": each.intervals["mean_class_recall"][1],
        }
        for each in found
    )
