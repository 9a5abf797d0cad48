"""fercache train"""

import click

from fercache.cli.options import device_option, left_out, next_command, parse_seeds, parse_settings


@click.command("train")
@click.option(
    "--head", "heads", multiple=True, help="A head; may be given again. Default: sigmoid-mask, text-similarity."
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    default=("synthetic:studio",),
    show_default="synthetic:studio",
    help="The set to train on, NAME[@SPLIT]; given again, all of them are pooled.",
)
@click.option("--encoder", help="Whose features; default: the bundled one's, else the only ones there are.")
@click.option("--seeds", default="0-4", show_default=True)
@click.option("--trunk", help="mlp on cached features (default), or a timm backbone on crops: resnet18, ...")
@click.option("--trunk-weights", help="A file that the backbone starts from, or `pretrained` for timm's own.")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A head's setting; may be given again.")
@click.option("--classes", default=7, show_default=True, type=click.IntRange(7, 8), help="8 adds contempt.")
@click.option("--policy", default="majority", show_default=True, help="majority, plurality or soft, for votes.")
@click.option("--labels", "label_file", help="Which of the set's label files (ferplus: fer2013new, folders).")
@click.option("--prompts", default="faces", show_default=True, help="The prompt set, as extracted.")
@click.option("--faces", type=click.IntRange(2), help="Train on about so many, each expression in proportion.")
@click.option("--keep-validation-copies", is_flag=True, help="Keep faces of source validation that are trained on.")
@device_option
def command(
    heads: tuple[str, ...],
    sources: tuple[str, ...],
    encoder: str | None,
    seeds: str,
    trunk: str | None,
    trunk_weights: str | None,
    pairs: tuple[str, ...],
    classes: int,
    policy: str,
    label_file: str | None,
    prompts: str,
    faces: int | None,
    keep_validation_copies: bool,
    device: str,
) -> None:
    """Train heads on the cached features of one source. Finished runs are not trained again."""
    from fercache.datasets import POOL
    from fercache.loading.run_config import read_config
    from fercache.loading.sources import TrainRequest
    from fercache.settings import load_settings
    from fercache.stages.train import train

    named = {"trunk": trunk, "trunk_weights": trunk_weights}
    request = TrainRequest(
        source=POOL.join(sources),
        heads=heads or TrainRequest.heads,
        encoder=encoder,
        seeds=parse_seeds(seeds),
        set={name: value for name, value in named.items() if value} | parse_settings(pairs),
        classes=classes,
        policy=policy,
        label_file=label_file,
        prompts=prompts,
        faces=faces,
        keep_validation_copies=keep_validation_copies,
        device=device,
    )
    folders = train(load_settings(), request)
    for folder in folders:
        click.echo(folder)
    _, config = read_config(folders[0])
    copies = f" ({config.validation_copies:,} more show what is trained on)" if config.validation_copies else ""
    click.echo(
        f"{config.source}: {config.train_rows:,} faces trained on, {config.validation_rows:,} of source validation"
        + copies
        + left_out(config.dropped)
    )
    click.echo(next_command("evaluate", encoder=encoder))
