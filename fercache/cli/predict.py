"""fercache predict"""

from pathlib import Path

import click

from fercache.cli.options import encoder_options
from fercache.output_paths import shown


@click.command("predict")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", help="A trained run's name or key. Default: text similarity, without training.")
@click.option("--prompts", multiple=True, help="A sentence; give two or more. Or a TOML file.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write all probabilities there, as they come.")
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
    from contextlib import nullcontext

    from fercache.encoders import EncoderRequest
    from fercache.errors import InterruptedWorkError
    from fercache.settings import load_settings
    from fercache.stages.write_predictions import PredictionTable

    table = PredictionTable(csv_file) if csv_file else None
    try:
        from fercache.stages.predict import PredictRequest, predict

        wanted = EncoderRequest(encoder, weights, preprocessing, device, precision)
        predictions = predict(load_settings(), PredictRequest(paths, run, prompts, device, wanted))
        with table or nullcontext():
            for batch in predictions.batches():
                if table:
                    table.write(predictions.names, batch)
                for one in batch:
                    best = "  ".join(f"{name} {share:.0%}" for name, share in list(one.probabilities.items())[:3])
                    click.echo(f"{one.path}: {best or 'unreadable, ' + one.unreadable}")
    except KeyboardInterrupt:
        raise InterruptedWorkError(f"Interrupted. {table.left if table else ''}".rstrip()) from None
    if csv_file:
        click.echo(f"all probabilities: {shown(csv_file)}")
