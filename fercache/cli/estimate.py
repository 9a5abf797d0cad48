"""fercache estimate"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fercache.cli.options import echo_folded, takes
from fercache.errors import UsageError
from fercache.options.estimate import EstimateRequest

if TYPE_CHECKING:
    from fercache.scoring.few_labels import Estimate


MOST_OF_A_RUN = 32
"""Characters of a run's name, so that a line has 80; the CSV file has the whole name."""


@click.command("estimate")
@takes(EstimateRequest)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write all estimates to this file.")
@click.option(
    "--figure",
    type=click.Path(path_type=Path),
    help="Draw estimated against true accuracy into this .svg or .png file.",
)
def command(request: EstimateRequest, csv_file: Path | None, figure: Path | None) -> None:
    """Estimate the scores of runs on TARGET, without its labels or with a few.

    Without labels, learns from the scored targets in the cache, except those related to TARGET.
    """
    from fercache.csv_cells import csv_text
    from fercache.output_paths import check_output_file, shown
    from fercache.reporting.estimates import estimates_drawing, estimates_frame, estimates_table
    from fercache.settings import load_settings
    from fercache.stages.estimate import estimate
    from fercache.store.atomic import write_bytes, write_text

    if csv_file:
        check_output_file(csv_file, ".csv", "--csv")
    if figure:
        check_output_file(figure, (".svg", ".png"), "--figure")
    if request.labelled:
        _with_labels(request, csv_file, figure)
        return
    found = estimate(load_settings(), request)
    click.echo(estimates_table(found))
    if csv_file:
        click.echo(f"table:  {shown(write_text(csv_file, csv_text(estimates_frame(found.runs))))}")
    if figure:
        drawn = estimates_drawing(found)
        if figure.name.lower().endswith(".png"):
            write_bytes(figure, drawn.png)
        else:
            write_text(figure, drawn.document)
        click.echo(f"figure: {shown(figure)}")
    if any(each.why_not for each in found.runs):
        click.echo(f"next: fercache suggest {request.target}")


def _with_labels(request: EstimateRequest, csv_file: Path | None, figure: Path | None) -> None:
    from fercache.csv_cells import csv_text
    from fercache.output_paths import shown
    from fercache.reporting.columns import fitted
    from fercache.settings import load_settings
    from fercache.stages.estimate_labelled import LEVEL, estimate_labelled, labelled_table
    from fercache.store.atomic import write_text

    if figure:
        raise UsageError("--figure compares estimates without labels with true scores; leave it out with --labelled.")
    found = estimate_labelled(load_settings(), request)
    echo_folded(f"From {found[0].labels} labels, for all {found[0].faces:,} faces, with {LEVEL:.0%} intervals:")
    runs = [fitted(each.run, MOST_OF_A_RUN) for each in found]
    width = max(map(len, runs))
    click.echo(f"{'':{width}}  {'accuracy':>22}  {'mean class recall':>22}")
    for run, each in zip(runs, found, strict=True):
        click.echo(f"{run:{width}}  {_shown(each.accuracy):>22}  {_shown(each.mean_class_recall):>22}")
    if csv_file:
        click.echo(f"table:  {shown(write_text(csv_file, csv_text(labelled_table(request.target, found))))}")


def _shown(estimate: "Estimate") -> str:
    low, high = estimate.interval
    return f"{estimate.value:.1%} ({low:.1%} to {high:.1%})"
