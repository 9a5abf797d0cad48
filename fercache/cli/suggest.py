"""fercache suggest"""

import shlex

import click

from fercache.cli.options import takes
from fercache.options.suggest import SuggestRequest


@click.command("suggest")
@takes(SuggestRequest)
def command(request: SuggestRequest) -> None:
    """List the faces of TARGET that are most worth labelling.

    Writes a list with an empty column `label`, and a page that shows the faces.
    """
    from fercache.output_paths import shown
    from fercache.settings import load_settings
    from fercache.stages.suggest import suggest

    found = suggest(load_settings(), request)
    click.echo(f"{shown(found.list)}: {found.count} of {found.faces:,} faces; write each one's expression into `label`")
    if found.sheet:
        click.echo(f"page: {shown(found.sheet)}")
    if request.purpose == "estimate":
        encoder = ["--encoder", request.encoder] if request.encoder else []
        labelled = ["--labelled", shown(found.list)]
        click.echo(f"next: {shlex.join(['fercache', 'estimate', request.target, *labelled, *encoder])}")
