"""Removing parts of the cache: what a name stands for, what refers to it, and the removal itself."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from fercache.datasets import DatasetName
from fercache.errors import FercacheError, UsageError
from fercache.housekeeping.references import References, references
from fercache.images.corruptions import SHIFTED
from fercache.loading.run_names import SeveralMatchError, resolve, typed_names
from fercache.loading.run_summaries import run_folders, summaries
from fercache.store.belongings import belongings, bytes_of, delete, renamed
from fercache.store.crops import crop_files, crops_info
from fercache.store.in_use import in_use, removing
from fercache.store.locks import holding
from fercache.store.tables import TableInfo, find_tables, lock_path, read_info, table_files

TABLE, CROPS, RUN = "table", "crops", "run"
MOST_NAMED = 3
"""Runs that a warning names."""


@dataclass(frozen=True)
class Item:
    """Files and folders that are removed together, in this order. A table's lock is held meanwhile."""

    kind: str
    name: str
    paths: tuple[Path, ...]
    why: str = ""
    lock: Path | None = None

    @property
    def place(self) -> tuple[str, Path]:
        """What identifies it."""
        return self.kind, self.paths[0]

    @property
    def bytes(self) -> int:
        """Their size."""
        return bytes_of(self.paths)


def items_of(cache: Path, names: Sequence[str]) -> list[Item]:
    """What names of runs, methods, tables and datasets stand for, each thing once.

    A dataset is all its tables, of every encoder, with their copies and crops, and those of its shifted images; runs
    stay. Raises UsageError for a name that stands for nothing, or for things of several kinds.
    """
    found: dict[tuple[str, Path], Item] = {}
    for name in names:
        kinds = {
            "dataset": _of_dataset(cache, name),
            "table": _of_table(cache, name),
            "run": _of_runs(cache, name),
        }
        there = {kind: items for kind, items in kinds.items() if items}
        if len(there) > 1:
            listed = ", ".join(f"{kind} ({each[0].paths[0]})" for kind, each in there.items())
            raise UsageError(f"'{name}' names several things: {listed}. Give the path of the one you mean.")
        if not there:
            _refuse(cache, name)
        found |= {item.place: item for items in there.values() for item in items}
    return list(found.values())


def table_item(path: Path, why: str = "") -> Item:
    """A feature table with everything that belongs to it alone."""
    return Item(TABLE, f"{path.parent.name}/{path.stem}", tuple(belongings(path)), why, lock=lock_path(path))


def run_item(folder: Path, name: str = "", why: str = "") -> Item:
    """A run with its records and predictions."""
    return Item(RUN, name or folder.name, (folder,), why)


def warnings(cache: Path, items: Sequence[Item]) -> list[str]:
    """What refers to `items` and stays: one sentence for each table, and for records that go with their run."""
    gone = {path.name for item in items if item.kind == RUN for path in item.paths}
    found = references([run for run in summaries(cache) if run.name not in gone])
    sentences = []
    for item in items:
        if item.kind == TABLE:
            with suppress(UsageError):  # a damaged table, of which nothing is known
                sentences += _about_table(item, read_info(item.paths[0]), cache, found=found)
        elif item.kind == RUN:
            count = sum(1 for folder in item.paths for _ in (folder / "records").glob("*.json"))
            sentences += [f"{item.name}: its {count} records go as well."] if count else []
    return sentences


def _about_table(item: Item, table: TableInfo, cache: Path, found: References) -> list[str]:
    if any(t.clean_key == table.clean_key for t in find_tables(cache) if t.path != table.path):
        return []
    parts = []
    for verb, names in (
        ("was trained on it", found.trained.get(table.clean_key, ())),
        ("was scored on it", found.scored.get(table.clean_key, ())),
    ):
        if names:
            runs = names[0] if len(names) == 1 else f"{len(names)} runs"
            parts.append(f"{runs} {verb if len(names) == 1 else verb.replace('was', 'were')}")
    stay = "They stay, and can be scored again only after the same `fercache extract`."
    return [f"{item.name}: {' and '.join(parts)}. {stay}"] if parts else []


