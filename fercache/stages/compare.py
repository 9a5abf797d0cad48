"""records -> tables and the page."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fercache.csv_cells import csv_text
from fercache.errors import UsageError, nearest
from fercache.images.corruptions import EVERY
from fercache.loading.run_names import SeveralMatchError, resolve
from fercache.loading.thumbnails import images_of
from fercache.options.compare import CompareRequest
from fercache.records import Record, find_records, read_records
from fercache.reporting.export.published_rows import rows_of
from fercache.reporting.page import write_report
from fercache.reporting.report import ReportRequest
from fercache.reporting.two_runs import Pair, compare_pair, flips_frame
from fercache.settings import Settings
from fercache.store.atomic import write_text
from fercache.store.runs import find_runs, is_finished
from fercache.store.tables import find_tables

_UNFINISHED = (
    "{} has records, but the run is not finished: it has no file 'done'. Delete it and run the same `fercache train` "
    "and `fercache evaluate` again."
)


def compare(settings: Settings, request: CompareRequest | None = None) -> tuple[Path, list[Record]]:
    """Writes `reports/<name>/`; returns the page and its records.

    Raises UsageError when there are no records, and for a name that no record has.
    """
    asked = request or CompareRequest()
    _check_about(asked.about)
    rows_of(asked.published)  # raises for unknown names
    folder = settings.new_report(asked.name)
    records = _chosen(_records_of(settings, asked.runs), asked)
    baseline = asked.baseline and _as_run(settings, asked.baseline, records)
    shown = ReportRequest(
        images=images_of(settings, asked.thumbnails),
        baseline=baseline,
        about=asked.about,
        thumbnails=asked.thumbnails,
        class_mix=asked.class_mix,
        published=asked.published,
    )
    return write_report(records, folder, settings.cache, request=shown), records


def _check_about(text: str) -> None:
    """Raises UsageError for text that cannot be written in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"--about {text!r} contains invalid characters. Write it in UTF-8.") from None


def compare_two(settings: Settings, request: CompareRequest) -> tuple[Path, Pair] | None:
    """Compares the two runs of a request, target by target, and writes the faces whose prediction changed to
    `flips.csv`.

    Returns that file and the comparison; None unless there are two names, each of one run. Raises UsageError as
    `compare`.
    """
    folders = [_scored(settings, [run]) for run in request.runs]
    if len(folders) != 2 or any(len(each) != 1 for each in folders):
        return None
    first, second = (_chosen(_records_of(settings, [run]), request) for run in request.runs)
    pair = compare_pair(first, second, settings.cache)
    return write_text(settings.report(request.name) / "flips.csv", csv_text(flips_frame(pair))), pair


def _as_run(settings: Settings, baseline: str, records: Sequence[Record]) -> str:
    """A baseline as records name it: a head, or the whole name of a run."""
    if any(baseline == record.head for record in records):
        return baseline
    folders = [settings.cache / "runs" / name for name in dict.fromkeys(record.run for record in records)]
    return resolve(folders, baseline)[0].name


def _scored(settings: Settings, runs: Sequence[str]) -> list[Path]:
    """The folders with records that names stand for. Raises UsageError for a run without records."""
    there = list(dict.fromkeys(path.parent.parent for path in find_records(settings.cache)))
    found: list[Path] = []
    for run in runs:
        try:
            found += resolve(there, run)
        except SeveralMatchError:
            raise
        except UsageError as error:
            unscored = _first(find_runs(settings.cache), run)
            if unscored is None:
                raise UsageError(f"There are no records of a run '{run}'. {error}") from None
            raise UsageError(
                f"There are no records of the run {unscored.name}. Run: fercache evaluate --run {unscored.name}"
            ) from None
    return list(dict.fromkeys(found))


def _first(folders: Sequence[Path], name: str) -> Path | None:
    """The first run that a name stands for; None if it stands for nothing, or for several things."""
    try:
        return resolve(folders, name)[0]
    except UsageError:
        return None


def _records_of(settings: Settings, runs: Sequence[str]) -> list[Record]:
    wanted = set(_scored(settings, runs))
    paths = [path for path in find_records(settings.cache) if not runs or path.parent.parent in wanted]
    if not paths:
        raise UsageError(f"There are no records in {settings.cache / 'runs'}. {_what_is_missing(settings)}")
    errors = {folder: UsageError(_UNFINISHED.format(folder)) for folder in map(_unfinished_run, paths) if folder}
    records, damaged = read_records(path for path in paths if path.parent.parent not in errors)
    if not records:
        raise [*errors.values(), *damaged][0]
    for error in (*errors.values(), *damaged):
        print(f"left out: {error}", file=sys.stderr)
    return records


def _what_is_missing(settings: Settings) -> str:
    """Why there are no records, and the command to run."""
    from fercache.loading.run_config import read_config
    from fercache.loading.unscored import nothing_to_score  # loads torch, which a report needs nowhere else

    runs = find_runs(settings.cache)
    if not runs:
        return "There are no finished runs either. Run: fercache train"
    reason = nothing_to_score([read_config(run)[1] for run in runs], find_tables(settings.cache))
    return reason or "Run: fercache evaluate"


_NAMES_OF: Mapping[str, Callable[[Record], Sequence[str]]] = {
    "source": lambda record: [record.source],
    "head": lambda record: [record.head],
    "target": lambda record: _target_names(record),
    "selection": lambda record: [record.selection],
}
"""What a record can be chosen by, and its names; the usual one first."""


def _chosen(records: list[Record], request: CompareRequest) -> list[Record]:
    """The records with one of the names that are asked for, of each kind."""
    asked = (request.sources, request.heads, request.targets, request.selections)
    chosen, filters = records, list[str]()
    for (what, names_of), wanted in zip(_NAMES_OF.items(), asked, strict=True):
        there = {name for record in chosen for name in names_of(record)}
        if missing := [name for name in wanted if name not in there]:
            known = nearest(missing[0], {names_of(record)[0] for record in chosen})
            beside = f" beside {' '.join(filters)}" if filters else ""
            raise UsageError(f"--{what} {missing[0]}: no record has this {what}{beside}. {known}")
        if wanted:
            chosen = [record for record in chosen if not set(wanted).isdisjoint(names_of(record))]
            filters.append(f"--{what} {','.join(wanted)}")
    return chosen


def _target_names(record: Record) -> list[str]:
    target = record.target
    clean, _, corruption = target.partition("+")
    together = (
        [f"{clean}+{corruption.partition(':')[0]}", f"{clean}+{EVERY}"] if corruption else [clean.partition(":")[0]]
    )
    return [record.target_label, target, f"{target}@{record.target_split}", *together]


def _unfinished_run(record: Path) -> Path | None:
    """The run's folder if the run is unfinished: its weights may have changed since. Imported records have no run."""
    folder = record.parent.parent
    return folder if (folder / "config.json").exists() and not is_finished(folder) else None
