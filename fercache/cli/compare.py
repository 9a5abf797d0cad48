"""fercache compare"""

from typing import Any

import click

from fercache.cli.options import parse_class_mix, show_report
from fercache.scoring.selection import POLICIES


@click.command("compare")
@click.argument("runs", nargs=-1)
@click.option("--name", default="latest", show_default=True, help="The folder in reports/.")
@click.option("--baseline", help="A head, or a run, that all other methods are tested against, face by face.")
@click.option("--source", "sources", multiple=True, help="Only what was trained on it; may be given again.")
@click.option("--target", "targets", multiple=True, help="Only scores on it, NAME[@SPLIT]; may be given again.")
@click.option("--head", "heads", multiple=True, help="Only that head; may be given again.")
@click.option(
    "--selection",
    "selections",
    multiple=True,
    type=click.Choice(POLICIES),
    help="Only records of that policy; may be given again.",
)
@click.option("--about", default="", help="What the page says at its top.")
@click.option(
    "--class-mix",
    metavar="NAME=SHARE,...",
    help="Also the accuracy if expressions came in that mix, e.g. happiness=0.4,neutral=0.6.",
)
@click.option("--thumbnails", is_flag=True, help="Show pictures of real faces as well; drawn ones are always shown.")
def command(runs: tuple[str, ...], name: str, class_mix: str | None, **options: Any) -> None:
    """Put the records of RUNS (default: all) side by side: a table here, CSV files and a page in reports/.

    With two runs, also what differs between them: settings, scores with intervals, and the faces that flipped.
    """
    from fercache.reporting.two_runs import pair_table
    from fercache.settings import load_settings
    from fercache.stages.compare import CompareRequest, compare, compare_two

    settings, mix = load_settings(), parse_class_mix(class_mix) if class_mix else None
    page, records = compare(settings, CompareRequest(runs, name, class_mix=mix, **options))
    show_report(page, records, mix)
    if len(runs) == 2:
        flips, pair = compare_two(settings, (runs[0], runs[1]), name)
        click.echo(f"\n{pair_table(pair)}\nflips: {flips}")
