"""Finished feature tables: paths, contents, and rows that can be reused."""

import logging
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError
from fercache.identity import key_of
from fercache.store.asked import NEVER, last_asked
from fercache.store.atomic import entries
from fercache.store.parts import QUARANTINE, Part, parts_of, read_part, read_parts, rows_folder
from fercache.store.rows import Rows, StoredRows, join
from fercache.store.schema import CLEAN, Columns, check_columns, is_view, views_of
from fercache.store.sealed import FileKind, SealedFile, opened

RECIPE = "recipe"
"""The entry of a table's identity for the recipe of its augmented views; absent without such views."""
UNLABELLED = "unlabelled"
"""The entry of a table's identity if its dataset was read without labels; absent otherwise."""
FACES = "faces"
"""The entry of a table's identity for how its faces were found in photographs: detector and alignment."""
TABLE = FileKind("feature table", "fercache extract --dataset NAME --encoder NAME", schema=2)

SMALL = 2**26
"""Bytes of a view's features up to which they are in memory once a table is read: 65,536 faces of the usual 512."""

READ_ONCE = 1024
"""Tables whose attributes are kept in memory: a command looks at all of them many times."""

MOMENT = 50_000_000
"""Nanoseconds that the time of a file may lag behind the clock."""

Stamp = tuple[int, ...]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureTable:
    """A finished table. `classes` name the labels; `quarantined` counts the images left out."""

    path: Path
    key: str
    identity: dict[str, Any]
    provenance: dict[str, Any]
    classes: tuple[str, ...]
    vote_columns: tuple[str, ...]
    columns: Columns
    quarantined: int

    @property
    def has_labels(self) -> bool:
        """Whether any face has a label or a vote."""
        labels = self.columns.label if self.columns.votes is None else self.columns.votes
        return bool((labels >= 0).any())

    @property
    def clean_key(self) -> str:
        """See `clean_key_of`."""
        return clean_key_of(self.identity)


@dataclass(frozen=True)
class TableInfo:
    """The attributes of a finished table."""

    path: Path
    key: str
    identity: dict[str, Any]
    provenance: dict[str, Any]
    rows: int
    views: tuple[str, ...]
    parts: tuple[Part, ...] = ()
    asked: datetime = NEVER
    """When it was last requested by an extraction."""

    @property
    def clean_key(self) -> str:
        """See `clean_key_of`."""
        return clean_key_of(self.identity)

    @property
    def unlabelled(self) -> bool:
        """Whether its dataset was read without labels."""
        return UNLABELLED in self.identity

    @property
    def splits(self) -> frozenset[str]:
        """The splits of its faces, read on demand. Raises UsageError as `read_table`."""
        return _splits(self.path, _stamp(self.path))


def clean_key_of(identity: Mapping[str, Any]) -> str:
    """The key that a table would have with the clean view alone; methods that use only that view depend on it."""
    return key_of({name: value for name, value in identity.items() if name != RECIPE} | {"views": [CLEAN]})


def table_path(cache: Path, encoder: str, dataset_slug: str, key: str) -> Path:
    """`cache/features/<encoder>/<dataset>-<key8>.h5`."""
    return cache / "features" / encoder / f"{dataset_slug}-{key[:8]}.h5"


def quarantine_path(table: Path) -> Path:
    """The list (id, reason) of images left out of `table`; absent if there are none."""
    return table.with_suffix(".quarantine.csv")


def parts_folder(table: Path) -> Path:
    """The folder of the finished shards of an unfinished `table`."""
    return table.with_suffix(".parts")


def lock_path(table: Path) -> Path:
    """The lock of the one process that writes `table`."""
    return table.with_suffix(".lock")


def read_table(path: Path | str) -> FeatureTable:
    """Reads a table, and checks every bit; features of more than SMALL bytes stay on disk.

    Raises UsageError if it is absent, damaged, unfinished or of a newer schema.
    """
    path = Path(path)
    with opened(path, TABLE) as file:
        info = _info(path, file)
        classes, vote_columns = file.names("classes"), file.names("vote_columns")
        columns = _columns(path, file, info.rows)
        check_columns(columns, classes, vote_columns)
        quarantined = int(file.attributes["quarantined"])
    return FeatureTable(
        path,
        info.key,
        info.identity,
        provenance=info.provenance,
        classes=classes,
        vote_columns=vote_columns,
        columns=columns,
        quarantined=quarantined,
    )


def _columns(path: Path, file: SealedFile, rows: int) -> Columns:
    """The columns of a table of so many rows, in one file or in parts."""

    def read(part: Path, file: SealedFile) -> dict[str, Rows]:
        return {name: _column(part, file, name, rows=rows) for name in file.slots if not name.startswith(QUARANTINE)}

    parts = read_parts(path, file, read)
    return Columns.of({name: join([part[name] for part in parts]) for name in parts[0]})


def _column(path: Path, file: SealedFile, name: str, *, rows: int) -> Rows:
    """A column of a file of a table of `rows` rows, in memory; features that are large in the table stay on disk."""
    slot = file.slots[name]
    if not is_view(name) or rows * slot.shape[1] * slot.dtype.itemsize <= SMALL:
        return file.array(name)
    return StoredRows([file.piece(name, path)], slot.shape[1], slot.dtype)


