"""fercache datasets"""

from pathlib import Path
from typing import Any

import click


@click.group("datasets", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Every known set, its licence, and where it lies."""
    if ctx.invoked_subcommand:
        return
    from fercache import registry
    from fercache.settings import load_settings

    settings = load_settings()
    for name in registry.names("datasets"):
        dataset = registry.load("datasets", name)
        roots = [f"{n} = {root}" for n, root in settings.datasets.items() if n.partition(":")[0] == name]
        where = "ships with fercache" if not dataset.needs_root else ", ".join(roots) or "give --root"
        click.echo(f"{name:12} {dataset.licence:40} {where}")
    click.echo("more: fercache datasets show NAME [--root ROOT]")


@command.command("show")
@click.argument("name")
@click.option("--root", type=click.Path(path_type=Path), help="Where it lies; counts what is found there.")
def show_command(name: str, root: Path | None) -> None:
    """What a set is, where to ask for it, and expected against found images."""
    from fercache import registry
    from fercache.datasets import DatasetName
    from fercache.settings import load_settings

    parsed = DatasetName.parse(name)
    dataset = registry.load("datasets", parsed.family)
    click.echo(f"{name}: {', '.join(dataset.expressions)}")
    click.echo(f"licence:  {dataset.licence}\nhomepage: {dataset.homepage}\ncite:     {dataset.citation}")
    if dataset.domains:
        click.echo(f"domains:  {', '.join(dataset.domains)}")
    click.echo((type(dataset).__doc__ or "").strip())
    where = root or load_settings().root_of(str(parsed.clean))
    if where or not dataset.needs_root:
        for domain in [parsed.domain] if parsed.domain or not dataset.domains else dataset.domains:
            _show_counts(dataset, where, domain)


def _show_counts(dataset: Any, root: Path | None, domain: str) -> None:
    for finding in dataset.check(root, domain):
        expected = "" if finding.expected is None else f" of {finding.expected} expected"
        colour = None if finding.expected is None else "green" if finding.agrees else "red"
        place = " ".join(part for part in (domain, finding.split, finding.label) if part)
        click.secho(f"  {place:36} {finding.found:7}{expected}", fg=colour)
