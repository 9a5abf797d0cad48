"""run x target -> predictions and records."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import DatasetName, default_split
from fercache.encoders import EncoderRequest
from fercache.errors import UsageError, nearest
from fercache.identity import key_of, seed_from
from fercache.metrics import Scores, accuracy, predict, score, uar
from fercache.progress import progress
from fercache.records import MAIN, Record, ScoresRecord, read_record, write_record
from fercache.selection import POLICIES, choose
from fercache.settings import Settings
from fercache.stages.extract import versions
from fercache.stages.finding import find_table, holds, same_encoder, slug_of
from fercache.stages.labelled import LabelledFaces, LabelPolicy, labelled_faces
from fercache.stages.loading import LoadedRun, load_run
from fercache.stages.run_config import RunConfig, read_config
from fercache.statistics import Metric, bootstrap_interval
from fercache.store.runs import Predictions, find_runs, write_predictions
from fercache.store.tables import FeatureTable, TableInfo, find_tables, read_table

CHUNK = 4096
INTERVALS: dict[Literal["accuracy", "uar"], Metric] = {"accuracy": accuracy, "uar": uar}
SAMPLE = 1000


@dataclass(frozen=True)
class EvaluateRequest:
    """Which runs on which targets. No runs: all finished ones. No targets: every extracted set of a run's encoder."""

    targets: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    encoder: str | None = None
    device: str = "auto"
    again: bool = False


@dataclass(frozen=True)
class Target:
    """The faces to be scored, and the expressions among which the set's labels choose."""

    table: FeatureTable
    name: DatasetName
    faces: LabelledFaces
    known: tuple[str, ...]
    policy: str


def evaluate(settings: Settings, request: EvaluateRequest) -> list[Path]:
    """Scores every run on every target that has no record yet; returns the paths of the new records.

    Raises UsageError for a run or target that does not exist, and when no run can be scored on a target asked for.
    """
    folders = _chosen_runs(settings, request)
    configs = {folder: read_config(folder)[1] for folder in folders}
    tables = find_tables(settings.cache)
    jobs = [(f, t) for f in folders for t in _targets_of(settings, request, configs[f], tables)]
    _refuse_unscored_targets(settings, request, [t for _, t in jobs])
    missing = [(f, t) for f, t in jobs if request.again or not _is_done(f, t)]
    written: list[Path] = []
    loaded: dict[Path, FeatureTable] = {}
    skipped: set[str] = set()
    with progress("evaluate", len(missing), "target") as bar:
        for folder, (name, info) in missing:
            bar.set_postfix_str(f"{folder.name} on {name}", refresh=False)
            table = loaded.get(info.path)
            if table is None:
                table = loaded[info.path] = read_table(info.path)
            bar.update()
            try:
                target = _read_target(table, name, configs[folder])
            except UsageError as error:
                if request.targets:
                    raise
                skipped.add(str(error))  # nobody asked for this one
                continue
            written += _evaluate_one(load_run(folder, request.device), target)
    for reason in sorted(skipped):
        print(f"skipped: {reason}", file=sys.stderr)
    return written


def _chosen_runs(settings: Settings, request: EvaluateRequest) -> list[Path]:
    finished = find_runs(settings.cache)
    if not finished:
        raise UsageError(f"There are no finished runs in {settings.cache / 'runs'}. Run: fercache train")
    if request.runs:
        return [find_run(finished, run) for run in request.runs]
    if request.encoder is None:
        return finished
    slug = slug_of(request.encoder)
    fitting = [f for f in finished if f.name.startswith((slug + "-", slug + "--"))]
    if not fitting:
        raise UsageError(
            f"No finished run uses the encoder {request.encoder}. Run: fercache train --encoder {request.encoder}"
        )
    return fitting


def find_run(finished: Sequence[Path], name: str) -> Path:
    """A run by its name, its folder, or its key's first digits. Raises UsageError when none or several fit."""
    wanted = Path(name).name
    fitting = [folder for folder in finished if folder.name == wanted or folder.name.endswith("-" + wanted)]
    if len(fitting) == 1:
        return fitting[0]
    raise UsageError(f"No finished run is called '{name}'. {nearest(wanted, [folder.name for folder in finished])}")


