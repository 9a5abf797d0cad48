"""What is known of every run on every domain with labels: signals and scores, from records and stored predictions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.policies import Sees
from fercache.records import IMPORTED, MAIN, METRICS, Record, predictions_path
from fercache.records.relations import photographs
from fercache.scoring.calibration import probabilities
from fercache.scoring.drift import Drift
from fercache.scoring.estimates import Domain, Metric
from fercache.scoring.selection import headline
from fercache.scoring.signals import (
    Clusters,
    Validated,
    agreement,
    difference_of_confidences,
    dispersity,
    expected_recall,
    spread,
    thresholded_confidence,
)
from fercache.splits import POOL
from fercache.store.runs import Shared, StoredPredictions, read_answers, read_predictions


@dataclass(frozen=True)
class Answers:
    """The `logits` (N, L) of a run of a `head` on the faces of a domain; `drift` is that of the domain from its source.

    `scores` are those by the labels of the domain, if they are known.
    """

    run: str
    head: str
    source: str
    classes: tuple[str, ...]
    logits: NDArray[np.float32]
    drift: Drift | None
    scores: Mapping[Metric, float] = field(default_factory=dict)
    validation: bool = False

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, L)."""
        return probabilities(self.logits, np.ones(len(self.classes), dtype=bool))

    @property
    def answered(self) -> NDArray[np.int64]:
        """(N,) the most likely expression of each face."""
        highest: NDArray[np.int64] = self.logits.argmax(axis=1)
        return highest


def validation_path(run: Path, selection: str) -> Path:
    """The predictions of a run on its source validation, in its folder; targets' have a split in their names."""
    return run / "predictions" / f"source-validation.{selection}.h5"


def known_domains(records: Iterable[Record], cache: Path) -> dict[str, list[Domain]]:
    """The domains on which runs were scored, and their source validation, by encoder key.

    Scores are those of the policy that methods are compared by. Imported predictions have no features; adapted runs and
    scores without duplicates are left out. So are predictions that cannot be read.
    """
    by_run: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.method_sees == Sees.NOTHING and not record.without_duplicates and record.encoder != IMPORTED:
            by_run[record.run].append(record)
    chosen = [r for found in by_run.values() for r in found if r.selection == headline([{r.selection for r in found}])]
    by_domain: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in chosen:
        faces = (record.target_split, record.keys["target"], record.policy, record.label_file, str(record.kept))
        by_domain[record.encoder_key, record.target, *faces].append(record)
    validated, domains = _on_validation(chosen, cache)
    for (encoder, target, *_), found in sorted(by_domain.items()):
        domains[encoder] += _on_target(target, found, cache, validated=validated)
    return dict(domains)


def _on_target(target: str, records: Sequence[Record], cache: Path, validated: Mapping[str, Validated]) -> list[Domain]:
    """The runs with these records of the same faces; the features of a sample are read from the first one."""
    paths = {record.run: predictions_path(cache / "runs" / record.run, record) for record in records}
    first = next((stored for path in paths.values() if (stored := read_stored(path))), None)
    if first is None:
        return []
    ids = np.sort(first.id)
    shared: Shared = {}
    answers = []
    for record in records:
        with suppress(UsageError):  # absent, or damaged, which `cache verify` reports
            read = read_answers(paths[record.run], MAIN, shared)
            if np.array_equal(read.id, ids):
                answers.append(_answers(record, read.expressions, read.logits, truth=read.truth))
    sample = np.searchsorted(ids, first.id[first.sample])
    return described(target, answers, first.features, sample=sample, validated=validated)


