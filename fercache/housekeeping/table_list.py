"""The feature tables of a cache as a person looks for them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fercache.errors import UsageError
from fercache.housekeeping.references import references
from fercache.loading.run_summaries import summaries
from fercache.store.asked import last_asked
from fercache.store.belongings import belongings, bytes_of
from fercache.store.locks import holder
from fercache.store.tables import RECIPE, TableInfo, find_tables, has_parts, lock_path, read_info, table_files

COMPLETE, STALE, DAMAGED = "complete", "stale", "damaged"
UNFINISHED, WRITING = "unfinished", "being written"


@dataclass(frozen=True)
class ListedTable:
    """A table; `key` is what to type. `views` are the augmented ones, `runs` those that were trained or scored on it.

    What is not known of an unfinished or damaged table is None or empty.
    """

    dataset: str
    split: str
    key: str
    path: Path
    encoder: str
    faces: int | None
    labels: bool
    views: int
    recipe: str
    runs: tuple[str, ...]
    bytes: int
    date: datetime
    state: str
    why: str


def listed_tables(cache: Path) -> list[ListedTable]:
    """All tables of the cache, by encoder and dataset, the last requested first; columns are not read."""
    tables = find_tables(cache)
    found = references(summaries(cache))
    listed = []
    for path in table_files(cache):
        try:
            table = read_info(path)
        except UsageError as error:
            listed.append(_unknown(path, DAMAGED, str(error)))
            continue
        state, why = _state(table, tables)
        listed.append(
            ListedTable(
                dataset=table.identity["dataset"],
                split=table.identity.get("split") or "",
                key=path.stem.rpartition("-")[2],
                path=path,
                encoder=table.provenance["encoder"],
                faces=table.rows,
                labels=not table.unlabelled,
                views=len(table.views) - 1,
                recipe=table.identity.get(RECIPE, {}).get("name", ""),
                runs=tuple(found.of_table(table.clean_key)),
                bytes=bytes_of(belongings(path)),
                date=table.asked,
                state=state,
                why=why,
            )
        )
    for parts in sorted((cache / "features").glob("*/*.parts")):
        path = parts.with_suffix(".h5")
        if not path.exists():
            is_held = holder(lock_path(path)) is not None
            why = "" if is_held else "run the same `fercache extract` again to finish it"
            listed.append(_unknown(path, WRITING if is_held else UNFINISHED, why))
    return sorted(listed, key=lambda table: (table.encoder, table.dataset, -table.date.timestamp()))


def _state(table: TableInfo, tables: list[TableInfo]) -> tuple[str, str]:
    if table.parts and not has_parts(table):
        return DAMAGED, "a part of it is absent or another"
    identity = table.identity
    same = [
        each
        for each in tables
        if all(each.identity.get(what) == identity.get(what) for what in ("dataset", "split"))
        and each.provenance["encoder"] == table.provenance["encoder"]
    ]
    if same[0].clean_key != table.clean_key:
        return STALE, f"{same[0].path.name} was requested later, so `train` and `evaluate` use that one"
    return COMPLETE, ""


def _unknown(path: Path, state: str, why: str) -> ListedTable:
    dataset, _, key = path.stem.rpartition("-")
    return ListedTable(
        dataset=dataset,
        split="",
        key=key,
        path=path,
        encoder=path.parent.name,
        faces=None,
        labels=True,
        views=0,
        recipe="",
        runs=(),
        bytes=bytes_of(belongings(path)),
        date=last_asked(path),
        state=state,
        why=why,
    )
