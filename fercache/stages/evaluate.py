"""run x target -> predictions and records."""

import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeAlias

from fercache import registry
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.loading.batches import crops_of, faces_of_split
from fercache.loading.drift import Drifts
from fercache.loading.labelled_faces import Labelling
from fercache.loading.provenance import Provenance
from fercache.loading.run_config import RunConfig, read_config
from fercache.loading.run_names import resolve_all
from fercache.loading.run_summaries import summary_of
from fercache.loading.runs import check_head, load_run
from fercache.loading.source_features import SourceMeans
from fercache.loading.tables import find_table, first_of, goes_by, holds, same_encoder, slug_of
from fercache.loading.targets import read_target, target_split
from fercache.loading.unscored import nothing_to_score, on_other_features, scored_by_default
from fercache.options.evaluate import EvaluateRequest
from fercache.policies import SelectionPolicy
from fercache.records import NewerRecordError, Record, read_records, record_files
from fercache.runtime.devices import resolve_device
from fercache.runtime.progress import progress, shortened
from fercache.scoring.selection import policies_of
from fercache.settings import Settings
from fercache.stages._adapting import Adapting
from fercache.stages._copies import CopySearch
from fercache.stages._source_validation import SourceValidation
from fercache.stages.score import score_adapted, score_run
from fercache.store.in_use import using
from fercache.store.runs import find_runs, read_run
from fercache.store.tables import TableInfo, find_tables, read_table

Job: TypeAlias = tuple[Path, tuple[DatasetName, TableInfo], Collection[str]]
"""A run's folder, a target with its table, and the scores to make: by adaptation, UNADAPTED without one."""

UNADAPTED = ""
MOST_ADAPTED_TO = 100_000
"""Faces of a target that a run is adapted to; of a larger target, a sample."""


def evaluate(settings: Settings, request: EvaluateRequest) -> list[Path]:
    """Scores every run on every target without a record; returns the paths of the new records.

    With `adapt`, also scores runs adapted to the target. Never scores a run on its own training faces.

    Raises UsageError for an unknown run, target or adaptation, when no run can be scored on a requested target, and
    when the cache holds no target at all.
    """
    for wished in request.adapt:
        registry.adaptation(wished)  # raises for an unknown one
    configs, broken = _readable(chosen_runs(settings, request))
    tables = find_tables(settings.cache)
    if not request.targets and (reason := nothing_to_score(list(configs.values()), tables)):
        raise UsageError(reason)
    pairs = [(f, t) for f, config in configs.items() for t in targets_of(settings, request, config, tables=tables)]
    _refuse_unscored_targets(settings, request, [t for _, t in pairs], configs=list(configs.values()), tables=tables)
    _print_other_features(request, list(configs.values()), tables)
    missing, scored = _missing(request, pairs, configs, broken=broken)
    any_scored = bool(scored)
    written: list[Path] = []
    read, load = cache(read_table), lru_cache(maxsize=1)(load_run)  # a run's targets follow one another
    copies = CopySearch(tables, read, resolve_device(request.device))
    provenance, drifts, means = Provenance(tables, read), Drifts(tables, read), SourceMeans(tables, read)
    skipped: list[tuple[str, str]] = []
    needed = [path for folder, (_, info), _ in missing for path in (folder, info.path)]
    with using(settings.cache, needed), progress("evaluate", len(missing), "target") as bar:
        for folder, (name, info), wanted in missing:
            bar.set_postfix_str(shortened(str(name)), refresh=False)
            bar.update()
            if folder in broken:
                continue
            try:
                config = configs[folder]
                labels = Labelling(tuple(config.expressions), config.votes, config.labels)
                target = read_target(read(info.path), name, labels, trained_on=config.parts)
                if config.few_labels is not None:
                    target = provenance.without_labelled(target, config.few_labels)
                if config.crop_side is not None:
                    target = replace(target, crops=crops_of(settings.cache, info, config.crop_side))
            except UsageError as error:
                skipped.append((str(name), str(error)))
                continue
            scored.add(str(name))
            target = provenance.of(target, config.encoder_seen, config.parts)
            target = replace(target, drift=drifts.of(target, config.parts))
            if request.exclude_duplicates:
                target = replace(target, duplicate=copies.of(config, target))
            try:
                loaded = load(folder, request.device)
                written += score_run(loaded, target) if UNADAPTED in wanted else []
                if adaptations := [each for each in request.adapt if each in wanted]:
                    every = faces_of_split(target.table, target.name.split, target.crops, device=loaded.device)
                    faces = every.sample(MOST_ADAPTED_TO)
                    source = means.of(config).to(loaded.device)
                    for each in adaptations:
                        written += score_adapted(loaded, target, Adapting(each, source, faces))
            except UsageError as error:
                broken[folder] = str(error)
    SourceValidation(settings, request.device, read).write_missing(each for each in configs if each not in broken)
    _report_broken(request, broken, any_scored=any_scored or bool(written))
    _report_skipped(request, skipped, scored)
    return written


