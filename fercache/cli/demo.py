"""fercache demo"""

import click

from fercache.cli.options import device_option


@click.command("demo")
@device_option
def command(device: str) -> None:
    """Four heads, three seeds, from studio faces to three domains they never saw; prints the table and the page."""
    from fercache.cli.options import show_report
    from fercache.experiments.shipped import demo
    from fercache.settings import load_settings

    show_report(*demo(load_settings(), device))
