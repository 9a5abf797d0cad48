"""fercache predict"""

from pathlib import Path

import click

from fercache.cli.options import encoder_options


@click.command("predict")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", help="A trained run's name or key. Default: text similarity, without training.")
@click.option("--prompts", multiple=True, help="A sentence of your own; give two or more in place of the expressions.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write all probabilities there.")
@encoder_options
def command(
    paths: tuple[Path, ...],
    run: str | None,
    prompts: tuple[str, ...],
    csv_file: Path | None,
    encoder: str,
    weights: Path | None,
    preprocessing: str,
    device: str,
    precision: str,
) -> None:
    """Name the expression in face pictures: PATHS are files or folders, cropped to the face."""
    from fercache.encoders import EncoderRequest
    from fercache.settings import load_settings
    from fercache.stages.predict import PredictRequest, predict, write_csv

    wanted = EncoderRequest(encoder, weights, preprocessing, device, precision)
    predictions = predict(load_settings(), PredictRequest(paths, run, prompts, device, wanted))
    for one in predictions:
        best = "  ".join(f"{name} {share:.0%}" for name, share in list(one.probabilities.items())[:3])
        click.echo(f"{one.path}: {best or 'unreadable, ' + one.unreadable}")
    if csv_file:
        click.echo(f"all probabilities: {write_csv(csv_file, predictions)}")
