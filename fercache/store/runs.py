"""Runs: configuration, history and weights from training, and predictions."""

import csv
import hashlib
import io
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fercache.errors import UsageError, nearest
from fercache.identity import canonical_json, file_hash
from fercache.store.atomic import (
    entries,
    explained,
    sync_file,
    sync_folder,
    temporary_beside,
    write_json,
)
from fercache.store.run_files import CONFIG, FILES, HISTORY, WEIGHTS, RunFiles
from fercache.store.schema import SCHEMA
from fercache.store.sealed import Attribute, FileKind, SealedFile, opened, save_sealed

_DONE = "done"
_TRAIN = "fercache train"

_log = logging.getLogger(__name__)

PREDICTIONS = FileKind("file of predictions", "fercache evaluate --run NAME --target NAME")
_LOGITS = "logits/"


@dataclass(frozen=True)
class Run:
    """A finished run: its configuration and one row of `history` per epoch; weights are read on demand.

    Everything read is checked against the hashes that training wrote; UsageError if it has changed.
    """

    folder: Path
    config: dict[str, Any]
    history: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """encoder-source-head-trunk-seed-key8."""
        return self.folder.name

    def snapshots(self) -> tuple[str, ...]:
        """The names of the snapshots, in order of training."""
        with _weights(self.folder) as weights:
            return _names(weights)

    def snapshot(self, name: str) -> dict[str, NDArray[Any]]:
        """The tensors of one snapshot by name. Raises UsageError for an unknown one."""
        with _weights(self.folder) as weights:
            names = _names(weights)
            if name not in names:
                raise UsageError(f"Run {self.name} has no snapshot '{name}'. {nearest(name, names)}")
            stored = {key: key for key in weights.keys()} | _repeated(weights)  # noqa: SIM118
            prefix = f"{name}/"
            return {k.removeprefix(prefix): weights.get_tensor(of) for k, of in stored.items() if k.startswith(prefix)}


