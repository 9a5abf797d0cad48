"""One run on one target: logits of every snapshot, predictions, and a record for each selection policy."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from fercache import registry
from fercache.errors import FercacheError
from fercache.identity import key_of, seed_from
from fercache.images.views import RECIPES
from fercache.loading.batches import as_faces
from fercache.loading.run_config import RunConfig
from fercache.loading.runs import LoadedRun
from fercache.loading.targets import Target
from fercache.options.extract import EncoderRequest
from fercache.options.train import LearningOptions
from fercache.policies import UNGUARDED, Sees, SelectionPolicy
from fercache.prompts import BUILT_IN
from fercache.records import (
    ALL,
    MAIN,
    AdaptationRecord,
    MaskRecord,
    Record,
    predictions_path,
    record_files,
    write_record,
)
from fercache.runtime.versions import versions
from fercache.scoring.label_shuffles import label_shuffle_test
from fercache.scoring.metrics import score
from fercache.scoring.selection import choose, policies_of
from fercache.splits import POOL
from fercache.stages._adapting import Adapting
from fercache.stages._measures import measures
from fercache.store.runs import StoredPredictions, write_predictions
from fercache.training import head_logits, in_parts
from fercache.trunks import Faces

Logits = dict[str, dict[str, NDArray[np.float32]]]
"""Snapshot -> readout -> (N, L)."""

SAMPLE = 1000
SHUFFLES = 199

MOST_MASKED = 50_000
"""Faces of a target whose masks are looked at; of a larger target, a sample."""

Masks = Callable[[str], NDArray[np.float32] | None]
"""Snapshot -> (M, D), or None for a head without a mask."""


@dataclass(frozen=True)
class _Scored:
    """A run's outputs on a target; `seconds` is how long they took.

    `masks` are those of the faces `masked` (M,). `adapted` is empty, or by snapshot; an adapted run has no oracle.
    """

    loaded: LoadedRun
    target: Target
    logits: Logits
    masks: Masks
    masked: NDArray[np.int64]
    seconds: float
    adapted: Mapping[str, AdaptationRecord] = field(default_factory=dict)

    def records(self) -> list[Record]:
        """One per selection policy; masks are tested once where policies choose the same snapshot."""
        tested = cache(self._test_masks)
        chosen = {policy: self._choose(policy) for policy in _policies(self.loaded, bool(self.adapted))}
        for snapshot in dict.fromkeys(chosen.values()):
            self._check_finite(snapshot)
        return [self._record(policy, snapshot, tested(snapshot)) for policy, snapshot in chosen.items()]

    def without_duplicates(self) -> "_Scored":
        """The same logits and masks, without the duplicates."""
        assert self.target.duplicate is not None
        kept = ~self.target.duplicate
        logits = {name: {readout: each[kept] for readout, each in of.items()} for name, of in self.logits.items()}

        def masks(snapshot: str) -> NDArray[np.float32] | None:
            every = self.masks(snapshot)
            return None if every is None else every[kept[self.masked]]

        masked = (np.cumsum(kept) - 1)[self.masked[kept[self.masked]]]
        return replace(self, target=self.target.without_duplicates(), logits=logits, masks=masks, masked=masked)

    def _test_masks(self, snapshot: str) -> MaskRecord | None:
        masks, truth = self.masks(snapshot), self.target.faces.truth[self.masked]
        if masks is None or len(np.unique(truth)) < 2:
            return None
        seed = seed_from("masks", self.loaded.config.key, self.target.table.clean_key, str(self.target.name))
        distance, null, p = label_shuffle_test(masks, truth, seed=seed, shuffles=SHUFFLES)
        return MaskRecord(distance=distance, null=null, p=p, shuffles=SHUFFLES)

    def _check_finite(self, snapshot: str) -> None:
        if not np.isfinite(self.logits[snapshot][MAIN]).all():
            name, folder = self.loaded.config.name, self.loaded.run.folder
            raise FercacheError(
                f"{name}: training diverged: the logits of snapshot {snapshot} on {self.target.name} are not finite. "
                f"Delete {folder} and train with a lower learning rate."
            )

    def _choose(self, policy: str) -> str:
        """The snapshot that a selection policy chooses; only the oracle gets the scores on the target."""
        run, config, target = self.loaded.run, self.loaded.config, self.target
        if policy != SelectionPolicy.ORACLE:
            return self.loaded.chosen(policy)
        on_target = {
            name: score(of[MAIN], target.faces.truth, config.expressions, known=target.known).accuracy
            for name, of in self.logits.items()
        }
        return choose(policy, run.history, config.rows_chosen_by, target_accuracy=on_target)

    def _record(self, policy: str, snapshot: str, mask: MaskRecord | None) -> Record:
        loaded, target, config = self.loaded, self.target, self.loaded.config
        adaptation = self.adapted.get(snapshot)
        settings = config.settings | ({"crops": config.crop_side} if config.crop_side else {})
        return Record(
            run=config.name,
            method_key=_method_key(config, adaptation),
            encoder=config.encoder,
            encoder_key=key_of(config.encoder_identity),
            head=config.head,
            trunk=config.trunk,
            settings=settings,
            not_default=_not_default(config.head, settings),
            source=config.source,
            target=str(target.name.whole),
            target_split=target.name.split or ALL,
            seed=config.seed,
            key_version=config.key_version,
            seeded=loaded.head.seeded,
            sees=_sees(policy, target, adaptation),
            adaptation=adaptation,
            few=target.few,
            selection=policy,
            snapshot=snapshot,
            policy=target.vote_policy,
            duplicates=None if target.duplicate is None else int(target.duplicate.sum()),
            without_duplicates=target.unique,
            classes=tuple(config.expressions),
            mask=mask,
            kept=len(target.faces.truth),
            dropped=dict(target.faces.dropped),
            seen_by_encoder=any(each.by == "encoder" for each in target.seen),
            seen=target.seen,
            not_compared=target.not_compared,
            drift=target.drift,
            keys={**_keys(config), "target": target.table.clean_key},
            versions=versions(),
            device=loaded.device,
            seconds=round(config.seconds + self.seconds, 3),
            options={"extract": _extract_options(config), "train": _train_options(config)},
            **measures(
                self.logits[snapshot],
                target.faces,
                config.expressions,
                known=target.known,
                temperature=loaded.temperature(snapshot),
            ),
        )


def _sees(policy: str, target: Target, adaptation: AdaptationRecord | None) -> str:
    if policy == SelectionPolicy.ORACLE:
        return Sees.ORACLE
    if target.few is not None and target.few.here:
        return f"{target.few.labels} labels"
    return Sees.NOTHING if adaptation is None else Sees.UNLABELLED


def score_adapted(loaded: LoadedRun, target: Target, adapting: Adapting) -> list[Path]:
    """As `score_run`, for the run adapted to the target: without the oracle, masks, and a search for duplicates."""
    start = time.perf_counter()
    faces = as_faces(target.faces, target.crops, loaded.device)
    logits: Logits = {}
    adapted: dict[str, AdaptationRecord] = {}
    for snapshot in dict.fromkeys(loaded.chosen(policy) for policy in _policies(loaded, adapted=True)):
        loaded.load_snapshot(snapshot)
        change, declined = adapting.of(partial(head_logits, loaded.head))
        adapted[snapshot] = AdaptationRecord(name=adapting.name, faces=len(adapting.faces), declined=declined)
        found = _snapshot_logits(loaded, snapshot, change.faces(faces))
        logits[snapshot] = {readout: each + change.offset.cpu().numpy() for readout, each in found.items()}
    seconds = time.perf_counter() - start
    masked = np.arange(0)
    scored = _Scored(loaded, target, logits, lambda _: None, masked=masked, seconds=seconds, adapted=adapted)
    written = []
    for record in scored.records():
        _write_predictions(scored, record)
        written.append(write_record(loaded.run.folder, record))
    return written


def _policies(loaded: LoadedRun, adapted: bool) -> list[str]:
    every = policies_of(loaded.run.history)
    return [policy for policy in every if not adapted or policy != SelectionPolicy.ORACLE]


def _method_key(config: RunConfig, adaptation: AdaptationRecord | None) -> str:
    if adaptation is None:
        return config.method_key
    origin = registry.origin("adaptations", adaptation.name.removesuffix(UNGUARDED))
    code = {"code": origin.identity} if origin else {}
    return key_of({"method": config.method_key, "adaptation": adaptation.name, **code})


def score_run(loaded: LoadedRun, target: Target) -> list[Path]:
    """Writes a record and its predictions for every selection policy; returns the records' paths."""
    start, folder = time.perf_counter(), loaded.run.folder
    faces = as_faces(target.faces, target.crops, loaded.device)
    logits = {name: _snapshot_logits(loaded, name, faces) for name in loaded.snapshots}
    seconds = time.perf_counter() - start
    for earlier in record_files(folder, target.name, target.name.split, unique=True):
        earlier.unlink()  # it was about other faces, or other duplicates
    masked = _sample(target, len(faces), MOST_MASKED)
    some = faces if len(masked) == len(faces) else faces.rows(torch.from_numpy(masked))
    masks = cache(lambda snapshot: _masks(loaded, snapshot, some))
    scored = _Scored(loaded, target, logits, masks, masked=masked, seconds=seconds)
    written = []
    for record in scored.records():
        _write_predictions(scored, record)
        written.append(write_record(folder, record))
    if target.duplicate is not None and target.duplicate.any() and not target.duplicate.all():
        written += [write_record(folder, record) for record in scored.without_duplicates().records()]
    return written


