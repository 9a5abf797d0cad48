"""What the cache holds without need: what no run, record or experiment refers to, and what dead processes left.

Nothing here is removed on suspicion. A table goes only if a later one of the same dataset and encoder is used in its
place and no run or record has its key; a run only if a later version trained and scored the same request again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fercache.errors import UsageError
from fercache.housekeeping.references import References, record_keys, references
from fercache.housekeeping.removal import Item, crops_items, run_item, table_item
from fercache.identity import key_of
from fercache.loading.earlier_versions import why_superseded
from fercache.loading.run_config import RunConfig, read_config
from fercache.loading.run_names import typed_names
from fercache.loading.run_summaries import RunSummary, record_files_of, summaries
from fercache.loading.tables import same_encoder
from fercache.store.asked import last_asked
from fercache.store.atomic import entries, is_abandoned
from fercache.store.crops import crops_info, faces_of
from fercache.store.locks import holder
from fercache.store.prompts import read_prompts
from fercache.store.runs import is_finished
from fercache.store.tables import RECIPE, TableInfo, find_tables, lock_path, table_files

ABANDONED_DAYS = 7
"""Days without a write after which unfinished work counts as abandoned."""
SOURCE_VALIDATION = "source-validation"
"""The beginning of the file names of predictions on a run's own source."""


@dataclass(frozen=True)
class Kept:
    """What experiments refer to: files of tables, and folders of runs, which are looked up only where needed."""

    tables: Collection[Path] = ()
    runs: Callable[[], Collection[Path]] = frozenset


def garbage(cache: Path, kept: Kept | None = None, *, predictions: bool = False) -> list[Item]:
    """Everything that can be removed; with `predictions`, also those that `evaluate --again` can compute again.

    Damaged tables are left to `cache verify`, which says what to do about each. While a run or record cannot be read,
    all tables and prompts are kept; while a table cannot be read, all crops.
    """
    kept = kept or Kept()
    runs, tables = summaries(cache), find_tables(cache)
    old = list(_superseded_runs(runs, kept))
    gone = {item.paths[0] for item in old}
    left = [run for run in runs if run.folder not in gone]
    found = references(left)
    old_tables = [] if found.unreadable else list(_superseded_tables(tables, found, kept))
    files = {item.paths[0] for item in old_tables}
    there = [table for table in tables if table.path not in files]
    items = [*_temporary(cache), *_partial(cache), *_unfinished(left), *old, *old_tables, *_orphans(cache)]
    items += _unused_crops(cache, there) if len(tables) == len(table_files(cache)) else []
    items += [] if found.unreadable else _superseded_prompts(cache, found)
    return items + (list(_predictions(left, there)) if predictions else [])


def unreadable(cache: Path) -> Sequence[Path]:
    """Runs and records that cannot be read, because of which all tables and prompts are kept."""
    return references(summaries(cache)).unreadable


def _temporary(cache: Path) -> Iterator[Item]:
    """Temporaries of dead processes, and damaged files that were set aside and written again."""
    for path in sorted(cache.rglob("*.tmp")):
        inside = any(parent.suffix == ".tmp" for parent in path.relative_to(cache).parents)
        if not inside and (is_abandoned(path) or _is_old(path)):
            yield _file(cache, path, kind="temporary file", why="left by a process that ended")
    for path in sorted(cache.rglob("*.damaged")):
        if path.with_suffix("").exists() or _is_old(path):
            yield _file(cache, path, kind="damaged file", why="set aside and not used")


def _partial(cache: Path) -> Iterator[Item]:
    """The shards and parts of tables that are finished, or that nothing has written to for a week."""
    for path in sorted((cache / "features").glob("*/*")):
        table = path.with_suffix(".h5")
        if path.suffix not in (".parts", ".rows") or holder(lock_path(table)) is not None:
            continue
        if path.suffix == ".parts" and table.exists():
            yield Item("shards", _short(cache, path), (path,), "its table is finished", lock=lock_path(table))
        elif not table.exists() and _is_old(path):
            why = f"of a table that is not finished, unchanged for {ABANDONED_DAYS} days"
            yield Item("shards", _short(cache, path), (path,), why, lock=lock_path(table))


def _unfinished(runs: Sequence[RunSummary]) -> Iterator[Item]:
    for run in runs:
        if not is_finished(run.folder) and not record_files_of(run.folder) and _is_old(run.folder):
            yield run_item(run.folder, why=f"not finished, unchanged for {ABANDONED_DAYS} days")


def _superseded_runs(runs: Sequence[RunSummary], kept: Kept) -> Iterator[Item]:
    """Runs of an earlier version whose request was trained, and scored wherever they were, by a later one."""
    alike: dict[str, list[RunSummary]] = defaultdict(list)
    for run in runs:
        if not run.is_imported and is_finished(run.folder):
            alike[run.name.rpartition("-")[0]].append(run)
    names = typed_names(runs)
    for group in (group for group in alike.values() if len(group) > 1):
        configs = {run.folder: config for run in group if (config := _config(run.folder))}
        for earlier, config in configs.items():
            later = [folder for folder, other in configs.items() if _replaces(folder, other, earlier, of=config)]
            if later and earlier not in kept.runs():
                why = f"replaced by {names[later[0]]}: {why_superseded(config, configs[later[0]])}"
                yield run_item(earlier, names[earlier], why)


