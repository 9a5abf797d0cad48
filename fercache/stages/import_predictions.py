"""A CSV file of any model's predictions -> records beside those of runs."""

import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import DatasetName, check_domain, source_names, source_slug
from fercache.errors import UsageError, check_file_name, check_length
from fercache.expressions import EXPRESSIONS, canonical
from fercache.identity import file_hash, key_of
from fercache.layouts.own_lists import named_rows
from fercache.loading.labelled_faces import Labelling
from fercache.loading.provenance import Provenance
from fercache.loading.run_config import SourcePart
from fercache.loading.tables import find_table, holds
from fercache.loading.targets import Target, read_target
from fercache.options.import_predictions import ImportRequest
from fercache.records import ALL, IMPORTED, MAIN, Record, predictions_path, read_records, record_path, write_record
from fercache.runtime.versions import versions
from fercache.settings import Settings
from fercache.splits import POOL
from fercache.stages._measures import measures
from fercache.store.runs import StoredPredictions, write_predictions
from fercache.store.tables import FeatureTable, find_tables, read_table

if TYPE_CHECKING:
    import pandas as pd

ID, MODEL = "id", "model"
SUM_TOLERANCE = 1e-2
"""How far a row of probabilities may be from adding up to 1, for rounding in the file."""


Logits = dict[str, NDArray[np.float32]]


def import_predictions(settings: Settings, request: ImportRequest) -> list[Path]:
    """Writes a record and the predictions of each model in the file; returns the records' paths.

    The file is a CSV with a column `id`, a column per expression of logits or probabilities, and optionally `model`.
    Raises UsageError for an unreadable file, unknown or missing ids, and a target that is not extracted.
    """
    models = _by_model(request, _read(request.file))
    name = DatasetName.parse(request.target)
    table = read_table(_labels_of(settings, name))
    provenance = Provenance(find_tables(settings.cache), cache(read_table))
    read = [
        _read_one(request, model, part, table=table, name=name, provenance=provenance) for model, part in models.items()
    ]
    for _, record, _ in read:
        _print_replaced(settings, record)
    return [_write_one(settings, *each) for each in read]


def _by_model(request: ImportRequest, rows: "pd.DataFrame") -> "dict[str, pd.DataFrame]":
    """The lines of each model. Raises UsageError for a missing or unsuitable model name."""
    if MODEL not in rows:
        if not request.model:
            raise UsageError(f"{request.file} has no column '{MODEL}'. Name the model: --model NAME.")
        _check_model(request.model, "--model")
        return {request.model.strip(): rows}
    for line, model in rows[MODEL].drop_duplicates().items():
        _check_model(model, f"{request.file}, line {line}")
    return dict(list(rows.groupby(rows[MODEL].str.strip())))


def _check_model(text: str, place: str) -> None:
    """Raises UsageError for a name that would break a table's line."""
    if not text.isprintable() or not text.strip():
        raise UsageError(f"{place}: {text!r} is not a model name. Write one line of printable characters.")
    check_length(f"{place}: the model's name", text)


def _labels_of(settings: Settings, name: DatasetName) -> Path:
    """A table with the target's labels; they are the same for all encoders, so any table will do."""
    there = next((table for table in find_tables(settings.cache) if holds(table, name)), None)
    return (there or find_table(settings.cache, str(name), None)).path


def _read_one(
    request: ImportRequest,
    model: str,
    rows: "pd.DataFrame",
    table: FeatureTable,
    name: DatasetName,
    provenance: Provenance,
) -> tuple[Target, Record, Logits]:
    """The target, record and logits of one model's predictions."""
    sources = source_names(request.source)
    _warn_of_unknown(sources)
    column_of = {canonical(column): column for column in map(str, rows) if column not in (ID, MODEL)}
    expressions = tuple(sorted(column_of, key=EXPRESSIONS.index))
    trained_on = [SourcePart(name=str(each.whole), split=each.split or "train", key="") for each in sources]
    target = read_target(table, name, Labelling(expressions, request.votes, request.labels), trained_on=trained_on)
    target = provenance.of(target, (), trained_on)
    if not target.known:
        raise UsageError(f"{request.file} and {name} share no expression; {name} has {', '.join(table.classes)}.")
    numbers = rows[[column_of[expression] for expression in expressions]]
    logits = {MAIN: _as_logits(request.file, numbers)[_places(request, rows, table, target=target)]}
    method = {"imported": model, "source": [str(each) for each in sources], "expressions": list(expressions)}
    method |= {"policy": request.votes, "labels": request.labels or ""}
    key = key_of({**method, "seed": request.seed})
    slug = re.sub("[^a-z0-9]+", "-", model.lower()).strip("-") or "model"
    run = f"{IMPORTED}-{source_slug(sources)}-{slug}-{request.seed}-{key[:8]}"
    check_file_name("The run's name", run)
    record = Record(
        run=run,
        method_key=key_of(method),
        encoder=IMPORTED,
        encoder_key="",
        head=model,
        trunk="none",
        settings={},
        source=POOL.join(str(each.whole) for each in sources),
        target=str(target.name.whole),
        target_split=target.name.split or ALL,
        seed=request.seed,
        selection=request.selection,
        snapshot=IMPORTED,
        policy=target.vote_policy,
        classes=expressions,
        kept=len(target.faces.truth),
        dropped=dict(target.faces.dropped),
        seen_by_encoder=False,
        seen=target.seen,
        not_compared=target.not_compared,
        keys={"run": key, "target": table.clean_key, "file": file_hash(request.file)},
        versions=versions(),
        device="unknown",
        seconds=0,
        options={"import-predictions": _options(request, model)},
        **measures(logits, target.faces, expressions, known=target.known),
    )
    return target, record, logits


