"""runs x target without labels -> estimated accuracy and mean class recall.

No label of the target is read: its faces are those of the split, labelled or not, and records on it or on anything
related to it are left out.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.identity import key_of, seed_from
from fercache.loading.batches import crops_of, faces_of_split
from fercache.loading.drift import Drifts
from fercache.loading.provenance import split_rows
from fercache.loading.run_config import RunConfig, read_config
from fercache.loading.run_names import resolve_all
from fercache.loading.runs import LoadedRun, check_head, load_run
from fercache.loading.tables import find_table, same_encoder
from fercache.loading.targets import unseen_split
from fercache.options.estimate import EstimateRequest
from fercache.records import MAIN, find_records, read_records
from fercache.reporting.estimates import Estimates, estimated
from fercache.reporting.known_domains import (
    Answers,
    described,
    known_domains,
    read_stored,
    validated_by,
    validation_path,
)
from fercache.runtime.progress import progress, say_once
from fercache.scoring.calibration import probabilities
from fercache.scoring.estimates import Calibrated, Domain
from fercache.scoring.selection import headline_of
from fercache.scoring.signals import Validated
from fercache.settings import Settings
from fercache.stages._source_validation import SAMPLE, SourceValidation
from fercache.store.runs import find_runs
from fercache.store.schema import CLEAN
from fercache.store.tables import FeatureTable, TableInfo, find_tables, read_table
from fercache.training import head_logits


@dataclass(frozen=True)
class _Answering:
    """A run's answers on a split of the target, and its confidence on source validation, if the source is there."""

    answers: Answers
    split: str
    validated: Validated | None


def estimate(settings: Settings, request: EstimateRequest) -> Estimates:
    """Estimates the scores of runs on a target whose labels, if it has any, are not read.

    Stores the predictions of every run on its source validation, once. Raises UsageError for an unknown run or target,
    and if no run can be used.
    """
    name = DatasetName.parse(request.target)
    info = find_table(settings.cache, request.target, request.encoder)
    configs = _configs(settings, info)
    asked = set(resolve_all(list(configs), request.runs)) or set(configs)
    answering, reasons = _answering(settings, name, info, configs=configs, device=request.device)
    _report_skipped(request, [reasons[folder] for folder in sorted(asked) if folder in reasons], len(asked))
    domains = {each.run: each for each in _domains(read_table(info.path), name, answering)}
    records, _ = read_records(find_records(settings.cache))
    by_encoder = known_domains(records, settings.cache)
    keys = sorted({key_of(config.encoder_identity) for config in configs.values()})
    known = [each for key in keys for each in by_encoder.get(key, [])]
    calibrated = cache(lambda images, source: Calibrated(known, images, source))
    there = [domains[folder.name] for folder in sorted(asked) if folder.name in domains]
    found = []
    with progress("estimate", len(there), "run") as bar:
        for domain in there:
            found.append(estimated(domain, calibrated(domain.images, domain.source)))
            bar.update()
    return Estimates(name, tuple(found), tuple(known))


def _report_skipped(request: EstimateRequest, reasons: Sequence[str], asked: int) -> None:
    """Prints why runs are skipped. Raises UsageError if they were requested, or if none is left."""
    for reason in dict.fromkeys(reasons):
        if request.runs or len(reasons) == asked:
            raise UsageError(reason)
        print(f"skipped: {reason}", file=sys.stderr)


def _configs(settings: Settings, info: TableInfo) -> dict[Path, RunConfig]:
    """The finished runs on the features of a table's encoder, by folder. Raises UsageError if there is none."""
    found = {}
    for folder in find_runs(settings.cache):
        try:
            config = read_config(folder)[1]
            check_head(folder, config)
        except UsageError as error:
            print(f"skipped: the run {folder.name}: {error}", file=sys.stderr)
            continue
        if same_encoder(info.identity["encoder"], config.encoder_identity):
            found[folder] = config
    if not found:
        encoder = info.provenance["encoder"]
        raise UsageError(
            f"No finished run uses the encoder {encoder}. "
            f"Run: fercache train --source SOURCE --head sigmoid-mask --encoder {encoder}"
        )
    return found


def _answering(
    settings: Settings, name: DatasetName, info: TableInfo, configs: Mapping[Path, RunConfig], device: str
) -> tuple[list[_Answering], dict[Path, str]]:
    """The answers of all runs, under the policy that methods are compared by, and why others have none."""
    read = cache(read_table)
    drifts, validation = Drifts(find_tables(settings.cache), read), SourceValidation(settings, device, read)
    found: list[_Answering] = []
    reasons: dict[Path, str] = {}
    with progress("answers", len(configs), "run") as bar:
        for folder, config in configs.items():
            try:
                table, split = read(info.path), unseen_split(info.splits, name, config.parts)
                loaded = load_run(folder, device)
                policy = headline_of(loaded.run.history)
                validated = _validated(validation, loaded, policy)
                loaded.load_snapshot(loaded.chosen(policy))
                crops = None if config.crop_side is None else crops_of(settings.cache, info, config.crop_side)
                faces = faces_of_split(table, split, crops, device=loaded.device)
                logits = head_logits(loaded.head, faces).float().cpu().numpy()
                if not np.isfinite(logits).all():
                    raise UsageError(f"{config.name}: training diverged: its logits on {name} are not finite.")
                answers = Answers(
                    run=config.name,
                    head=config.head,
                    source=config.source,
                    classes=tuple(config.expressions),
                    logits=logits,
                    drift=drifts.of_split(table, split, config.parts),
                )
                found.append(_Answering(answers, split, validated))
            except UsageError as error:
                reasons[folder] = str(error)
            bar.update()
    return found, reasons


def _validated(validation: SourceValidation, loaded: LoadedRun, policy: str) -> Validated | None:
    """The run on its source validation, whose predictions are stored; None if the source is not in the cache."""
    stored = read_stored(validation_path(loaded.run.folder, policy))
    if stored is None:
        try:
            stored = read_stored(validation.write(loaded, policy))
        except UsageError as error:
            say_once(f"note: {error} Without the source, estimates know fewer signals.")
            return None
        assert stored is not None
    shares = probabilities(stored.logits[MAIN], np.ones(len(stored.expressions), dtype=bool))
    return validated_by(shares, stored.truth)


def _domains(table: FeatureTable, name: DatasetName, there: Sequence[_Answering]) -> list[Domain]:
    """The runs on the target, described by signals; runs that score another split of it are apart."""
    by_split: dict[str, list[_Answering]] = defaultdict(list)
    for each in there:
        by_split[each.split].append(each)
    found: list[Domain] = []
    for split, answering in by_split.items():
        rows = np.flatnonzero(split_rows(table, split))
        generator = np.random.default_rng(seed_from("sample", len(rows)))  # a table's key depends on its labels
        sample = np.sort(generator.permutation(len(rows))[:SAMPLE])
        features = table.columns.features[CLEAN][rows[sample]]
        validated = {each.answers.run: each.validated for each in answering if each.validated}
        answers = [each.answers for each in answering]
        found += described(str(name.whole), answers, features, sample=sample, validated=validated)
    return found