def _targets_of(
    settings: Settings, request: EvaluateRequest, config: RunConfig, tables: Sequence[TableInfo]
) -> list[tuple[DatasetName, TableInfo]]:
    """The run's targets, with the newest table of each."""
    fitting = [table for table in tables if same_encoder(table.identity["encoder"], config.encoder_identity)]
    names = [DatasetName.parse(target) for target in request.targets or sorted(set(map(_whole_name, fitting)))]
    newest = [(name, next((table for table in fitting if holds(table, name)), None)) for name in names]
    return [(name, table) for name, table in newest if table is not None]


def _whole_name(table: TableInfo) -> str:
    """What the table is called as a target: a spoilt set's with its split."""
    split = table.identity.get("split")
    return f"{table.identity['dataset']}@{split}" if split else str(table.identity["dataset"])


def _refuse_unscored_targets(
    settings: Settings, request: EvaluateRequest, found: Sequence[tuple[DatasetName, TableInfo]]
) -> None:
    scored = {str(name) for name, _ in found}
    for target in request.targets:
        if str(DatasetName.parse(target)) not in scored:
            find_table(settings.cache, target, request.encoder)  # says how to extract it, when that is what is missing
            raise UsageError(
                f"{target} was extracted with another encoder than the runs were trained with. "
                "Extract it with theirs, or train runs on this encoder; see `fercache list runs`, `list tables`."
            )


def _is_done(folder: Path, target: tuple[DatasetName, TableInfo]) -> bool:
    """Whether every policy's record is there, and is about the target's present table."""
    name, table = target
    split = name.split or "*"
    dataset = name.slug
    records = [read_record(path) for path in (folder / "records").glob(f"{dataset}@{split}.*.json")]
    return {r.selection for r in records if r.keys["target"] == table.key} == set(POLICIES)


def _read_target(table: FeatureTable, name: DatasetName, config: RunConfig) -> Target:
    split = name.split or _default_target_split(table, name, config)
    if table.identity["dataset"] == config.source and split in ("", config.source_split):
        others = [f"{name.whole}@{other}" for other in sorted(set(table.columns.split)) if other != split]
        raise UsageError(
            f"{name} is what the run was trained on, so its score there means nothing. "
            f"Choose another split or set: {', '.join(others) or 'there is no other split here'}."
        )
    # Soft labels are for training; a score needs one answer per face.
    policy = "majority" if config.policy == "soft" else config.policy
    labels = LabelPolicy(tuple(config.expressions), policy, config.label_file)
    faces = labelled_faces(table, name, split, labels)
    if not len(faces.truth):
        raise UsageError(
            f"{name}: no face has a label among {', '.join(config.expressions)}, so nothing can be scored."
        )
    named = {column.partition(":")[2] for column in table.vote_columns} or set(table.classes)
    known = tuple(expression for expression in config.expressions if expression in named)
    return Target(table, replace(name, split=split), faces, known, policy)


def _default_target_split(table: FeatureTable, name: DatasetName, config: RunConfig) -> str:
    wanted = registry.load("datasets", name.family).target_split
    if not wanted and str(name) == config.source:
        wanted = "test"  # all faces would be those that the run was trained on
    return default_split(set(table.columns.split), wanted, str(name))


def _evaluate_one(loaded: LoadedRun, target: Target) -> list[Path]:
    """Every selection policy's record, and the predictions it was scored on."""
    start = time.perf_counter()
    features = torch.from_numpy(target.faces.features.astype(np.float32)).to(loaded.device)
    logits = {name: _snapshot_logits(loaded, name, features) for name in loaded.snapshots}
    on_target = {name: _score(loaded, target, by_readout[MAIN]).accuracy for name, by_readout in logits.items()}
    seconds = time.perf_counter() - start
    written = []
    for policy in POLICIES:
        snapshot = choose(policy, loaded.run.history, on_target if policy == "oracle" else None)
        loaded.load_snapshot(snapshot)
        _write_predictions(loaded, target, policy, snapshot, features, logits[snapshot])
        record = _record(loaded, target, policy, snapshot, logits[snapshot], seconds)
        written.append(write_record(loaded.run.folder, record))
    return written


@torch.inference_mode()
def _snapshot_logits(loaded: LoadedRun, snapshot: str, features: torch.Tensor) -> dict[str, NDArray[np.float32]]:
    loaded.load_snapshot(snapshot)
    parts = [{MAIN: loaded.head.logits(part), **loaded.head.readouts(part)} for part in features.split(CHUNK)]
    return {name: torch.cat([part[name] for part in parts]).float().cpu().numpy() for name in parts[0]}


