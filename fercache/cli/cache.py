"""fercache cache"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fercache.cli.options import takes
from fercache.options.cache import CacheExportRequest, CollectRequest, RemoveRequest

if TYPE_CHECKING:
    from fercache.housekeeping.removal import Item
    from fercache.housekeeping.usage import Usage

LISTED = 20
"""Runs or files that a list shows; the others are one line."""


@click.group("cache")
def command() -> None:
    """Show, verify, repair, clean and share the cache."""


@command.command("du")
@click.option("--json", "as_json", is_flag=True, help="Print the sizes in bytes as JSON, with every run.")
def du_command(as_json: bool) -> None:
    """Show how large the cache is: by kind of file, by dataset and by run."""
    import json
    from dataclasses import asdict

    from fercache.housekeeping.usage import usage
    from fercache.settings import load_settings

    cache = load_settings().cache
    found = usage(cache)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1, ensure_ascii=False))
    else:
        _show_usage(cache, found)


def _show_usage(cache: Path, found: "Usage") -> None:
    from fercache.cli.columns import Column, aligned, size
    from fercache.housekeeping.usage import PREDICTIONS, RECORDS, WEIGHTS
    from fercache.loading.run_names import typed_names
    from fercache.loading.run_summaries import summaries

    click.echo(f"{cache}: {size(found.bytes)} in {found.files:,} files")
    blocks: list[tuple[list[Column], Sequence[tuple[str, ...]]]] = []
    kinds = [(kind, size(number), f"{found.counts[kind]:,}") for kind, number in found.kinds.items()]
    blocks.append(([Column("kind"), Column("size", right=True), Column("files", right=True)], kinds))
    datasets = sorted(found.datasets.items(), key=lambda each: -each[1])
    blocks.append(([Column("dataset", least=12), Column("size", right=True)], _short_list(datasets)))
    names = {folder.name: name for folder, name in typed_names(summaries(cache)).items()}
    runs = sorted(found.runs.items(), key=lambda each: -sum(each[1].values()))
    parts = (WEIGHTS, PREDICTIONS, RECORDS)
    columns = [Column("run", least=12), Column("size", right=True), *(Column(part, right=True) for part in parts)]
    rows = [
        (names.get(run, run), size(sum(of.values())), *(size(of[part]) if of.get(part) else "" for part in parts))
        for run, of in runs[:LISTED]
    ]
    if len(runs) > LISTED:
        rest = sum(sum(of.values()) for _, of in runs[LISTED:])
        rows.append((f"{len(runs) - LISTED} more", size(rest), *("" for _ in parts)))
    blocks.append((columns, rows))
    for headings, lines in blocks:
        if lines:
            click.echo("\n" + "\n".join(aligned(headings, lines)))


def _short_list(found: Sequence[tuple[str, int]]) -> Sequence[tuple[str, ...]]:
    from fercache.cli.columns import size

    rest = found[LISTED:]
    more = [(f"{len(rest)} more", size(sum(number for _, number in rest)))] if rest else []
    return [(name, size(number)) for name, number in found[:LISTED]] + more


def _asks(decorated: Callable[..., None]) -> Callable[..., None]:
    """`--dry-run` and `--yes`, for commands that remove files."""
    yes = click.option("--yes", is_flag=True, help="Do not ask.")
    return click.option("--dry-run", is_flag=True, help="Show what would be removed; remove nothing.")(yes(decorated))


@command.command("rm")
@takes(RemoveRequest)
@_asks
def rm_command(request: RemoveRequest, dry_run: bool, yes: bool) -> None:
    """Remove runs, tables or datasets, named by NAMES.

    A head's name stands for all seeds of a method. A dataset is its tables of every encoder, with crops; its runs stay.
    """
    from fercache.housekeeping.removal import items_of, remove, warnings
    from fercache.settings import load_settings

    cache = load_settings().cache
    items = items_of(cache, request.names)
    _show(items)
    for sentence in warnings(cache, items):
        click.echo(f"warning: {sentence}", err=True)
    if not dry_run and _agreed(yes):
        _report(remove(cache, items), items)


@command.command("gc")
@takes(CollectRequest)
@_asks
def gc_command(request: CollectRequest, dry_run: bool, yes: bool) -> None:
    """Remove what nothing refers to, and what dead processes left.

    Removes temporary files, shards of finished tables or unchanged for a week, tables and prompts that a later request
    has replaced and no run or record refers to, runs that a later version has trained and scored again, crops and
    copies without a table. Keeps what a run, a record, or an experiment (in this folder, or shipped) refers to.
    """
    from fercache.experiments.kept import kept_by_experiments
    from fercache.housekeeping.garbage import garbage, unreadable
    from fercache.housekeeping.removal import remove
    from fercache.settings import load_settings

    settings = load_settings()
    cache, kept = settings.cache, kept_by_experiments(settings)

    def find() -> Sequence["Item"]:
        return garbage(cache, kept, predictions=request.predictions)

    items = find()
    if files := unreadable(cache):
        click.echo(
            f"warning: {files[0]}{f' and {len(files) - 1} more' if files[1:] else ''} cannot be read, and may refer to "
            "any table, so all tables and prompts are kept. See `fercache cache verify`.",
            err=True,
        )
    if not items:
        click.echo(f"{cache}: there is nothing to remove.")
        return
    _show(items)
    if not dry_run and _agreed(yes):
        _report(remove(cache, items, still=find), items)


def _show(items: Sequence["Item"]) -> None:
    from fercache.cli.columns import Column, aligned, size

    columns = [Column("kind"), Column("name", least=16), Column("size", right=True), Column("why", least=10)]
    sizes = {item.place: item.bytes for item in items}
    shown = sorted(items, key=lambda item: -sizes[item.place])
    rows = [(item.kind, item.name, size(sizes[item.place]), item.why) for item in shown[:LISTED]]
    if rest := shown[LISTED:]:
        rows.append(("", f"{len(rest)} more", size(sum(sizes[item.place] for item in rest)), ""))
    for line in aligned(columns, rows):
        click.echo(line)
    click.echo(f"{len(items)} in all, {size(sum(sizes.values()))}")


def _agreed(yes: bool) -> bool:
    """Whether the user agrees to remove what was shown. Raises UsageError without a terminal to ask on."""
    from fercache.errors import UsageError

    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("Nothing was removed: there is no terminal to ask on. Add --yes to remove, or --dry-run.")
    return click.confirm("Remove?", default=False)


def _report(removed: Sequence["Item"], items: Sequence["Item"]) -> None:
    click.echo(f"Removed {len(removed)}.")
    if kept := [item.name for item in items if item.place not in {each.place for each in removed}]:
        click.echo(f"Kept {len(kept)} that a running command needs, such as {kept[0]}.")


@command.command("export")
@takes(CacheExportRequest)
def export_command(request: CacheExportRequest) -> None:
    """Write runs, tables or datasets to FILE, to be read by `fercache cache import`.

    A run comes with its records, its predictions, and the tables that it was trained and scored on.
    """
    from fercache.cli.columns import size
    from fercache.housekeeping.archives import export_files, files_to_export
    from fercache.output_paths import check_output_file, shown
    from fercache.runtime.progress import progress
    from fercache.settings import load_settings
    from fercache.store.belongings import bytes_of

    check_output_file(request.file, ".tar", "FILE")
    cache = load_settings().cache
    files = files_to_export(cache, request.names)
    total = bytes_of(files)
    with progress("export", 2 * total, "B") as bar:
        export_files(cache, files, request.file, step=bar.update)
    click.echo(f"{shown(request.file)}: {len(files):,} files, {size(total)}")


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
def import_command(file: Path) -> None:
    """Add the runs and datasets in FILE, written by `fercache cache export`, to the cache.

    Everything is checked first. What the cache has already is left as it is.
    """
    from fercache.housekeeping.importing import bytes_in, import_archive
    from fercache.runtime.progress import progress
    from fercache.settings import load_settings

    cache = load_settings().cache
    with progress("import", bytes_in(file), "B") as bar:
        found = import_archive(cache, file, step=bar.update)
    there = f"; {found.there:,} were there already" if found.there else ""
    click.echo(f"{cache}: {found.added:,} files added{there}")


@command.command("verify")
def verify_command() -> None:
    """Check every file against its checksums.

    Exits with code 1 if anything is damaged, unfinished or left over.
    """
    from fercache.runtime.progress import progress
    from fercache.settings import load_settings
    from fercache.store.tables import find_tables
    from fercache.store.verify import steps, verify

    cache = load_settings().cache
    with progress("verify", steps(cache), "table or run") as bar:
        problems = verify(cache, bar.update)
    for problem in problems:
        click.echo(f"{problem.path}: {problem.what}\n  {problem.remedy}")
    if problems:
        sys.exit(1)
    click.echo(f"{cache}: {len(find_tables(cache))} tables, no problems found.")


@command.command("repair")
def repair_command() -> None:
    """Recreate damaged tables, copies and crops.

    Damaged files are set aside, not deleted. The images and the encoder's weights must be where they were. Exits with
    code 1 if a file cannot be repaired.
    """
    from fercache.settings import load_settings
    from fercache.stages.repair import repair

    left = 0
    for found in repair(load_settings()):
        click.echo(f"{found.path}: {found.message}")
        left += not found.done
    if left:
        sys.exit(1)
    click.echo("The cache has no damaged files.")
