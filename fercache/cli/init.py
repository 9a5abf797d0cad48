"""fercache init"""

from pathlib import Path

import click

from fercache.cli.options import takes
from fercache.options.init import InitRequest


@click.command("init")
@takes(InitRequest)
def command(request: InitRequest) -> None:
    """Write a settings file and an experiment for your datasets.

    Searches FOLDERS, by default this one, for datasets in known layouts and for class folders, and writes fercache.toml
    and an experiment with comments. An existing fercache.toml is kept.
    """
    from fercache.experiments.first_files import first_files
    from fercache.output_paths import shown
    from fercache.settings import load_settings

    found, written = first_files(load_settings(), request, Path())
    for dataset in found:
        click.echo(f"{dataset.name}  {shown(dataset.root)}  {dataset}")
    if not found:
        click.echo("no datasets found, so the experiment uses synthetic faces; `fercache datasets` describes layouts")
    for path in written:
        click.echo(f"written: {shown(path)}")
    click.echo(f"next: fercache run {shown(written[-1])} --dry-run")
