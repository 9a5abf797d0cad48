"""fercache estimate"""

from pathlib import Path

import click

from fercache.cli.options import takes
from fercache.options.estimate import EstimateRequest


@click.command("estimate")
@takes(EstimateRequest)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write all estimates to this file.")
@click.option("--figure", type=click.Path(path_type=Path), help="Draw estimated against true accuracy; .svg or .png.")
def command(request: EstimateRequest, csv_file: Path | None, figure: Path | None) -> None:
    """Estimate the scores of runs on TARGET, without its labels.

    Learns from the scored targets in the cache, except those related to TARGET.
    """
    from fercache.output_paths import check_output_file, shown
    from fercache.reporting.estimates import estimates_csv, estimates_drawing, estimates_table
    from fercache.settings import load_settings
    from fercache.stages.estimate import estimate
    from fercache.store.atomic import write_bytes, write_text

    if csv_file:
        check_output_file(csv_file, ".csv", "--csv")
    if figure:
        check_output_file(figure, ".png" if figure.name.lower().endswith(".png") else ".svg", "--figure")
    found = estimate(load_settings(), request)
    click.echo(estimates_table(found))
    if csv_file:
        click.echo(f"table:  {shown(write_text(csv_file, estimates_csv(found)))}")
    if figure:
        drawn = estimates_drawing(found)
        if figure.name.lower().endswith(".png"):
            write_bytes(figure, drawn.png)
        else:
            write_text(figure, drawn.document)
        click.echo(f"figure: {shown(figure)}")
    if any(each.why_not for each in found.runs):
        click.echo(f"next: fercache suggest {request.target}")
