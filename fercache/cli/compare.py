"""fercache compare"""

import click

from fercache.cli.options import show_report, takes
from fercache.options.compare import CompareRequest


@click.command("compare")
@takes(CompareRequest)
def command(request: CompareRequest) -> None:
    """Compare the scores of RUNS, by default all.

    Prints a table, and writes CSV files and a page to reports/. Two runs are also compared in detail: settings, scores
    with intervals, and faces whose prediction changed.
    """
    from fercache.reporting.two_runs import pair_table
    from fercache.settings import load_settings
    from fercache.stages.compare import compare, compare_two

    settings = load_settings()
    page, records = compare(settings, request)
    show_report(page, records, request.class_mix)
    if compared := compare_two(settings, request):
        flips, pair = compared
        click.echo(f"\n{pair_table(pair)}\nflips: {flips}")