def remove(cache: Path, items: Sequence[Item], still: Callable[[], Sequence[Item]] | None = None) -> list[Item]:
    """Removes `items`: renames all of them, then deletes them; returns what is removed.

    What a running command needs is refused: raises FercacheError, and nothing is removed. With `still`, which is called
    when no other command can begin, it is kept, as is what `still` no longer returns.
    """
    moved: list[Path] = []
    removed: list[Item] = []
    with removing(cache), ExitStack() as held:
        used = in_use(cache)
        wanted = {item.place for item in (still() if still else items)}
        free, locked = [], set[Path]()
        for item in (item for item in items if item.place in wanted):
            try:
                _refuse_used(item, used)
                if item.lock is not None and item.lock not in locked:  # a table and its left shards have the same
                    held.enter_context(holding(item.lock))
                    locked.add(item.lock)
                free.append(item)
            except FercacheError:
                if still is None:
                    raise
        for item in free:
            moved += renamed(item.paths)
            removed.append(item)
    delete(moved)
    return removed


def _refuse_used(item: Item, used: dict[Path, dict[str, str]]) -> None:
    for path in item.paths:
        if who := next((used[place] for place in (path.absolute(), *path.absolute().parents) if place in used), None):
            by = f"process {who.get('pid', '?')} on {who.get('host', '?')}, since {who.get('since', '?')}"
            raise FercacheError(
                f"{item.name} is needed by {by} ({who.get('command', '?')}). Nothing is removed. Wait until it has "
                "finished, then run the same command again."
            )


def _of_dataset(cache: Path, name: str) -> list[Item]:
    try:
        wanted = DatasetName.parse(name)
    except UsageError:
        return []
    both = {str(wanted), f"{wanted.clean}+{SHIFTED}"} if not (wanted.corruption or wanted.split) else {str(wanted)}
    tables = [table_item(t.path) for t in find_tables(cache) if both & {_whole(t), str(t.identity["dataset"])}]
    return [*tables, *(each for each in crops_items(cache) if each.name in both)] if tables else []


def crops_items(cache: Path) -> list[Item]:
    """All files of crops, each by the name of its dataset."""
    found = []
    for path in crop_files(cache):
        with suppress(UsageError):
            found.append(Item(CROPS, str(crops_info(path).identity["dataset"]), tuple(crops_belongings(path))))
    return found


def crops_belongings(path: Path) -> list[Path]:
    """A file of crops, and the note of its last request."""
    return [each for each in (path, path.with_suffix(".asked")) if each.exists()]


def _whole(table: TableInfo) -> str:
    split = table.identity.get("split")
    return f"{table.identity['dataset']}@{split}" if split else str(table.identity["dataset"])


def _of_table(cache: Path, name: str) -> list[Item]:
    """Tables by path, by file name, or by the key at its end; also damaged ones."""
    paths, wanted = table_files(cache), Path(name).name.removesuffix(".h5")
    by_path = [path for path in paths if path.absolute() == Path(name).absolute()]
    named = by_path or [path for path in paths if wanted in (path.stem, path.stem.rpartition("-")[2])]
    return [table_item(path) for path in named]


def _of_runs(cache: Path, name: str) -> list[Item]:
    try:
        folders = resolve(run_folders(cache), name)
    except SeveralMatchError:
        raise
    except UsageError:
        return []
    names = typed_names(summaries(cache))
    return [run_item(folder, names[folder]) for folder in folders]


def _refuse(cache: Path, name: str) -> None:
    """Raises UsageError for a name that stands for nothing."""
    try:
        reason = str(resolve(run_folders(cache), name))
    except UsageError as error:
        reason = str(error)
    raise UsageError(
        f"'{name}' is not a run, table or dataset in the cache {cache}. {reason} `fercache list tables` shows the "
        "tables."
    )