def _replaces(folder: Path, config: RunConfig, earlier: Path, *, of: RunConfig) -> bool:
    if not _written(folder / "done") > _written(earlier / "done") or not why_superseded(of, config):
        return False
    scored = {path.name for path in record_files_of(folder)}
    return all(path.name in scored for path in record_files_of(earlier))


def _config(folder: Path) -> RunConfig | None:
    with suppress(UsageError):
        return read_config(folder)[1]
    return None


def _superseded_tables(tables: Sequence[TableInfo], found: References, kept: Kept) -> Iterator[Item]:
    """Tables that no command would use, because a later one is used, and to which nothing refers."""
    removed: set[Path] = set()
    for table in reversed(tables):
        later = next((each for each in tables if _is_used_instead(each, table, found)), None)
        others = (each for each in tables if each.path != table.path and each.path not in removed)
        has_twin = any(each.clean_key == table.clean_key for each in others)
        if later is None or table.path in kept.tables or (found.of_table(table.clean_key) and not has_twin):
            continue
        removed.add(table.path)
        yield table_item(table.path, f"{later.path.name} was requested later, and nothing refers to this one")


def _is_used_instead(later: TableInfo, table: TableInfo, found: References) -> bool:
    """Whether every command would use a later table of the same dataset."""
    same = all(later.identity.get(what) == table.identity.get(what) for what in ("dataset", "split"))
    if not same or later.provenance["encoder"] != table.provenance["encoder"] or later.asked <= table.asked:
        return False
    recipes = table.identity.get(RECIPE), later.identity.get(RECIPE)
    has_views = recipes[0] is None or (recipes[0] == recipes[1] and len(later.views) >= len(table.views))
    has_labels = table.unlabelled or not later.unlabelled
    encoder = table.identity["encoder"]
    has_features = same_encoder(encoder, later.identity["encoder"]) or not found.has_encoder(encoder)
    return has_views and has_labels and has_features


def _orphans(cache: Path) -> Iterator[Item]:
    """Notes, lists and copies of feature tables that are no longer there, damaged or unfinished ones included."""
    for ending in (".asked", ".quarantine.csv"):
        for path in sorted((cache / "features").glob(f"*/*{ending}")):
            if not _is_begun(path.with_name(path.name.removesuffix(ending) + ".h5")):
                yield _file(cache, path, kind="note", why="its table is gone")
    for path in sorted((cache / "copies").glob("*/*.h5")):
        if not _is_begun(cache / "features" / path.parent.name / path.name):
            yield _file(cache, path, kind="copies", why="their table is gone")


def _is_begun(table: Path) -> bool:
    """Whether a table is there, damaged or not, or is being written."""
    return table.exists() or table.with_suffix(".parts").exists() or holder(lock_path(table)) is not None


def _unused_crops(cache: Path, tables: Sequence[TableInfo]) -> Iterator[Item]:
    """Crops of faces that no table has."""
    faces = [faces_of(table.identity) for table in tables]
    for item in crops_items(cache):
        if faces_of(crops_info(item.paths[0]).identity) not in faces:
            yield replace(item, why="no table has their faces")


def _superseded_prompts(cache: Path, found: References) -> Iterator[Item]:
    """Prompt tables of a set that has changed since, which no run read."""
    for folder in entries(cache / "prompts"):
        by_name: dict[str, list[Path]] = defaultdict(list)
        for path in (path for path in entries(folder) if path.suffix == ".h5"):
            by_name[path.stem.rpartition("-")[0]].append(path)
        for paths in by_name.values():
            latest = max(paths, key=last_asked)
            for path in (path for path in paths if last_asked(path) < last_asked(latest)):
                with suppress(UsageError):
                    if not found.prompts.get(key_of(read_prompts(path).identity)):
                        notes = [note] if (note := path.with_suffix(".asked")).exists() else []
                        why = f"{latest.name} was requested later, and no run read this one"
                        yield Item("prompts", _short(cache, path), (path, *notes), why)


def _predictions(runs: Sequence[RunSummary], tables: Sequence[TableInfo]) -> Iterator[Item]:
    """Predictions whose run, record and faces are all there."""
    keys = {table.clean_key for table in tables}
    for run in (run for run in runs if not run.is_imported and is_finished(run.folder)):
        recorded = {path.stem: record_keys(path).get("target") for path in record_files_of(run.folder)}
        has_source = bool(run.table_keys) and keys.issuperset(run.table_keys)
        files = [
            path
            for path in sorted((run.folder / "predictions").glob("*.h5"))
            if recorded.get(path.stem) in keys or (has_source and path.name.startswith(f"{SOURCE_VALIDATION}."))
        ]
        if files:
            yield Item("predictions", run.name, tuple(files), "`fercache evaluate --again` computes them again")


def _file(cache: Path, path: Path, *, kind: str, why: str) -> Item:
    return Item(kind, _short(cache, path), (path,), why)


def _short(cache: Path, path: Path) -> str:
    return str(path.relative_to(cache))


def _is_old(path: Path) -> bool:
    """Whether nothing in or below `path` was written in the last days."""
    latest = max([_written(path), *(_written(each) for each in path.rglob("*"))]) if path.is_dir() else _written(path)
    return time.time() - latest > ABANDONED_DAYS * 24 * 3600


def _written(path: Path) -> float:
    """When a file was last written; 0 if it is gone."""
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0
