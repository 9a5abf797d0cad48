"""What a model is, what it was trained on, how well it does where, and what it has never seen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fercache import registry
from fercache.datasets import DatasetName
from fercache.encoders import load_encoder
from fercache.errors import UsageError
from fercache.expressions import first_expressions
from fercache.loading.models import PROMPTS, ZERO_SHOT, find_model
from fercache.loading.run_config import NO_TRUNK, RunConfig, read_config
from fercache.loading.tables import same_encoder
from fercache.options.extract import EncoderRequest
from fercache.records import MAIN, Record, read_records
from fercache.records.relations import reasons
from fercache.runtime.versions import versions
from fercache.scoring.selection import choose, headline_of
from fercache.settings import Settings
from fercache.store.atomic import entries
from fercache.store.runs import Run, find_runs

UNKNOWN_LICENCE = "unknown; ask the publisher of the weights"
UNKNOWN_TRAINING = "unknown: fercache does not know which images the encoder was trained on"

Card = dict[str, Any]
"""JSON."""

_BUNDLED = EncoderRequest()


def model_card(settings: Settings, model: str, encoder: EncoderRequest = _BUNDLED) -> Card:
    """The card of a run (its name or key), of a method (all its seeds), or of ZERO_SHOT with an `encoder`.

    `scores` has an entry per run and target, from the records in the cache: accuracy and mean class recall with 95 %
    intervals, and why the target is not unseen if it is not. `never_shown` are the targets that neither the encoder nor
    a head has seen, as far as that is known. Raises UsageError for an unknown or ambiguous model, or a damaged run.
    """
    described = _of_text(settings, encoder) if model == ZERO_SHOT else _of_runs(settings, model)
    return {"model": model, **described, "versions": versions()}


def _of_runs(settings: Settings, model: str) -> Card:
    runs = [read_config(folder) for folder in find_model(settings.cache, model)[1]]
    config = runs[0][1]
    scores = [_score(record, record.why_seen) for run, _ in runs for record in _records(run)]
    asked = EncoderRequest.of(config.encoder_request)
    return {
        "head": config.head,
        "trunk": None if config.trunk == NO_TRUNK else config.trunk,
        "settings": config.settings,
        "classes": list(config.expressions),
        "encoder": _encoder(config.encoder, asked, config.encoder_identity, seen=config.encoder_seen),
        "trained_on": _trained_on(config),
        "runs": [_run(run, config) for run, config in runs],
        "scores": scores,
        "never_shown": _never_shown(scores),
    }


def _of_text(settings: Settings, request: EncoderRequest) -> Card:
    encoder = load_encoder(request)
    identity = encoder.key_identity()
    scores = _text_scores(settings.cache, identity)
    return {
        "head": ZERO_SHOT,
        "trunk": None,
        "settings": {"prompts": PROMPTS},
        "classes": list(first_expressions(7)),
        "encoder": _encoder(encoder.name, request, identity, seen=encoder.seen),
        "trained_on": [],
        "runs": [],
        "scores": scores,
        "never_shown": _never_shown(scores),
    }


def _text_scores(cache: Path, identity: Mapping[str, Any]) -> list[Card]:
    """Of runs of the head of the same name: their source has taught them nothing."""
    found: dict[str, Card] = {}
    for folder in (each for each in find_runs(cache) if f"-{ZERO_SHOT}-" in each.name):
        run, config = read_config(folder)
        if config.prompts == PROMPTS and same_encoder(config.encoder_identity, identity):
            for record in _records(run):
                seen = reasons(record.seen, record.kept, "encoder")
                own = {"own_domain": False, "calibration_error": record.calibration and record.calibration.ece}
                found.setdefault(record.target_label, _score(record, seen) | own)
    return list(found.values())


def _encoder(name: str, request: EncoderRequest, identity: Mapping[str, Any], *, seen: Sequence[str]) -> Card:
    family = registry.encoder_family(request.name)
    return {
        "name": name,
        "weights_sha256": identity.get("weights_sha256"),
        "precision": identity.get("precision"),
        "licence": family.licence(request) or UNKNOWN_LICENCE,
        "trained_on": list(seen) or UNKNOWN_TRAINING,
    }


def _trained_on(config: RunConfig) -> list[Card]:
    parts = [{"dataset": part.name, "split": part.split, "licence": _licence(part.name)} for part in config.parts]
    few = config.few_labels
    labelled = {} if few is None else {"dataset": few.target, "labels": len(few.faces), "licence": _licence(few.target)}
    return [*parts, labelled] if labelled else parts


def _licence(dataset: str) -> str:
    try:
        return str(registry.load("datasets", DatasetName.parse(dataset).family).licence)
    except UsageError:  # a plugin that is not installed here
        return "unknown"


def _run(run: Run, config: RunConfig) -> Card:
    policy = headline_of(run.history)
    snapshot = choose(policy, run.history, config.rows_chosen_by, too_few=config.too_few)
    row = next(row for row in run.history if row["snapshot"] == snapshot)
    return {
        "run": run.name,
        "seed": config.seed,
        "selection": policy,
        "snapshot": snapshot,
        "temperature": row.get("temperature") or 1.0,
        "training_faces": config.train_rows,
    }


def _records(run: Run) -> Iterator[Record]:
    """Of the snapshot that `predict` uses, unadapted, on all faces of each target."""
    policy = headline_of(run.history)
    files = [path for path in entries(run.folder / "records") if path.name.endswith(f".{policy}.json")]
    for record in read_records(files)[0]:
        if record.adaptation is None and not record.without_duplicates:
            yield record


def _score(record: Record, seen: Sequence[str]) -> Card:
    score, intervals = record.scores[MAIN], record.intervals
    return {
        "run": record.run,
        "target": record.target_label,
        "faces": score.n,
        "accuracy": score.accuracy,
        "accuracy_interval": intervals.get("accuracy"),
        "mean_class_recall": score.mean_class_recall,
        "mean_class_recall_interval": intervals.get("mean_class_recall"),
        "calibration_error": None if record.calibrated is None else record.calibrated.ece,
        "own_domain": record.is_own,
        "not_unseen": list(seen),
    }


def _never_shown(scores: Iterable[Mapping[str, Any]]) -> list[str]:
    shown = {score["target"] for score in scores if score["own_domain"] or score["not_unseen"]}
    return sorted({score["target"] for score in scores} - shown)
