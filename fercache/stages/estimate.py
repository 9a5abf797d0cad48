"""runs x target without labels -> estimated accuracy and mean class recall.

No label of the target is read: its faces are those of the split, labelled or not, and records on it or on anything
related to it are left out.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping
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
from fercache.loading.runs import LoadedRun, check_head, load_run
from fercache.loading.tables import find_run, find_table, same_encoder
from fercache.loading.targets import unseen_split
from fercache.options.estimate import EstimateRequest
from fercache.records import find_records, read_records
from fercache.reporting.estimates import Estimates, estimated
from fercache.reporting.known_domains import (
    Answers,
    described,
    known_domains,
    read_stored,
    validated_by,
    validation_path,
)
from fercache.runtime.progress import progress
from fercache.scoring.calibration import probabilities
from fercache.scoring.estimates import Calibrated, Domain
from fercache.scoring.selection import choose, headline, policies_of
from fercache.scoring.signals import Validated
from fercache.settings import Settings
from fercache.stages._source_validation import SAMPLE, source_of, write_validation
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
    asked = {find_run(list(configs), run) for run in request.runs} or set(configs)
    answering = _answering(settings, name, info, configs=configs, device=request.device)
    if reasons := [answering[folder] for folder in asked if isinstance(answering[folder], str)]:
        for reason in dict.fromkeys(map(str, reasons)):
            if request.runs or len(reasons) == len(asked):
                raise UsageError(reason)
            print(f"skipped: {reason}", file=sys.stderr)
    table = read_table(info.path)
    there = {folder.name: each for folder, each in answering.items() if isinstance(each, _Answering)}
    domains = {each.run: each for each in _domains(table, name, there)}
    records, _ = read_records(find_records(settings.cache))
    by_encoder = known_domains(records, settings.cache)
    keys = sorted({key_of(config.encoder_identity) for config in configs.values()})
    known = [each for key in keys for each in by_encoder.get(key, [])]
    calibrated = cache(lambda images, source: Calibrated(known, images, source))
    found = []
    with progress("estimate", len(domains), "run") as bar:
        for folder in sorted(asked):
            if folder.name in domains:
                domain = domains[folder.name]
                found.append(estimated(domain, calibrated(domain.images, domain.source)))
                bar.update()
    return Estimates(name, tuple(found), tuple(known))


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
        raise UsageError(f"No finished run is on the features of {encoder}. Run: fercache train --encoder {encoder}")
    return found


def _answering(
    settings: Settings, name: DatasetName, info: TableInfo, configs: Mapping[Path, RunConfig], device: str
) -> dict[Path, _Answering | str]:
    """Every run's answers, or the reason why there are none."""
    tables, read = find_tables(settings.cache), cache(read_table)
    drifts = Drifts(tables, read)
    found: dict[Path, _Answering | str] = {}
    with progress("answers", len(configs), "run") as bar:
        for folder, config in configs.items():
            try:
                table, split = read(info.path), unseen_split(info.splits, name, config.parts)
                loaded = load_run(folder, device)
                crops = None if config.crop_side is None else crops_of(settings.cache, info, config.crop_side)
                validated = _validated(settings, loaded)
                faces = faces_of_split(table, split, crops, device=loaded.device)
                logits = head_logits(loaded.head, faces).float().cpu().numpy()
                drift = drifts.of_split(table, split, config.parts)
                classes = tuple(config.expressions)
                answers = Answers(config.name, config.head, config.source, classes=classes, logits=logits, drift=drift)
                found[folder] = _Answering(answers, split, validated)
            except UsageError as error:
                found[folder] = str(error)
            bar.update()
    return found


def _validated(settings: Settings, loaded: LoadedRun) -> Validated | None:
    """Loads the snapshot that methods are compared by; stores its predictions on source validation.

    None if the source is not in the cache.
    """
    history, config = loaded.run.history, loaded.config
    policy = headline([policies_of(history)])
    snapshot = choose(policy, history, config.rows_chosen_by, too_few=config.too_few)
    path = validation_path(loaded.run.folder, policy)
    if (stored := read_stored(path)) is None:
        try:
            write_validation(path, loaded, source_of(settings, config, loaded.device), snapshot=snapshot)
            stored = read_stored(path)
        except UsageError as error:
            print(f"note: {error} Without it, fewer signals are known.", file=sys.stderr)
    loaded.load_snapshot(snapshot)
    if stored is None:
        return None
    shown = probabilities(stored.logits["main"], np.ones(len(config.expressions), dtype=bool))
    return validated_by(shown, stored.truth)


def _domains(table: FeatureTable, name: DatasetName, there: Mapping[str, _Answering]) -> list[Domain]:
    """The runs on the target, described by signals; runs that score another split of it are apart."""
    by_split: dict[str, list[_Answering]] = defaultdict(list)
    for each in there.values():
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