@torch.inference_mode()
def _snapshot_logits(loaded: LoadedRun, snapshot: str, faces: Faces) -> dict[str, NDArray[np.float32]]:
    loaded.load_snapshot(snapshot)
    parts = [{MAIN: loaded.head.logits(part), **loaded.head.readouts(part)} for part in in_parts(faces)]
    return {name: torch.cat([part[name] for part in parts]).float().cpu().numpy() for name in parts[0]}


@torch.inference_mode()
def _masks(loaded: LoadedRun, snapshot: str, faces: Faces) -> NDArray[np.float32] | None:
    loaded.load_snapshot(snapshot)
    parts = [mask.float().cpu().numpy() for part in in_parts(faces) if (mask := loaded.head.mask(part)) is not None]
    return np.concatenate(parts) if parts else None


def _sample(target: Target, faces: int, most: int) -> NDArray[np.int64]:
    """The rows of at most `most` of the target's faces, in order."""
    generator = np.random.default_rng(seed_from("sample", target.table.clean_key, target.name.split))
    return np.sort(generator.permutation(faces)[:most])


def _write_predictions(scored: _Scored, record: Record) -> None:
    loaded, target = scored.loaded, scored.target
    masks, truth = scored.masks(record.snapshot), target.faces.truth
    sample = _sample(target, len(truth), SAMPLE)
    shown = truth[scored.masked]
    mean_mask = None if masks is None else _mean_per_expression(masks, shown, len(loaded.config.expressions))
    predictions = StoredPredictions(
        expressions=tuple(loaded.config.expressions),
        id=target.faces.id,
        truth=truth,
        logits=scored.logits[record.snapshot],
        sample=sample,
        features=target.faces.features[sample].astype(np.float16),
        mask_mean=mean_mask,
        subject=target.faces.subject,
    )
    attributes = {"run": loaded.config.name, "target": str(target.name), "snapshot": record.snapshot}
    write_predictions(predictions_path(loaded.run.folder, record), predictions, attributes)