def _readable(folders: Sequence[Path]) -> tuple[dict[Path, RunConfig], dict[Path, str]]:
    """The configurations of runs whose head can be built, and the reasons why the others cannot be scored."""
    configs: dict[Path, RunConfig] = {}
    broken: dict[Path, str] = {}
    for folder in folders:
        try:
            config = read_config(folder)[1]
            check_head(folder, config)
            configs[folder] = config
        except UsageError as error:
            broken[folder] = str(error)
    if not configs:
        raise UsageError(next(iter(broken.values())))
    return configs, broken


def _missing(
    request: EvaluateRequest,
    pairs: Sequence[tuple[Path, tuple[DatasetName, TableInfo]]],
    configs: Mapping[Path, RunConfig],
    broken: dict[Path, str],
) -> tuple[list[Job], set[str]]:
    """The jobs without records, and the targets that a run was scored on before; adds to the `broken` runs."""
    missing: list[Job] = []
    scored: set[str] = set()
    for folder, target in pairs:
        wanted: Collection[str] = (UNADAPTED, *request.adapt)
        try:
            if not request.again:
                wanted = unscored(folder, target, configs[folder], request=request)
        except UsageError as error:
            broken[folder] = str(error)
        if wanted:
            missing.append((folder, target, wanted))
        else:
            scored.add(str(target[0]))
    return missing, scored


def _report_broken(request: EvaluateRequest, broken: Mapping[Path, str], *, any_scored: bool) -> None:
    """Prints why runs could not be scored. Raises UsageError if they were requested, or if nothing was scored."""
    for folder, reason in broken.items():
        if request.runs or not any_scored:
            raise UsageError(reason)
        print(f"skipped: the run {folder.name}: {reason}", file=sys.stderr)


def _report_skipped(request: EvaluateRequest, skipped: Sequence[tuple[str, str]], scored: Collection[str]) -> None:
    """Prints why targets were skipped. Raises UsageError for a requested target on which no run could be scored."""
    for name, reason in skipped:
        if request.targets and name not in scored:
            raise UsageError(reason)
    for reason in sorted({reason for _, reason in skipped}):
        print(f"skipped: {reason}", file=sys.stderr)


def chosen_runs(settings: Settings, request: EvaluateRequest) -> list[Path]:
    """The requested runs, or all of an encoder. Raises UsageError if there is none."""
    finished = find_runs(settings.cache)
    if not finished:
        raise UsageError(f"There are no finished runs in {settings.cache / 'runs'}. Run: fercache train")
    if request.runs:
        return resolve_all(finished, request.runs)
    if request.encoder is None:
        return finished
    encoder = request.encoder
    fitting = [
        folder for folder in finished if goes_by(summary_of(folder).parts.get("encoder", slug_of(encoder)), encoder)
    ]
    if not fitting:
        raise UsageError(
            f"No finished run uses the encoder {request.encoder}. Run: fercache train --encoder {request.encoder}"
        )
    return fitting


