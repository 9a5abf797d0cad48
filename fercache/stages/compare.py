"""records -> tables and the page."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from fercache.errors import UsageError
from fercache.records import Record, find_records, read_record
from fercache.reporting.page import write_report
from fercache.reporting.pair import Pair, compare_pair, flips_frame
from fercache.reporting.tables import csv_text
from fercache.settings import Settings
from fercache.stages.thumbnails import pictures_of
from fercache.store.runs import find_runs, is_finished
from fercache.store.tables import find_tables


def compare(
    settings: Settings,
    runs: Sequence[str] = (),
    name: str = "latest",
    *,
    baseline: str | None = None,
    about: str = "",
    selections: Sequence[str] = (),
    thumbnails: bool = False,
    class_mix: Mapping[str, float] | None = None,
) -> tuple[Path, list[Record]]:
    """Writes `reports/<name>/`; returns the page and the records it shows (of `runs` and `selections`, default all).

    With a `baseline`, a head's or a run's name, also the paired differences of all other methods to it. `about` is
    shown at the top. Pictures of drawn faces are always shown, those of real ones only with `thumbnails`. With a
    `class_mix`, shares by expression that add up to 1, also the accuracy that there would be in that mix. Raises
    UsageError when there is nothing to compare.
    """
    records = _chosen(_records_of(settings, runs), selections)
    page = write_report(
        records,
        settings.report(name),
        settings.cache,
        pictures=pictures_of(settings, thumbnails),
        baseline=baseline,
        about=about,
        thumbnails=thumbnails,
        class_mix=class_mix,
    )
    return page, records


def compare_two(settings: Settings, runs: tuple[str, str], name: str = "latest") -> tuple[Path, Pair]:
    """What differs between two runs, and by how much on which target; `flips.csv`, beside the page, has the faces.

    Returns that file. Raises UsageError for a run without records.
    """
    first, second = (_records_of(settings, [run]) for run in runs)
    pair = compare_pair(first, second, settings.cache)
    path = settings.report(name) / "flips.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(csv_text(flips_frame(pair)), encoding="utf-8", newline="\n")
    return path, pair


def _records_of(settings: Settings, runs: Sequence[str]) -> list[Record]:
    there = find_records(settings.cache)
    for run in runs:
        if not any(_is_of(path, run) for path in there):
            close = get_close_matches(run, {path.parent.parent.name for path in there}, n=1)
            meant = f" Did you mean {close[0]}?" if close else ""
            raise UsageError(
                f"There are no records of a run '{run}'.{meant} `fercache list runs` names the runs; a run goes by its "
                "name or by the key at its end."
            )
    paths = [path for path in there if not runs or any(_is_of(path, run) for run in runs)]
    if not paths:
        raise UsageError(f"There are no records in {settings.cache / 'runs'}. {_what_is_missing(settings)}")
    _refuse_unfinished({path.parent.parent for path in paths})
    return [read_record(path) for path in paths]


def _what_is_missing(settings: Settings) -> str:
    """Why there are no records."""
    from fercache.stages.run_config import read_config
    from fercache.stages.unscored import nothing_to_score  # loads torch, which a report needs nowhere else

    runs = find_runs(settings.cache)
    if not runs:
        return "There are no finished runs either. Run: fercache train"
    reason = nothing_to_score([read_config(run)[1] for run in runs], find_tables(settings.cache))
    return reason or "Run: fercache evaluate"


def _chosen(records: list[Record], selections: Sequence[str]) -> list[Record]:
    chosen = [record for record in records if not selections or record.selection in selections]
    if not chosen:
        there = ", ".join(sorted({record.selection for record in records}))
        raise UsageError(f"No record has the selection {' or '.join(selections)}. There are records of: {there}.")
    return chosen


def _refuse_unfinished(folders: Iterable[Path]) -> None:
    """Records of a run that is not whole are about weights that may be others. Imported ones have no run."""
    for folder in sorted(folders):
        if (folder / "config.json").exists() and not is_finished(folder):
            raise UsageError(
                f"{folder} has records, but is no finished run: it has no file 'done'. Delete it and run the same "
                "`fercache train` and `fercache evaluate` again."
            )


def _is_of(record: Path, wanted: str) -> bool:
    run = record.parent.parent.name
    return run == Path(wanted).name or run.endswith("-" + wanted)
