"""Where records lie, and how they are written and read."""

import json
import os
from pathlib import Path

from pydantic import ValidationError

from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.records.fields import ALL, SCHEMA, UNIQUE
from fercache.records.record import Record


def record_path(folder: Path, record: Record) -> Path:
    """Where `record` lies in its run's `folder`: `records/synthetic-webcam@test.source-val.json`."""
    name, unique = _scored(DatasetName.parse(record.target), record.target_split), record.without_duplicates
    return folder / "records" / f"{name}{UNIQUE if unique else ''}.{record.selection}.json"


def record_files(folder: Path, target: DatasetName, split: str, *, unique: bool = False) -> list[Path]:
    """The records in a run's `folder` about a target's `split` ("" is ALL), by name.

    They are of both kinds, with duplicates and without; with `unique`, of the latter alone.
    """
    return sorted((folder / "records").glob(f"{_scored(target, split)}{UNIQUE if unique else ''}.*.json"))


def predictions_path(folder: Path, record: Record) -> Path:
    """Where the predictions that `record` is about lie in its run's `folder`: those without duplicates have none."""
    name = _scored(DatasetName.parse(record.target), record.target_split)
    return folder / "predictions" / f"{name}.{record.selection}.h5"


def _scored(target: DatasetName, split: str) -> str:
    return f"{target.slug}@{split or ALL}"


def write_record(folder: Path, record: Record) -> Path:
    """Writes `record` into its run's `folder` and returns the file. Readers see the old file or the new one, whole."""
    path = record_path(folder, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(record.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8", newline="\n")
    return temporary.replace(path)


def read_record(path: Path) -> Record:
    """The record in `path`. Raises UsageError, which names the file: absent, damaged, of a newer schema, not valid."""
    again = "Delete it and type `fercache evaluate` to score that run again."
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"There is no record {path}. Type `fercache evaluate` to write it.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"The record {path} is damaged: it is not JSON ({error}). {again}") from error
    if not isinstance(document, dict):
        raise UsageError(f"The record {path} is damaged: expected a JSON object. {again}")
    schema = document.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise UsageError(
            f"The record {path} has schema {schema}; this fercache reads up to {SCHEMA}. "
            "Upgrade with `pip install --upgrade fercache`."
        )
    try:
        return Record.model_validate(document)
    except ValidationError as error:
        raise UsageError(f"The record {path} is not valid: {_complaints(error)}. {again}") from error


def _complaints(error: ValidationError) -> str:
    found = []
    for problem in error.errors(include_url=False):
        place = ".".join(map(str, problem["loc"]))
        message = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"].lower()
        plain = isinstance(problem["input"], str | int | float | None)
        value = f", found {problem['input']!r}" if plain and problem["type"] != "extra_forbidden" else ""
        found.append((f"{place}: " if place else "") + message.removeprefix("value error, ") + value)
    return "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")


def find_records(cache: Path) -> list[Path]:
    """Every record file under `cache`, sorted."""
    return sorted((cache / "runs").glob("*/records/*.json"))
