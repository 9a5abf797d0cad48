"""An archive of `cache export` -> the cache. Nothing of it is used before all of it has been checked."""

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from fercache.errors import FercacheError, UsageError, first_problem
from fercache.housekeeping.archives import MANIFEST, ROOMS, SCHEMA, Hashed, Manifest, Step, is_temporary
from fercache.store.atomic import copy_stream, explained, sync_folder, temporary_beside
from fercache.store.belongings import files_in
from fercache.store.in_use import removing
from fercache.store.locks import holding
from fercache.store.parts import rows_folder
from fercache.store.tables import lock_path, parts_folder
from fercache.store.verify import verify

LARGEST_MANIFEST = 2**28
DONE = "done"
"""The last file of a finished run, with the hashes of the others."""


@dataclass(frozen=True)
class Imported:
    """Numbers of files that an import added, and that were there already or belong to something that is."""

    added: int
    there: int


def import_archive(cache: Path, file: Path, step: Step = lambda _: None) -> Imported:
    """Adds the files of an archive to the cache; what is there is left as it is. `step` is called with bytes.

    Everything is unpacked beside the cache's folders, compared with its hashes, and read once as `cache verify` does;
    then it is renamed to its places, a table or run at a time. Raises UsageError for a file that is no such archive, is
    damaged, or names files outside the cache; the cache is then unchanged.
    """
    staged = temporary_beside(cache / "import")
    try:
        with _opened(file) as archive, explained(staged):
            staged.mkdir(parents=True)
            _unpack(file, archive, staged, step=step)
        if problems := verify(staged):
            raise UsageError(_damaged(file, f"{problems[0].path.relative_to(staged)}: {problems[0].what}"))
        return _move_in(staged, cache)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def bytes_in(file: Path) -> int:
    """The bytes of all files of an archive, as its list says. Raises as `import_archive`."""
    with _opened(file) as archive:
        return sum(member.bytes for member in _manifest(file, archive).files)


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, "r:") as archive:
            yield archive
    except FileNotFoundError:
        raise UsageError(f"There is no file {file}.") from None
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(_damaged(file, str(error) or "it ends early")) from error


def _damaged(file: Path, reason: str) -> str:
    return (
        f"{file} is not a whole archive of `fercache cache export`: {reason}. Nothing was imported. Copy or export it "
        "again."
    )


def _manifest(file: Path, archive: tarfile.TarFile) -> Manifest:
    """The list of an archive, which is its first member."""
    first = archive.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > LARGEST_MANIFEST:
        raise UsageError(_damaged(file, f"it does not begin with {MANIFEST}"))
    stream = archive.extractfile(first)
    try:
        found = Manifest.model_validate_json(stream.read() if stream else b"")
    except ValidationError as error:
        problem = first_problem(error)
        raise UsageError(_damaged(file, f"{MANIFEST}: {problem.name}: {problem.message}")) from None
    if found.schema_version > SCHEMA:
        raise UsageError(f"{file} was written by a newer fercache. Upgrade: pip install --upgrade fercache.")
    for member in found.files:
        if not _is_inside(member.path):
            raise UsageError(_damaged(file, f"{member.path!r} is not the name of a file of a cache"))
    if len({member.path for member in found.files}) < len(found.files):
        raise UsageError(_damaged(file, "it lists a file twice"))
    return found


def _is_inside(name: str) -> bool:
    """Whether a name is that of a file in a folder of the cache: relative, without `..`, and the same on any system."""
    path = PurePosixPath(name)
    plain = name == path.as_posix() and name.isprintable() and not set(name) & set('\\:*?"<>|')
    inside = not path.is_absolute() and not {"..", "."} & set(path.parts)
    return plain and inside and len(path.parts) > 1 and path.parts[0] in ROOMS and not is_temporary(Path(name))


def _unpack(file: Path, archive: tarfile.TarFile, staged: Path, step: Step) -> None:
    """Writes every listed file below `staged`, and compares it with its hash. Other members are refused."""
    left = {member.path: member for member in _manifest(file, archive).files}
    while (found := archive.next()) is not None:
        member = left.pop(found.name, None)
        if member is None or not found.isreg() or found.size != member.bytes:
            raise UsageError(_damaged(file, f"{found.name!r} is not as listed"))
        stream = archive.extractfile(found)
        assert stream is not None
        read = Hashed(stream)
        copy_stream(read, staged / member.path, found.mtime)
        if read.sha256 != member.sha256:
            raise UsageError(_damaged(file, f"{member.path} has another SHA-256 than listed"))
        step(member.bytes)
    if left:
        raise UsageError(_damaged(file, f"{len(left)} listed files are missing, such as {next(iter(left))}"))


def _move_in(staged: Path, cache: Path) -> Imported:
    added = there = 0
    with removing(cache), ExitStack() as held:
        tables = [path for path in staged.glob("features/*/*.h5") if not (cache / path.relative_to(staged)).exists()]
        for table in (cache / path.relative_to(staged) for path in tables):
            if parts_folder(table).exists() or rows_folder(table).exists():
                raise FercacheError(
                    f"{table} is not finished here. Finish it with the same `fercache extract`, or delete "
                    f"{parts_folder(table)}; then import again."
                )
            held.enter_context(holding(lock_path(table)))
        for unit in _units(staged):
            place = cache / unit.relative_to(staged)
            files = [path for path, _ in files_in(unit)]
            with explained(place):
                if place.exists():
                    moved = _merge(unit, place) if place.parent.name == "runs" else 0
                else:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    unit.rename(place)
                    sync_folder(place.parent)
                    moved = len(files)
            added, there = added + moved, there + len(files) - moved
    return Imported(added, there)


def _units(staged: Path) -> list[Path]:
    """What is renamed at once: runs as folders, all else as files; a table's own file comes after all that is its."""
    runs = sorted((staged / "runs").glob("*"))
    others = sorted(path for room in ROOMS if room != "runs" for path, _ in files_in(staged / room))
    tables = [path for path in others if path.parent.parent == staged / "features" and path.suffix == ".h5"]
    return [*(path for path in others if path not in set(tables)), *tables, *runs]


def _merge(run: Path, place: Path) -> int:
    """Adds the records and predictions that a run which is there lacks; returns their number. Another run has none."""
    dones = [(folder / DONE).read_bytes() if (folder / DONE).is_file() else b"" for folder in (run, place)]
    if dones[0] != dones[1]:
        return 0
    moved = 0
    for room in ("predictions", "records"):  # a record is there only after its predictions
        for path, _ in files_in(run / room):
            target = place / path.relative_to(run)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
                moved += 1
    return moved