@dataclass(frozen=True)
class StoredPredictions:
    """N scored target faces and L expressions. Raises ValueError if shapes or types do not fit together.

    `id` (N,) str objects; `truth` (N,) int64, index into `expressions`; `logits` readout -> (N, L) float32, with the
    head's own readout named "main"; `sample` (S,) int64, the rows whose `features` (S, D) float16 are kept; `mask_mean`
    (L, D) float32, the mean mask per true expression, or None; `subject` (N,) str objects, "" if unknown, or None.
    """

    expressions: tuple[str, ...]
    id: NDArray[np.object_]
    truth: NDArray[np.int64]
    logits: dict[str, NDArray[np.float32]]
    sample: NDArray[np.int64]
    features: NDArray[np.float16]
    mask_mean: NDArray[np.float32] | None
    subject: NDArray[np.object_] | None = None

    def __post_init__(self) -> None:
        rows, width = self.truth.shape, self.features.shape[1:]
        expected: dict[str, tuple[str, tuple[int, ...]]] = {
            "id": ("|O", rows),
            "subject": ("|O", rows),
            "truth": ("<i8", rows),
            "sample": ("<i8", self.sample.shape[:1]),
            "features": ("<f2", self.sample.shape[:1] + width[:1]),
            "mask_mean": ("<f4", (len(self.expressions), *width)),
        }
        for name, array in self.arrays().items():
            dtype, shape = expected.get(name, ("<f4", (*rows, len(self.expressions))))
            if array.dtype.str != dtype or array.shape != shape or len(rows) != 1:
                raise ValueError(
                    f"'{name}' has shape {array.shape} and type {array.dtype}, expected {shape} and {dtype}"
                )
        for name, numbers, limit in (("truth", self.truth, len(self.expressions)), ("sample", self.sample, rows[0])):
            if numbers.size and not 0 <= numbers.min() <= numbers.max() < limit:
                raise ValueError(f"'{name}' holds numbers outside 0 to {limit - 1}")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by their names in the file."""
        plain = {"id": self.id, "truth": self.truth, "sample": self.sample, "features": self.features}
        optional = {"mask_mean": self.mask_mean, "subject": self.subject}
        there = {name: array for name, array in optional.items() if array is not None}
        return plain | there | {f"{_LOGITS}{readout}": array for readout, array in self.logits.items()}


def write_run(folder: Path, files: RunFiles) -> Path:
    """Writes a run under a temporary name, `done` last, and renames the folder. A finished run is never replaced.

    Raises FercacheError if the disk is full.
    """
    temporary = temporary_beside(folder)
    try:
        with explained(folder):
            temporary.mkdir(parents=True)
            for name, data in files.items():
                _write_file(temporary / name, data)
            sums = {name: file_hash(temporary / name) for name in FILES}
            write_json(temporary / _DONE, {"schema": SCHEMA, "sha256": sums})
            _move_in(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def read_run(folder: Path) -> Run:
    """Reads a run. Raises UsageError if it is absent, has no `done`, is damaged, changed or of a newer schema."""
    if not folder.is_dir():
        raise UsageError(f"There is no run at {folder}. Train one with `{_TRAIN}`, or see `fercache list runs`.")
    if not is_finished(folder):
        raise UsageError(f"{folder} is not a finished run: it has no '{_DONE}'. {_again(folder)}")
    config, history = (_unchanged(folder / name) for name in (CONFIG, HISTORY))
    return Run(folder, _parse_json(folder / CONFIG, config), _parse_history(folder / HISTORY, history))


def is_finished(folder: Path) -> bool:
    """Whether `folder` is a complete run."""
    return folder.suffix != ".tmp" and (folder / _DONE).is_file()


def find_runs(cache: Path) -> list[Path]:
    """The folders of the finished runs, sorted by name; one that cannot be read is skipped with a warning."""
    found = []
    for folder in entries(cache / "runs"):
        try:
            found += [folder] if is_finished(folder) else []
        except OSError as error:
            _log.warning("Skipped: cannot read %s: %s", folder, error.strerror)
    return found


def changed_files(folder: Path) -> list[str]:
    """The files of a finished run that are missing or changed. Raises UsageError if `done` is damaged."""
    sums = _sums(folder)
    return [name for name in sorted(sums) if not (folder / name).is_file() or _hash_once(folder / name) != sums[name]]


def write_predictions(path: Path, predictions: StoredPredictions, attributes: Mapping[str, Any]) -> Path:
    """Writes predictions atomically, with `attributes` (run, target, snapshot, keys ...) as JSON."""
    described: dict[str, Attribute] = {
        "expressions": canonical_json(predictions.expressions),
        "attributes": canonical_json(attributes),
    }
    return save_sealed(path, PREDICTIONS, described, arrays=predictions.arrays())


def read_predictions(path: Path) -> StoredPredictions:
    """Raises UsageError if the file is absent, damaged, of a newer schema, or was copied from another run."""
    with opened(path, PREDICTIONS) as file:
        _refuse_another_run(path, file)
        arrays = file.arrays()
        logits = {name.removeprefix(_LOGITS): arrays[name] for name in arrays if name.startswith(_LOGITS)}
        plain = {name: arrays[name] for name in ("id", "truth", "sample", "features")}
        expressions = file.names("expressions")
        masks, subject = arrays.get("mask_mean"), arrays.get("subject")
        return StoredPredictions(expressions, logits=logits, mask_mean=masks, subject=subject, **plain)


@dataclass(frozen=True)
class Answers:
    """The answers of one readout, for N faces sorted by `id`: (N,) ids, subjects, `truth`, `logits` of `expressions`.

    `subject` is None if no subject is known.
    """

    expressions: tuple[str, ...]
    id: NDArray[np.object_]
    truth: NDArray[np.int64]
    subject: NDArray[np.object_] | None
    logits: NDArray[np.float32]


Shared = dict[str, NDArray[Any]]
"""Columns by their checksum: runs on one target have the same ids, true expressions and subjects."""


def read_answers(path: Path, readout: str, shared: Shared) -> Answers:
    """One readout of predictions, without their features. Columns in `shared` are taken from there.

    Raises UsageError as `read_predictions`, and for an unknown readout.
    """
    with opened(path, PREDICTIONS) as file:
        _refuse_another_run(path, file)
        if f"{_LOGITS}{readout}" not in file.slots:
            again = "Run `fercache evaluate --again` to score the run again."
            raise UsageError(f"{path} holds no predictions of the readout '{readout}'. {again}")
        place = f"order {file.checksum('id')}"
        if place not in shared:
            shared[place] = np.argsort(file.array("id"))
        order = shared[place]

        def column(name: str) -> NDArray[Any]:
            key = f"{name} {file.checksum(name)} by {place}"
            if key not in shared:
                shared[key] = file.array(name)[order]
            return shared[key]

        subject = column("subject") if "subject" in file.slots else None
        logits = file.array(f"{_LOGITS}{readout}")[order]
        return Answers(file.names("expressions"), column("id"), column("truth"), subject=subject, logits=logits)


def _refuse_another_run(path: Path, file: SealedFile) -> None:
    run, place = file.mapping("attributes").get("run"), path.parent.parent.name
    if run not in (None, place):
        raise ValueError(f"it belongs to the run {run}, but is in the folder of {place}")


def _move_in(temporary: Path, folder: Path) -> None:
    # Renaming cannot replace a folder that is not empty.
    if not is_finished(folder):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            temporary.rename(folder)
        except OSError:
            if not is_finished(folder):  # else another process finished the same run first
                raise
    sync_folder(folder.parent)


def _write_file(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    sync_file(path)


def _parse_history(path: Path, data: bytes) -> list[dict[str, Any]]:
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode())))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is not CSV: {error}. {_again(path.parent)}") from error
    return [{_named_as_today(name): _parse_cell(cell) for name, cell in row.items()} for row in rows]


def _named_as_today(column: str) -> str:
    """Runs of earlier versions have `validation_uar` for `validation_mean_class_recall`."""
    return re.sub("_uar$", "_mean_class_recall", column)


def _parse_cell(cell: Any) -> Any:
    for parse in (int, float):
        with suppress(ValueError, TypeError):
            return parse(cell)
    return cell or None


@contextmanager
def _weights(folder: Path) -> Iterator[Any]:
    path = folder / WEIGHTS
    try:
        _refuse_changed(path, _hash_once(path))
        with safe_open(path, framework="numpy") as weights:
            yield weights
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"Cannot read {path}: {error}. {_again(folder)}") from error


def _hash_once(path: Path) -> str:
    """Cached per state of the file: a run of a pixel trunk has hundreds of megabytes."""
    found = path.stat()
    return _hash_of_state(path, found.st_size, found.st_mtime_ns)


@cache
def _hash_of_state(path: Path, size: int, written: int) -> str:
    return file_hash(path)


def _names(weights: Any) -> tuple[str, ...]:
    about = json.loads((weights.metadata() or {})["snapshots"])
    return tuple(about["names"] if isinstance(about, dict) else about)


def _repeated(weights: Any) -> dict[str, str]:
    """References of tensors that are stored once."""
    about = json.loads((weights.metadata() or {})["snapshots"])
    return dict(about["repeated"]) if isinstance(about, dict) else {}


def _unchanged(path: Path) -> bytes:
    """A run's file as training wrote it. Raises UsageError if it is missing or changed."""
    data = _read(path)
    _refuse_changed(path, hashlib.sha256(data).hexdigest())
    return data


def _refuse_changed(path: Path, found: str) -> None:
    expected = _sums(path.parent)[path.name]
    if found != expected:
        raise UsageError(
            f"{path} has changed since training wrote it: expected SHA-256 {expected[:12]}..., found {found[:12]}... . "
            f"{_again(path.parent)}"
        )


def _sums(folder: Path) -> dict[str, str]:
    """The hashes of a run's files. Raises UsageError if `done` lacks them, or is of a newer schema."""
    path = folder / _DONE
    done = _parse_json(path, _read(path))
    if isinstance(done.get("schema"), int) and done["schema"] > SCHEMA:
        raise UsageError(f"{folder} is of schema {done['schema']}. Upgrade: pip install --upgrade fercache.")
    sums = done.get("sha256")
    if not isinstance(sums, dict) or {name for name, sum in sums.items() if isinstance(sum, str)} != set(FILES):
        raise UsageError(f"{path} does not hold the hashes of {', '.join(FILES)}. {_again(folder)}")
    return sums


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}. {_again(path.parent)}") from error


def _parse_json(path: Path, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}. {_again(path.parent)}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no settings. {_again(path.parent)}")
    return found


def _again(folder: Path) -> str:
    return f"Delete {folder} and run the same `{_TRAIN}` again."