def read_info(path: Path) -> TableInfo:
    """Reads the attributes of a table only. Raises UsageError as `read_table`, except for damaged columns."""
    found = _read_info(path, _stamp(path))
    return replace(found, asked=last_asked(path, str(found.provenance.get("date", ""))))


def has_parts(table: TableInfo) -> bool:
    """Whether every part that a table lists is there, as it was when it was listed; its columns are not read."""
    try:
        return all(read_part(rows_folder(table.path) / part.name) == part for part in table.parts)
    except UsageError:
        return False


@lru_cache(maxsize=READ_ONCE)
def _read_info(path: Path, stamp: Stamp) -> TableInfo:
    with opened(path, TABLE) as file:
        return _info(path, file)


@lru_cache(maxsize=READ_ONCE)
def _splits(path: Path, stamp: Stamp) -> frozenset[str]:
    with opened(path, TABLE) as file:
        return frozenset[str]().union(*read_parts(path, file, lambda part, opened: set(opened.array("split"))))


def _stamp(path: Path) -> Stamp:
    """What differs when the file at `path` is another, or has been written to; an absent file has none.

    A file that was just written could be written to again at what its time calls the same moment: no stamp is reused.
    """
    try:
        found = path.stat()
    except OSError:
        return ()
    now = time.time_ns()
    moment = now if now - max(found.st_mtime_ns, found.st_ctime_ns) < MOMENT else 0
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, moment


def _info(path: Path, file: SealedFile) -> TableInfo:
    identity = file.mapping("identity")
    key = str(file.attributes["key"])
    if key != key_of(identity):
        raise ValueError("its key does not match its identity")
    if not isinstance(identity.get("encoder"), dict):
        raise ValueError("its identity has no encoder")
    parts = parts_of(file)
    if parts:
        rows, views = sum(part.rows for part in parts), tuple(identity["views"])
    elif "label" in file.slots:
        rows, views = file.slots["label"].shape[0], views_of(file.slots)
    else:
        raise ValueError("'label' is missing")
    return TableInfo(path, key, identity, provenance=file.mapping("provenance"), rows=rows, views=views, parts=parts)


def table_files(cache: Path) -> list[Path]:
    """Every file that should be a finished table, sorted, without broken links and pipes."""
    folders = [folder for folder in entries(cache / "features") if folder.is_dir()]
    return [path for folder in folders for path in entries(folder) if path.suffix == ".h5" and path.is_file()]


def find_tables(cache: Path) -> list[TableInfo]:
    """The finished tables, last requested first; one that cannot be read is skipped with a warning."""
    found = []
    for path in table_files(cache):
        try:
            found.append(read_info(path))
        except UsageError as error:
            _log.warning("Skipped: %s", error)
    return sorted(found, key=lambda table: table.asked, reverse=True)


class KnownFeatures:
    """Rows of other tables with the same encoder and view, by image.

    Holds the sorted hashes (32 bytes per image), and features only of small tables; the first table with an image
    counts. Augmented views must have the same `recipe` (its identity).
    """

    def __init__(self, tables: Sequence[TableInfo], view: str, recipe: Mapping[str, Any] | None = None) -> None:
        self._features: list[Rows] = []
        hashes = [np.empty((0, 32), np.uint8)]
        for table in tables:
            if view in table.views and (view == CLEAN or table.identity.get(RECIPE) == recipe):
                found = _read_known(table, view)
                hashes += [found[0]] if found else []
                self._features += [found[1]] if found else []
        joined = np.concatenate(hashes).view("S32").ravel()
        self._rows = np.argsort(joined, kind="stable")
        self._hashes = joined[self._rows]
        self._starts = [0, *accumulate(len(array) for array in self._features)]

    def __len__(self) -> int:
        return len(self._hashes)

    def get(self, pixel_sha256: bytes) -> NDArray[Any] | None:
        """The features (D,) of an image; None if no table has it."""
        if not len(self):
            return None
        wanted = np.frombuffer(pixel_sha256, "S32")[0]
        place = int(np.searchsorted(self._hashes, wanted))
        if place == len(self._hashes) or self._hashes[place] != wanted:
            return None
        row = int(self._rows[place])
        table = bisect_right(self._starts, row) - 1
        place = row - self._starts[table]
        features: NDArray[Any] = self._features[table][place : place + 1][0]
        return features

    def in_memory(self) -> "KnownFeatures":
        """The same with all features in memory, for processes that cannot read the tables."""
        known = copy(self)
        known._features = [features[:] for features in self._features]
        return known


def _read_known(table: TableInfo, view: str) -> tuple[NDArray[np.uint8], Rows] | None:
    def read(path: Path, file: SealedFile) -> tuple[NDArray[np.uint8], Rows]:
        hashes, features = file.raw("pixel_sha256"), _column(path, file, f"features/{view}", rows=table.rows)
        if hashes.shape != (len(features), 32) or hashes.dtype != np.uint8 or features.ndim != 2:
            raise ValueError("its columns do not fit together")
        return hashes, features

    try:
        with opened(table.path, TABLE) as file:
            hashes, features = zip(*read_parts(table.path, file, read), strict=True)
        return np.concatenate(hashes), join(features)
    except UsageError as error:
        _log.warning("Its rows are not reused: %s", error)
        return None
