"""fercache export"""

import click

from fercache.cli.options import takes
from fercache.options.export import ExportRequest


@click.command("export")
@takes(ExportRequest)
def command(request: ExportRequest) -> None:
    """Write MODEL as ONNX files, for programs without PyTorch.

    Writes a file from pixels to probabilities, one from features, a card and instructions, and compares the files with
    PyTorch.
    """
    from fercache.onnx_files.export import export
    from fercache.output_paths import shown
    from fercache.settings import load_settings

    for path, what in export(load_settings(), request):
        click.echo(f"{shown(path)}: {what}")
