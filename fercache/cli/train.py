"""fercache train"""

import click

from fercache.cli.options import left_out, next_command, renamed, takes
from fercache.options.train import TrainRequest


@click.command("train")
@takes(TrainRequest)
@click.option("--trunk", help="mlp on cached features (default), or a timm backbone on crops, e.g. resnet18.")
@click.option("--trunk-weights", help="Weights file of the backbone, or `pretrained` for timm's weights.")
@renamed("policy", "votes")
def command(request: TrainRequest, trunk: str | None, trunk_weights: str | None) -> None:
    """Train heads on the cached features of one source. Finished runs are skipped."""
    from fercache.loading.run_config import read_config
    from fercache.settings import load_settings
    from fercache.stages.train import train

    trunks = {name: value for name, value in (("trunk", trunk), ("trunk_weights", trunk_weights)) if value}
    folders = train(load_settings(), request.but(set=trunks | dict(request.set)))
    for folder in folders:
        click.echo(folder)
    _, config = read_config(folders[0])
    copies = f" (without {config.validation_copies:,} copies of training faces)" if config.validation_copies else ""
    few = (
        f", {len(config.few_labels.faces):,} labelled faces of {config.few_labels.target}" if config.few_labels else ""
    )
    click.echo(
        f"{config.source}: {config.train_rows:,} training faces{few}, {config.validation_rows:,} of source validation"
        + copies
        + left_out(config.dropped)
    )
    click.echo(next_command("evaluate", encoder=request.encoder))
