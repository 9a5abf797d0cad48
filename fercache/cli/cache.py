"""fercache cache"""

import sys

import click


@click.group("cache")
def command() -> None:
    """Verify and repair the cache."""


@command.command("verify")
def verify_command() -> None:
    """Check every file against its checksums.

    Exits with code 1 if a table, prompt table or run is damaged.
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
