"""Paths of records; writing and reading them."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.records.fields import ALL, SCHEMA, UNIQUE
from fercache.records.record import Record
from fercache.store.atomic import entries, write_text

_LONGEST = 100
"""Characters of a wrong value repeated in a message."""


_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""An escape that may be half a character."""


class NewerRecordError(UsageError):
    """A record of a schema newer than this version; the record itself is fine."""


def record_path(folder: Path, record: Record) -> Path:
    """The path of `record` in its run's `folder`: `records/synthetic-webcam@test.source-val.json`."""
    unique = UNIQUE if record.without_duplicates else ""
    return folder / "records" / f"{_of(record, unique)}.{record.selection}.json"


def record_files(folder: Path, target: DatasetName, split: str, *, unique: bool = False) -> list[Path]:
    """The records in a run's `folder` about a target's `split` ("" is ALL), sorted.

    Both with and without duplicates; with `unique`, only the latter.
    """
    return sorted((folder / "records").glob(f"{_scored(target, split)}{UNIQUE if unique else ''}.*.json"))


def predictions_path(folder: Path, record: Record) -> Path:
    """The path of the predictions of `record` in its run's `folder`; records without duplicates have none."""
    return folder / "predictions" / f"{_of(record)}.{record.selection}.h5"


def _of(record: Record, unique: str = "") -> str:
    scored = _scored(DatasetName.parse(record.target), record.target_split)
    return scored + unique + (f".{record.adaptation.name}" if record.adaptation else "")


def _scored(target: DatasetName, split: str) -> str:
    return f"{target.slug}@{split or ALL}"


def write_record(folder: Path, record: Record) -> Path:
    """Writes `record` atomically into its run's `folder` and returns the file."""
    return write_text(record_path(folder, record), record.model_dump_json(by_alias=True, indent=1) + "\n")


def read_record(path: Path) -> Record:
    """The record in `path`.

    Raises UsageError with the file: absent, damaged, of a newer schema, not valid, or of another run or target.
    """
    again = "Delete it and run `fercache evaluate` to score that run again."
    try:
        data = path.read_bytes()
        document = json.loads(data)
        if _HALF.search(data):
            json.dumps(document, ensure_ascii=False).encode()  # raises for lone surrogates
        if not isinstance(document, dict):
            raise ValueError("expected a JSON object")
        schema = document.get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise NewerRecordError(
                f"The record {path} has schema {schema}; this fercache reads up to {SCHEMA}. "
                "Upgrade with `pip install --upgrade fercache`."
            )
        record = Record.model_validate(document)
    except FileNotFoundError as error:
        raise UsageError(f"There is no record {path}. Run `fercache evaluate` to write it.") from error
    except OSError as error:
        raise UsageError(f"Cannot read the record {path}: {error.strerror or error}.") from error
    except ValidationError as error:
        raise UsageError(f"The record {path} is not valid: {_complaints(error)}. {again}") from error
    except RecursionError as error:
        raise UsageError(f"The record {path} is damaged: it is nested too deeply. {again}") from error
    except ValueError as error:
        raise UsageError(f"The record {path} is damaged: {error}. {again}") from error
    try:
        misplaced = _misplaced(path, record)
    except UsageError as error:
        misplaced = f"has an invalid target: {error}"
    if misplaced:
        raise UsageError(f"The record {path} {misplaced}. {again}")
    return record


def read_records(paths: Iterable[Path]) -> tuple[list[Record], list[UsageError]]:
    """The readable records, and for each other one the reason."""
    records, errors = [], []
    for path in paths:
        try:
            records.append(read_record(path))
        except UsageError as error:
            errors.append(error)
    return records, errors


def _misplaced(path: Path, record: Record) -> str:
    """Why a record is in the wrong place (copied from another run, or renamed), or ""."""
    folder = path.parent.parent
    if record.run != folder.name:
        return f"belongs to the run {record.run}, but is in the folder of {folder.name}"
    name = record_path(folder, record).name
    return "" if path.name == name else f"is about another target or selection: its name would be {name}"


def _complaints(error: ValidationError) -> str:
    found = []
    for problem in error.errors(include_url=False):
        place = ".".join(map(str, problem["loc"]))
        message = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"].lower()
        plain = isinstance(problem["input"], str | int | float | None)
        value = f", found {_shortened(problem['input'])}" if plain and problem["type"] != "extra_forbidden" else ""
        found.append((f"{place}: " if place else "") + message.removeprefix("value error, ") + value)
    return "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")


def _shortened(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."


def find_records(cache: Path) -> list[Path]:
    """Every record file under `cache`, sorted. Raises UsageError for a folder that cannot be read."""
    folders = [run / "records" for run in entries(cache / "runs") if run.is_dir()]
    return [path for folder in folders for path in entries(folder) if path.suffix == ".json"]
