"""records -> tables and the page."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fercache.errors import UsageError
from fercache.records import Record, find_records, read_record
from fercache.reporting.page import write_report
from fercache.settings import Settings
from fercache.store.runs import is_finished


def compare(settings: Settings, runs: Sequence[str] = (), name: str = "latest") -> tuple[Path, list[Record]]:
    """Writes `reports/<name>/`; returns the page and the records it shows (of `runs`, default all).

    Raises UsageError when there is nothing to compare.
    """
    paths = find_records(settings.cache)
    paths = [path for path in paths if not runs or _is_of(path, runs)]
    _refuse_unfinished({path.parent.parent for path in paths})
    records = [read_record(path) for path in paths]
    if not records:
        of_runs = f" of {', '.join(runs)}" if runs else ""
        raise UsageError(f"There are no records{of_runs} in {settings.cache / 'runs'}. Run: fercache evaluate")
    return write_report(records, settings.report(name), settings.cache), records


def _refuse_unfinished(folders: Iterable[Path]) -> None:
    """Records of a run that is not whole are about weights that may be others. Imported ones have no run."""
    for folder in sorted(folders):
        if (folder / "config.json").exists() and not is_finished(folder):
            raise UsageError(
                f"{folder} has records, but is no finished run: it has no file 'done'. Delete it and run the same "
                "`fercache train` and `fercache evaluate` again."
            )


def _is_of(record: Path, runs: Sequence[str]) -> bool:
    run = record.parent.parent.name
    return any(run == Path(wanted).name or run.endswith("-" + wanted) for wanted in runs)