def _print_replaced(settings: Settings, record: Record) -> None:
    path = record_path(settings.cache / "runs" / record.run, record)
    before, _ = read_records([path])
    if before and before[0].keys != record.keys:
        print(f"{record.head} on {record.target_label}: replaces the earlier import", file=sys.stderr)


def _write_one(settings: Settings, target: Target, record: Record, logits: Logits) -> Path:
    folder = settings.cache / "runs" / record.run
    _write_predictions(predictions_path(folder, record), target, record, logits=logits)
    return write_record(folder, record)


@cache
def _warn_of_unknown(sources: tuple[DatasetName, ...]) -> None:
    """Warns of unknown source names: a model may be trained on any dataset, but the name may be a typo."""
    for name in sources:
        try:
            check_domain(registry.load("datasets", name.family), name.family, name.domain)
        except UsageError as error:
            print(f"warning: --source {name}: {error} The name is kept as given.", file=sys.stderr)


def _write_predictions(path: Path, target: Target, record: Record, logits: Logits) -> None:
    predictions = StoredPredictions(
        expressions=record.classes,
        id=target.faces.id,
        truth=target.faces.truth,
        logits=logits,
        sample=np.empty(0, np.int64),
        features=np.empty((0, 0), np.float16),
        mask_mean=None,
        subject=target.faces.subject,
    )
    write_predictions(path, predictions, {"run": record.run, "target": str(target.name), "snapshot": IMPORTED})


def _options(request: ImportRequest, model: str) -> dict[str, str]:
    """The options that repeat the import."""
    given = {"file": str(request.file), "model": model, "target": request.target, "source": request.source}
    given |= {"seed": str(request.seed), "selection": request.selection, "policy": request.votes}
    return given | ({"labels": request.labels} if request.labels else {})


def _read(file: Path) -> "pd.DataFrame":
    """The file's rows, indexed by line number, with ids as text. Raises UsageError for an unsuitable file."""
    import pandas as pd

    try:
        found = list(named_rows(file, (ID,)))
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {file}.") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}.") from error
    if not found:
        raise UsageError(f"{file} has no lines below its header; expected one per face.")
    rows = pd.DataFrame([cells for _, cells in found], index=[line for line, _ in found]).replace("", None)
    named: dict[str, str] = {}
    for column in (column for column in rows if column not in (ID, MODEL)):
        expression = canonical(str(column))
        if expression in named:
            raise UsageError(f"{file}: the columns {named[expression]} and {column} are both {expression}.")
        named[expression] = str(column)
    if len(named) < 2:
        raise UsageError(f"{file}: expected columns for two or more expressions, found {len(named)}.")
    for expression, column in named.items():
        numbers = pd.to_numeric(rows[column], errors="coerce")
        for line, found in rows[column][~np.isfinite(numbers.to_numpy(float))].items():
            raise UsageError(f"{file}, line {line}: {expression} is '{found}', expected a finite number.")
        rows[column] = numbers
    if MODEL in rows and rows[MODEL].isna().any():
        raise UsageError(f"{file}, line {rows[MODEL].isna().idxmax()}: the model's name is missing.")
    if rows[ID].isna().any():
        raise UsageError(f"{file}, line {rows[ID].isna().idxmax()}: the id is missing.")
    return rows


def _as_logits(file: Path, rows: "pd.DataFrame") -> NDArray[np.float32]:
    """(N, L) logits; probabilities become their logarithms, which a softmax reverses."""
    numbers: NDArray[np.float64] = rows.to_numpy(float)
    sums = numbers.sum(axis=1)
    if numbers.min() < 0 or numbers.max() > 1:
        if numbers.min() >= 0 and np.abs(sums - 100).max() < 1:
            raise UsageError(f"{file}: every line adds up to 100. Write probabilities, which add up to 1, or logits.")
        if np.abs(numbers).max() > np.finfo(np.float32).max:
            raise UsageError(f"{file}: {np.abs(numbers).max():g} is too large for a logit.")
        return numbers.astype(np.float32)
    off = np.abs(sums - 1)
    if off.max() > SUM_TOLERANCE:
        raise UsageError(
            f"{file}, line {rows.index[off.argmax()]}: numbers between 0 and 1 are read as probabilities, but these "
            f"add up to {sums[off.argmax()]:.4g}. Write probabilities of all the model's classes, or logits."
        )
    return np.log(np.maximum(numbers, 1e-12)).astype(np.float32)


def _places(request: ImportRequest, rows: "pd.DataFrame", table: FeatureTable, target: Target) -> NDArray[np.int64]:
    """The rows of the file that hold the target's faces, in the target's order."""
    ids = rows[ID].tolist()
    place = {id: row for row, id in enumerate(ids)}
    if len(place) < len(ids):
        twice = next(id for row, id in enumerate(ids) if place[id] != row)
        raise UsageError(f"{request.file} has the id '{twice}' more than once; every face needs one prediction.")
    unknown = sorted(set(ids) - set(table.columns.id))
    if unknown:
        raise UsageError(
            f"{request.file}: {len(unknown):,} ids are not in {target.name.whole}, such as {_some(unknown)}. "
            f"Its ids look like {_some(target.faces.id)}."
        )
    missing = [id for id in target.faces.id if id not in place]
    if missing:
        raise UsageError(
            f"{request.file}: {len(missing):,} of the {len(target.faces.id):,} scored faces of {target.name} have no "
            f"prediction, such as {_some(missing)}. A score needs a prediction for every face."
        )
    return np.array([place[id] for id in target.faces.id])


def _some(ids: Sequence[str] | NDArray[np.object_]) -> str:
    return ", ".join(f"'{id}'" for id in ids[:3])
