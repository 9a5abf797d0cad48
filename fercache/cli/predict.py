"""fercache predict"""

from pathlib import Path

import click

from fercache.cli.options import takes
from fercache.options.predict import PredictRequest
from fercache.output_paths import shown


@click.command("predict")
@takes(PredictRequest)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write all probabilities to this file.")
def command(request: PredictRequest, csv_file: Path | None) -> None:
    """Predict the expression in face images.

    PATHS are image files, or folders of them; the images must be cropped to the face.
    """
    from contextlib import nullcontext

    from fercache.errors import InterruptedWorkError
    from fercache.settings import load_settings
    from fercache.stages.write_predictions import PredictionTable

    table = PredictionTable(csv_file) if csv_file else None
    try:
        from fercache.stages.predict import predict

        predictions = predict(load_settings(), request)
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
