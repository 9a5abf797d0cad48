"""fercache compare"""

import click


@click.command("compare")
@click.argument("runs", nargs=-1)
@click.option("--name", default="latest", show_default=True, help="The folder in reports/.")
def command(runs: tuple[str, ...], name: str) -> None:
    """Put the records of RUNS (default: all) side by side: a table here, CSV files and a page in reports/."""
    from fercache.records import frame
    from fercache.reporting.tables import screen_table
    from fercache.settings import load_settings
    from fercache.stages.compare import compare

    page, records = compare(load_settings(), runs, name)
    click.echo(screen_table(frame(records)))
    click.echo(f"table: {page.parent / 'results.csv'}, {page.parent / 'summary.csv'}\npage:  {page}")
