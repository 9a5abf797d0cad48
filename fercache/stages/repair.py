"""What `cache verify` finds damaged -> made again, where the cache itself says what was asked for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fercache.errors import FercacheError
from fercache.images.views import RECIPES
from fercache.options.extract import EncoderRequest, ExtractRequest
from fercache.settings import Settings
from fercache.stages.extract import extract
from fercache.store.atomic import remove_abandoned, set_aside
from fercache.store.copies import copies_path
from fercache.store.crops import crop_files, find_crops
from fercache.store.tables import RECIPE, TableInfo, find_tables, table_files
from fercache.store.verify import Problem, verify


@dataclass(frozen=True)
class Repair:
    """A file that was not as it should be; `done`: it has been made again, else `told` says what is left to do."""

    path: Path
    done: bool
    told: str


def repair(settings: Settings) -> Iterator[Repair]:
    """Makes damaged tables, copies and crops again, by the same request; what was damaged is set aside first.

    A table's good rows are not kept: its checksums are of whole columns. Rows that another table has are copied.
    """
    for path in remove_abandoned(settings.cache):
        yield Repair(path, True, "removed: the process that wrote it is gone")
    tables = find_tables(settings.cache)
    requests = {path: request for table in tables for path, request in _files_of(settings, table).items()}
    aside: dict[ExtractRequest, list[Path]] = {}
    for problem in verify(settings.cache):
        request = requests.get(problem.path)
        if request is None:
            yield Repair(problem.path, False, _left(settings, problem))
        else:
            aside.setdefault(request, []).append(problem.path)
    for request, paths in aside.items():
        yield from _made_again(settings, request, paths)


def _files_of(settings: Settings, table: TableInfo) -> Mapping[Path, ExtractRequest]:
    """The files that come of extracting a table, and what to ask for to get each."""
    asked = request_of(table)
    if asked is None:
        return {}
    crops = {info.path: asked.but(crops=info.side) for info in find_crops(settings.cache, table)}
    return {table.path: asked, copies_path(table.path): asked, **crops}


def request_of(table: TableInfo) -> ExtractRequest | None:
    """What was asked for when a table was extracted; None where its views are of a recipe in somebody's own file."""
    identity, provenance = table.identity, table.provenance
    recipe = identity.get(RECIPE, {}).get("name", ExtractRequest().recipe)
    if recipe not in RECIPES:
        return None
    precision = identity["encoder"].get("precision", "auto")
    encoder = EncoderRequest.of(provenance["encoder_request"], precision=precision)
    split = f"@{identity['split']}" if identity.get("split") else ""
    root = provenance["root"]
    return ExtractRequest(
        dataset=identity["dataset"] + split,
        root=Path(root) if root else None,
        encoder=encoder,
        views=len(table.views) - 1,
        recipe=recipe,
        batch_size=provenance["batch_size"],
    )


def _made_again(settings: Settings, request: ExtractRequest, paths: list[Path]) -> Iterator[Repair]:
    aside = {path: set_aside(path) for path in paths}
    try:
        extract(settings, request)
        why = "the pictures, or what they are encoded with, have changed since"
    except FercacheError as error:
        why = str(error)
    for path, damaged in aside.items():
        if path.exists():
            yield Repair(path, True, f"made again; what was damaged is {damaged.name}")
        else:
            damaged.replace(path)  # as it was: `verify` goes on telling of it
            yield Repair(path, False, f"it cannot be made again: {why}")


def _left(settings: Settings, problem: Problem) -> str:
    """What a person has to do: the file does not say any more what was asked for, or only they know."""
    lost = problem.path in {*table_files(settings.cache), *crop_files(settings.cache)}
    return f"what it was made of cannot be read either. {problem.remedy}" if lost else problem.remedy
