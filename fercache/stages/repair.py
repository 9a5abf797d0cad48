"""damaged files -> the same files, recreated by the requests that the cache has stored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fercache.errors import FercacheError
from fercache.images.views import RECIPES
from fercache.options.extract import NO_FACES, EncoderRequest, ExtractRequest
from fercache.policies import LARGEST
from fercache.settings import Settings
from fercache.stages.extract import extract
from fercache.store.atomic import remove_abandoned, set_aside
from fercache.store.copies import copies_path
from fercache.store.crops import crop_files, find_crops
from fercache.store.tables import FACES, RECIPE, TableInfo, find_tables, table_files
from fercache.store.verify import Problem, verify


@dataclass(frozen=True)
class Repair:
    """A damaged file: repaired or removed if `done`; otherwise `message` gives the reason and the remedy."""

    path: Path
    done: bool
    message: str


def repair(settings: Settings) -> Iterator[Repair]:
    """Recreates damaged tables, copies and crops by their original requests; sets the damaged files aside first.

    Intact rows of a damaged table are not kept, because checksums cover whole columns. Rows of other tables are reused.
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
        yield from _recreate(settings, request, paths)


def _files_of(settings: Settings, table: TableInfo) -> Mapping[Path, ExtractRequest]:
    """The files that belong to a table, each with the request that creates it."""
    asked = request_of(table)
    if asked is None:
        return {}
    crops = {info.path: asked.but(crops=info.side) for info in find_crops(settings.cache, table)}
    return {table.path: asked, copies_path(table.path): asked, **crops}


def request_of(table: TableInfo) -> ExtractRequest | None:
    """The request that a table was extracted by; None if its views are of a recipe in a user's file."""
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
        unlabelled=table.unlabelled,
        faces=provenance.get(FACES, NO_FACES),
        which=provenance.get("which", LARGEST),
        encoder=encoder,
        views=len(table.views) - 1,
        recipe=recipe,
        batch_size=provenance["batch_size"],
    )


def _recreate(settings: Settings, request: ExtractRequest, paths: list[Path]) -> Iterator[Repair]:
    aside = {path: set_aside(path) for path in paths}
    try:
        extract(settings, request)
        why = "the images or the encoder have changed since"
    except FercacheError as error:
        why = str(error)
    for path, damaged in aside.items():
        if path.exists():
            yield Repair(path, True, f"repaired; the damaged file is now {damaged.name}")
        else:
            damaged.replace(path)  # back in place, so that `verify` keeps reporting it
            yield Repair(path, False, f"cannot be repaired: {why}")


def _left(settings: Settings, problem: Problem) -> str:
    """What the user has to do, because the request is lost with the file or was never stored."""
    lost = problem.path in {*table_files(settings.cache), *crop_files(settings.cache)}
    return f"the request that created it cannot be read either. {problem.remedy}" if lost else problem.remedy