def _score(loaded: LoadedRun, target: Target, logits: NDArray[np.float32]) -> Scores:
    return score(logits, target.faces.truth, loaded.config.expressions, target.known)


@torch.inference_mode()
def _write_predictions(
    loaded: LoadedRun,
    target: Target,
    policy: str,
    snapshot: str,
    features: torch.Tensor,
    logits: dict[str, NDArray[np.float32]],
) -> None:
    truth = target.faces.truth
    generator = np.random.default_rng(seed_from("sample", target.table.key, target.name.split))
    sample = np.sort(generator.permutation(len(truth))[:SAMPLE])
    masks = loaded.head.mask(features)
    mean_mask = (
        None if masks is None else _mean_per_expression(masks.cpu().numpy(), truth, len(loaded.config.expressions))
    )
    predictions = Predictions(
        expressions=tuple(loaded.config.expressions),
        id=target.faces.id,
        truth=truth,
        logits=logits,
        sample=sample,
        features=target.faces.features[sample].astype(np.float16),
        mask_mean=mean_mask,
    )
    path = loaded.run.folder / "predictions" / f"{target.name.slug}@{target.name.split or 'all'}.{policy}.h5"
    write_predictions(path, predictions, {"run": loaded.config.name, "target": str(target.name), "snapshot": snapshot})


def _mean_per_expression(masks: NDArray[np.float32], truth: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """(L, D); NaN for an expression that the target does not show."""
    means = np.full((count, masks.shape[1]), np.nan, dtype=np.float32)
    for expression in np.unique(truth):
        means[expression] = masks[truth == expression].mean(axis=0)
    return means


def _record(
    loaded: LoadedRun,
    target: Target,
    policy: str,
    snapshot: str,
    logits: dict[str, NDArray[np.float32]],
    seconds: float,
) -> Record:
    config = loaded.config
    truth, main = target.faces.truth, predict(logits[MAIN], config.expressions, target.known)
    seed = seed_from("bootstrap", config.key, target.table.key, str(target.name))
    dataset = str(target.name.whole)
    return Record(
        run=config.name,
        method_key=config.method_key,
        encoder=config.encoder,
        encoder_key=key_of(config.encoder_identity),
        head=config.head,
        trunk=config.trunk,
        settings=config.settings,
        source=config.source,
        target=dataset,
        target_split=target.name.split or "all",
        seed=config.seed,
        selection=policy,
        snapshot=snapshot,
        policy=target.policy,
        classes=tuple(config.expressions),
        scores={name: ScoresRecord.model_validate(_score(loaded, target, each)) for name, each in logits.items()},
        intervals={name: bootstrap_interval(truth, main, metric, seed=seed) for name, metric in INTERVALS.items()},
        kept=len(truth),
        dropped=dict(target.faces.dropped),
        seen_by_encoder=any(DatasetName.parse(seen).family == target.name.family for seen in config.encoder_seen),
        keys={"run": config.key, "source": config.source_key, "target": target.table.key},
        versions=versions(),
        device=loaded.device,
        seconds=round(config.seconds + seconds, 3),
        options={"extract": _extract_options(config), "train": _train_options(config)},
    )


def _extract_options(config: RunConfig) -> dict[str, str]:
    """What `fercache extract` needs beyond the data set to make the features again."""
    asked = {"encoder": config.encoder_request["name"], "weights": config.encoder_request["weights"]}
    asked["preprocessing"] = config.encoder_request["preprocessing"]
    asked["precision"] = config.encoder_identity.get("precision")
    usual = asdict(EncoderRequest())
    return {name: str(value) for name, value in asked.items() if value and value != usual.get(name)}


def _train_options(config: RunConfig) -> dict[str, str]:
    """What `fercache train` needs beyond source, head, seeds and settings to train the run again."""
    split = "" if config.source_split in ("", "train") else f"@{config.source_split}"
    options = {"source": config.source + split, "policy": config.policy}
    if "contempt" in config.expressions:
        options["classes"] = "8"
    if config.label_file:
        options["labels"] = config.label_file
    if config.prompts:
        options["prompts"] = config.prompts
    return options