def _on_validation(records: Sequence[Record], cache: Path) -> tuple[dict[str, Validated], dict[str, list[Domain]]]:
    """What runs did on their source validation, by run, and as domains by encoder key."""
    validated: dict[str, Validated] = {}
    by_source: dict[tuple[str, str], list[tuple[Answers, StoredPredictions]]] = defaultdict(list)
    for record in {record.run: record for record in records}.values():
        stored = read_stored(validation_path(cache / "runs" / record.run, record.selection))
        if stored is not None:
            answers = _answers(record, stored.expressions, stored.logits[MAIN], truth=stored.truth, validation=True)
            validated[record.run] = validated_by(answers.probabilities, stored.truth)
            by_source[record.encoder_key, record.source].append((answers, stored))
    domains: dict[str, list[Domain]] = defaultdict(list)
    for (encoder, source), found in sorted(by_source.items()):
        stored = found[0][1]
        same = [answers for answers, each in found if np.array_equal(each.truth, stored.truth)]
        domains[encoder] += described(source, same, stored.features, sample=stored.sample, validated=validated)
    return validated, domains


def validated_by(shares: NDArray[np.float64], truth: NDArray[np.int64]) -> Validated:
    """From (N, L) probabilities on source validation."""
    return Validated(shares.max(axis=1), float((shares.argmax(axis=1) == truth).mean()))


def described(
    name: str,
    answers: Sequence[Answers],
    features: NDArray[np.floating],
    sample: NDArray[np.int64],
    validated: Mapping[str, Validated],
) -> list[Domain]:
    """Every run's signals on the domain `name`, from the answers of runs on the same faces.

    `features` (S, D) are those of the faces `sample` (S,).
    """
    clusters, found = Clusters(features), []
    for each in answers:
        alike = [a for a in answers if a.source == each.source and a.head != each.head and a.classes == each.classes]
        shares, answered = each.probabilities, each.answered
        confidence = shares.max(axis=1)
        signals = {
            "agreement": agreement(answered, [other.answered for other in alike]),
            "confidence": float(confidence.mean()),
            "dispersity": dispersity(shares),
            "recall": expected_recall(shares),
            "spread": spread(answered, len(each.classes)),
            "steadiness": clusters.steadiness(answered[sample], len(each.classes)),
        }
        if source := validated.get(each.run):
            signals["difference of confidences"] = difference_of_confidences(confidence, source)
            signals["thresholded confidence"] = thresholded_confidence(confidence, source)
        if each.drift is not None and each.drift.norm_ratio is not None:
            signals["Fréchet distance"] = each.drift.frechet
            signals["A-distance"] = each.drift.a_distance
            signals["norm ratio"] = each.drift.norm_ratio
            signals["MMD"] = float("nan") if each.drift.mmd is None else each.drift.mmd
        found.append(
            Domain(
                run=each.run,
                head=each.head,
                name=name,
                images=images_of(name),
                source=each.source,
                source_images=frozenset(map(images_of, each.source.split(POOL))),
                faces=len(answered),
                signals=signals,
                scores=each.scores,
                validation=each.validation,
            )
        )
    return found


def images_of(name: str) -> str:
    """A name for the images of a dataset, the same for all that are related to it; texts name themselves."""
    try:
        return photographs(DatasetName.parse(name))
    except UsageError:
        return name


def _answers(
    record: Record,
    classes: tuple[str, ...],
    logits: NDArray[np.float32],
    truth: NDArray[np.int64],
    validation: bool = False,
) -> Answers:
    right = logits.argmax(axis=1) == truth
    recalls = [float(right[truth == number].mean()) for number in np.unique(truth)]
    of_validation: Mapping[Metric, float] = {
        "accuracy": float(right.mean()),
        "mean_class_recall": float(np.mean(recalls)),
    }
    of_record: Mapping[Metric, float] = {name: getattr(record.scores[MAIN], name) for name in METRICS}
    return Answers(
        run=record.run,
        head=record.head,
        source=record.source,
        classes=classes,
        logits=logits,
        drift=UNMOVED if validation else record.drift,
        scores=of_validation if validation else of_record,
        validation=validation,
    )


UNMOVED = Drift(faces=0, norm=1, source_norm=1, frechet=0, frechet_floor=0, a_distance=0, a_distance_floor=0, mmd=0)
"""The drift of source validation, which is a sample of the source."""


def read_stored(path: Path) -> StoredPredictions | None:
    """The predictions in a file; None if they are absent or cannot be read."""
    try:
        return read_predictions(path) if path.exists() else None
    except UsageError:  # damaged; `cache verify` reports it
        return None
