"""fercache cache"""

import sys

import click


@click.group("cache")
def command() -> None:
    """Care of the cache."""


@command.command("verify")
def verify_command() -> None:
    """Check every table, prompt table and run against its checksums; exit code 1 when something is wrong."""
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
    click.echo(f"{cache}: {len(find_tables(cache))} tables, nothing wrong.")


@command.command("repair")
def repair_command() -> None:
    """Make damaged tables, copies and crops again; exit code 1 when something is left to do by hand.

    Damaged files are set aside, not deleted. The pictures and the encoder's weights must be where they were.
    """
    from fercache.settings import load_settings
    from fercache.stages.repair import repair

    left = 0
    for found in repair(load_settings()):
        click.echo(f"{found.path}: {found.told}")
        left += not found.done
    if left:
        sys.exit(1)
    click.echo("Nothing is left to do.")
