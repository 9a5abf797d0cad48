"""fercache serve"""

import importlib.util
import os
import sys

import click

from fercache.cli.options import takes
from fercache.errors import UsageError
from fercache.options.serve import ServeRequest


@click.command("serve")
@takes(ServeRequest)
def command(request: ServeRequest) -> None:
    """Answer over HTTP, and show a page to try it.

    POST images to /predict; / is the page and /openapi.json describes the rest. Ctrl-C ends the server.
    """
    if not all(map(importlib.util.find_spec, ("starlette", "uvicorn"))):
        raise UsageError("fercache serve needs Starlette and uvicorn: pip install 'fercache[serve]'")
    from fercache.serving.serve import opened
    from fercache.settings import load_settings

    request = request.but(token=request.token or os.environ.get("FERCACHE_TOKEN", ""))
    server = opened(load_settings(), request)
    if not server.is_private and not request.token:
        print(
            "warning: anyone who can reach this machine can use the server. Require a token: --token TEXT, or the "
            "variable FERCACHE_TOKEN.",
            file=sys.stderr,
        )
    click.echo(f"{server.address}  page, /predict, /openapi.json; Ctrl-C ends the server")
    try:
        server.run()
    except KeyboardInterrupt:
        click.echo("stopped")
