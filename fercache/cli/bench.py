"""fercache bench"""

from pathlib import Path

import click

from fercache.cli.options import encoder_options


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
    from fercache.bench.training import WHOLE_EPOCHS, BenchRequest, bench_training
    from fercache.settings import load_settings

    request = BenchRequest(batch_size, epochs, faces, dimension, trunk, crops, rounds)
    path, table = bench_training(load_settings(), request)
    scaled = "" if epochs == WHOLE_EPOCHS else f", scaled from {epochs}"
    click.echo(f"{faces:,} faces, {WHOLE_EPOCHS} epochs{scaled}; ratio to the bare loop; accuracy over the seeds")
    click.echo(table.to_string(index=False, na_rep="-"))
    click.echo(f"table: {path}")


@command.command("extract")
@encoder_options
@click.option("--images", type=click.IntRange(2), default=512, show_default=True, help="To draw, of 48 to 224 pixels.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="The least time counts.")
def extract_command(
    encoder: str,
    weights: Path | None,
    preprocessing: str,
    device: str,
    precision: str,
    images: int,
    rounds: int,
) -> None:
    """Encode drawn faces: each stage alone, all of it, and with the loop that one would write without fercache.

    Also says what the encoder's matrix products take alone.
    """
    from fercache.bench.extraction import ExtractionBenchRequest, bench_extraction
    from fercache.encoders import EncoderRequest
    from fercache.settings import load_settings

    wanted = EncoderRequest(encoder, weights, preprocessing, device, precision)
    path, table = bench_extraction(load_settings(), ExtractionBenchRequest(wanted, images, rounds))
    click.echo(table.to_string(index=False, na_rep="-"))
    click.echo("encode_ratio, end_to_end_ratio: the rate of encode, and of end to end, over that of the line")
    click.echo("peak_mib: what this process held at most (getrusage) until its first end to end was over")
    click.echo(f"table: {path}")
