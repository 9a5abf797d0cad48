"""fercache bench"""

import click


@click.group("bench")
def command() -> None:
    """How fast this machine is."""


@command.command("train")
@click.option("--batch-size", type=click.IntRange(2), multiple=True, default=(32, 128, 512), show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=60, show_default=True, help="Fewer are scaled to 60.")
@click.option("--faces", type=click.IntRange(2), default=12271, show_default=True)
@click.option("--dimension", type=click.IntRange(7), default=512, show_default=True, help="Of the random features.")
@click.option("--trunk", default="mlp", show_default=True, help="A timm backbone (resnet18) needs --crops.")
@click.option("--crops", type=click.IntRange(1), help="The side of random crops.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Seeds; the least time counts.")
def train_command(
    batch_size: tuple[int, ...], epochs: int, faces: int, dimension: int, trunk: str, crops: int | None, rounds: int
) -> None:
    """Train sigmoid-mask on random features, with our loop and with a bare one in turn.

    Also says what its matrix products take alone.
    """
    from fercache.settings import load_settings
    from fercache.stages.bench import WHOLE_EPOCHS, BenchRequest, bench_training

    request = BenchRequest(batch_size, epochs, faces, dimension, trunk, crops, rounds)
    path, table = bench_training(load_settings(), request)
    scaled = "" if epochs == WHOLE_EPOCHS else f", scaled from {epochs}"
    click.echo(f"{faces:,} faces, {WHOLE_EPOCHS} epochs{scaled}; ratio to the bare loop; accuracy over the seeds")
    click.echo(table.to_string(index=False, na_rep="-"))
    click.echo(f"table: {path}")