def _mean_per_expression(masks: NDArray[np.float32], truth: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """(L, D) mean masks; NaN for an expression without faces in the target."""
    means = np.full((count, masks.shape[1]), np.nan, dtype=np.float32)
    for expression in np.unique(truth):
        means[expression] = masks[truth == expression].mean(axis=0)
    return means


def _keys(config: RunConfig) -> dict[str, str]:
    """The keys of everything that may differ between runs of one name: data, weights, kernels, prompts, plugins."""
    encoder = config.encoder_identity
    kernels = encoder.get("preprocessing", {}).get("kernels")
    found = {"weights": encoder.get("weights_sha256"), "kernels": kernels, "prompts": config.prompts_key}
    found |= {"encoder code": encoder.get("plugin", {}).get("sha256")}
    found |= {"head code": config.head_from and config.head_from.sha256}
    found |= {"trunk code": config.trunk_from and config.trunk_from.sha256}
    present = {name: str(key) for name, key in found.items() if key}
    return {"run": config.key, "source": config.source_key, **present}


def _not_default(head: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings that differ from the head's defaults for its trunk."""
    plugin = registry.load("heads", head)
    trunk = {name: value for name, value in settings.items() if name == "trunk"}
    try:
        defaults = plugin.Settings.model_validate(trunk).model_dump(mode="json")
    except ValidationError:  # a head from outside with a required setting
        defaults = trunk
    return tuple(name for name, value in settings.items() if name not in defaults or value != defaults[name])


def _extract_options(config: RunConfig) -> dict[str, str]:
    """The options of `fercache extract`, except the dataset, that reproduce the features."""
    precision = config.encoder_identity.get("precision", "auto")
    request = EncoderRequest.of(config.encoder_request, precision=precision).model_dump()
    asked = {"encoder": request.pop("name"), **request}
    if config.views:
        recipe = config.settings["recipe"]
        asked |= {"views": config.views, "recipe": recipe if recipe in RECIPES else f"{recipe}.toml"}
    asked["crops"] = config.crop_side
    if config.prompts not in (None, *BUILT_IN):  # built-in sets are always embedded
        asked["prompts"] = _prompts_option(config)
    usual = EncoderRequest().model_dump()
    return {name: str(value) for name, value in asked.items() if value and value != usual.get(name)}


def _train_options(config: RunConfig) -> dict[str, str]:
    """The options of `fercache train`, except head, seeds and settings, that reproduce the run."""
    splits = {part.name: "" if part.split in ("", "train") else f"@{part.split}" for part in config.parts}
    options = {"source": POOL.join(name + split for name, split in splits.items()), "policy": str(config.votes)}
    for name, option in LearningOptions.model_fields.items():
        value = getattr(config, name)
        if name != "votes" and value != option.default:
            options[name.replace("_", "-")] = "" if value is True else str(value)
    if config.prompts:
        options["prompts"] = _prompts_option(config)
    return options


def _prompts_option(config: RunConfig) -> str:
    """`--prompts`: a built-in set's name, or a user's file."""
    return str(config.prompts) if config.prompts in BUILT_IN else f"{config.prompts}.toml"
