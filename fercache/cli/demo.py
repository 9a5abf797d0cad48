"""fercache demo"""

import click

from fercache.cli.options import device_option


@click.command("demo")
@device_option
def command(device: str) -> None:
    """Four heads, three seeds, from studio faces to three domains they never saw; prints the table and the page."""
    from fercache.records import frame
    from fercache.reporting.tables import screen_table
    from fercache.settings import load_settings
    from fercache.stages.demo import demo

    page, records = demo(load_settings(), device)
    click.echo(screen_table(frame(records)))
    click.echo(f"table: {page.parent / 'results.csv'}, {page.parent / 'summary.csv'}\npage:  {page}")
