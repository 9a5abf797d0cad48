"""How many bytes the cache has: by kind, by dataset and by run."""

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fercache.errors import UsageError
from fercache.store.belongings import files_in
from fercache.store.crops import crops_info
from fercache.store.tables import read_info

TABLES, UNFINISHED, COPIES, CROPS = "feature tables", "unfinished tables", "copies", "crops"
PROMPTS, DETECTIONS, MAPS, THUMBNAILS = "prompt tables", "detections", "maps", "thumbnails"
WEIGHTS, PREDICTIONS, RECORDS = "run weights", "predictions", "records"
TEMPORARY, DAMAGED, OTHER = "temporary files", "damaged, set aside", "other"
_OF_TABLES = (TABLES, UNFINISHED, COPIES, CROPS, PROMPTS, DETECTIONS, MAPS, THUMBNAILS)
KINDS = (*_OF_TABLES, WEIGHTS, PREDICTIONS, RECORDS, TEMPORARY, DAMAGED, OTHER)
"""All kinds of files, in the order in which they are shown."""
_OF_FOLDER = {
    "features": TABLES,
    "copies": COPIES,
    "crops": CROPS,
    "prompts": PROMPTS,
    "detections": DETECTIONS,
    "maps": MAPS,
    "thumbnails": THUMBNAILS,
}
_OF_DATASETS = {TABLES, UNFINISHED, COPIES, CROPS}
_TABLE = re.compile(r".*?-[0-9a-f]{8}(?=\.)")


@dataclass(frozen=True)
class Usage:
    """Bytes and number of files, in all and by kind; bytes by dataset, and by run and kind.

    `kinds` add up to the total; `datasets` to the kinds of tables, copies and crops; `runs` to the kinds of runs.
    """

    bytes: int
    files: int
    kinds: Mapping[str, int]
    counts: Mapping[str, int]
    datasets: Mapping[str, int]
    runs: Mapping[str, Mapping[str, int]]


def usage(cache: Path) -> Usage:
    """Measures every file of the cache; links are not followed. A file that vanishes meanwhile is left out."""
    kinds, counts, datasets = Counter[str](), Counter[str](), Counter[str]()
    runs: dict[str, Counter[str]] = {}
    names: dict[tuple[str, ...], str] = {}
    root = cache.resolve()
    for path, size in files_in(root) if root.is_dir() else ():
        parts = path.relative_to(root).parts
        kind = kind_of(parts)
        kinds[kind] += size
        counts[kind] += 1
        if kind in _OF_DATASETS:
            table = _table_of(parts)
            names[table] = names.get(table) or _dataset_of(root.joinpath(*table))
            datasets[names[table]] += size
        elif kind in (WEIGHTS, PREDICTIONS, RECORDS):
            runs.setdefault(parts[1], Counter())[kind] += size
    bytes_by, files_by = ({kind: each[kind] for kind in KINDS if counts[kind]} for each in (kinds, counts))
    of_runs = {run: dict(of) for run, of in runs.items()}
    return Usage(kinds.total(), counts.total(), bytes_by, files_by, datasets=dict(datasets), runs=of_runs)


def kind_of(parts: tuple[str, ...]) -> str:
    """The kind of a file, from its path below the cache."""
    if any(part.endswith(".tmp") for part in parts):
        return TEMPORARY
    if parts[-1].endswith(".damaged"):
        return DAMAGED
    if parts[0] == "features" and len(parts) > 2 and parts[2].endswith((".parts", ".lock")):
        return UNFINISHED
    if parts[0] == "runs" and len(parts) > 2:
        return {"predictions": PREDICTIONS, "records": RECORDS}.get(parts[2], WEIGHTS)
    return _OF_FOLDER.get(parts[0], OTHER) if len(parts) > 1 else OTHER


def _table_of(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The path of the file that names the dataset of a file of a table, of its copies, or of crops."""
    *folders, name = parts[:2] if parts[0] == "crops" else parts[:3]
    named = _TABLE.match(name)
    room = "features" if parts[0] == "copies" else parts[0]
    return room, *folders[1:], f"{named[0] if named else name}.h5"


def _dataset_of(path: Path) -> str:
    """The dataset of a table or of crops; of one that is not finished or cannot be read, as its file name spells it."""
    with suppress(UsageError):
        found = crops_info(path) if path.parent.name == "crops" else read_info(path)
        return str(found.identity["dataset"])
    return path.stem.rpartition("-")[0] or path.stem