def targets_of(
    settings: Settings, request: EvaluateRequest, config: RunConfig, tables: Sequence[TableInfo]
) -> list[tuple[DatasetName, TableInfo]]:
    """The run's targets, each with its table that was requested last."""
    fitting = [table for table in tables if same_encoder(table.identity["encoder"], config.encoder_identity)]
    names = [DatasetName.parse(target) for target in request.targets] or scored_by_default(fitting)
    holding = [(name, [table for table in fitting if holds(table, name)]) for name in names]
    return [(name, first_of(tables, tables[0], warn=True)) for name, tables in holding if tables]


def _refuse_unscored_targets(
    settings: Settings,
    request: EvaluateRequest,
    found: Sequence[tuple[DatasetName, TableInfo]],
    configs: Sequence[RunConfig],
    tables: Sequence[TableInfo],
) -> None:
    scored = {str(name) for name, _ in found}
    for target in request.targets:
        name = DatasetName.parse(target)
        if str(name) not in scored:
            find_table(settings.cache, target, request.encoder)  # if it was not extracted, raises with the command
            raise UsageError("\n".join(on_other_features(configs, [name], tables)))


def _print_other_features(request: EvaluateRequest, configs: Sequence[RunConfig], tables: Sequence[TableInfo]) -> None:
    names = [DatasetName.parse(target) for target in request.targets] or scored_by_default(tables)
    for sentence in on_other_features(configs, names, tables):
        print(sentence, file=sys.stderr)


def records_on(
    folder: Path, target: tuple[DatasetName, TableInfo], config: RunConfig
) -> tuple[list[Record], list[UsageError]]:
    """A run's records of the target's current table and split, and the errors of unreadable ones.

    Both are empty if the target has no such split.
    """
    name, table = target
    try:
        split = name.split or target_split(table.splits, name, config.parts)
    except UsageError:
        return [], []  # scoring raises the error
    records, errors = read_records(record_files(folder, name, split))
    return [record for record in records if record.keys["target"] == table.clean_key], errors


def unscored(
    folder: Path, target: tuple[DatasetName, TableInfo], config: RunConfig, request: EvaluateRequest
) -> tuple[str, ...]:
    """The scores to make (see `Job`): those without a readable record of the target's current table for every policy.

    Raises UsageError for a record of a newer version, which must not be overwritten.
    """
    records, errors = records_on(folder, target, config)
    for error in errors:
        if isinstance(error, NewerRecordError):
            raise error
    policies = policies_of(read_run(folder).history)
    of_adaptation: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        of_adaptation[record.adaptation.name if record.adaptation else UNADAPTED].append(record)
    whole = _is_whole(of_adaptation[UNADAPTED], policies, request.exclude_duplicates)
    found = [] if whole else [UNADAPTED]
    for name in request.adapt:
        there = {record.selection for record in of_adaptation[name]}
        found += [] if there.issuperset(set(policies) - {SelectionPolicy.ORACLE}) else [name]
    return tuple(found)


def _is_whole(records: Sequence[Record], policies: Sequence[str], exclude_duplicates: bool) -> bool:
    """Whether there is a record for each policy; with `exclude_duplicates`, one without duplicates as well."""
    present = {(r.selection, r.without_duplicates): r for r in records}
    plain = [present.get((policy, False)) for policy in policies]
    if None in plain or not exclude_duplicates:
        return None not in plain
    looked = all(record is not None and record.duplicates is not None for record in plain)
    # Where no face or every face is a duplicate, there is no second score.
    wanted = {policy for policy, r in zip(policies, plain, strict=True) if r and r.duplicates not in (0, r.kept)}
    return looked and all((policy, True) in present for policy in wanted)
