"""fercache bench"""

import click

from fercache.cli.options import takes
from fercache.options.bench import WHOLE_EPOCHS, ExtractionBenchRequest, TrainingBenchRequest


@click.group("bench")
def command() -> None:
    """Measure the speed of this machine."""


@command.command("train")
@takes(TrainingBenchRequest)
def train_command(request: TrainingBenchRequest) -> None:
    """Measure the speed of training.

    Trains sigmoid-mask on random features, alternating between fercache's loop and a plain loop. Also prints the time
    of the matrix products alone.
    """
    from fercache.bench.training import bench_training
    from fercache.settings import load_settings

    path, table = bench_training(load_settings(), request)
    scaled = "" if request.epochs == WHOLE_EPOCHS else f", scaled from {request.epochs}"
    click.echo(f"{request.faces:,} faces, {WHOLE_EPOCHS} epochs{scaled}; ratio to the plain loop; accuracy per seed")
    click.echo(table.to_string(index=False, na_rep="-"))
    click.echo(f"table: {path}")


@command.command("extract")
@takes(ExtractionBenchRequest)
def extract_command(request: ExtractionBenchRequest) -> None:
    """Measure the speed of extraction.

    Encodes synthetic faces: each stage alone, all stages, and a plain loop without fercache. Also prints the time of
    the encoder's matrix products alone.
    """
    from fercache.bench.extraction import bench_extraction
    from fercache.settings import load_settings

    path, table = bench_extraction(load_settings(), request)
    click.echo(table.to_string(index=False, na_rep="-"))
    click.echo("encode_ratio, end_to_end_ratio: the rate of encode, and of end to end, divided by the rate of the row")
    click.echo("peak_mib: peak memory of this process (getrusage) after its first end to end")
    click.echo(f"table: {path}")
