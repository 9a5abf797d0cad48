"""fercache demo"""

import click

from fercache.cli.options import device_option


@click.command("demo")
@device_option
def command(device: str) -> None:
    """Run a complete example in a few minutes.

    Trains five heads with three seeds on synthetic studio faces, scores them on three unseen domains, and prints the
    table and the path of the page.
    """
    from fercache.cli.options import show_report
    from fercache.experiments.shipped import demo
    from fercache.settings import load_settings

    show_report(*demo(load_settings(), device))
