"""fercache import-predictions"""

from pathlib import Path

import click

from fercache.cli.options import left_out
from fercache.scoring.selection import FALLBACK, POLICIES


@click.command("import-predictions")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--target", required=True, help="What was predicted, NAME[@SPLIT]; it must have been extracted.")
@click.option(
    "--source", "sources", multiple=True, required=True, help="What the model was trained on; may be given again."
)
@click.option("--model", help="The model's name, where the file has no column `model`.")
@click.option("--seed", default=0, show_default=True, help="Which of the model's seeds it is.")
@click.option(
    "--selection",
    type=click.Choice(POLICIES),
    default=FALLBACK,
    show_default=True,
    help="How the model's epoch was chosen; oracle: on the target itself.",
)
@click.option("--policy", default="majority", show_default=True, help="majority or plurality, for votes.")
@click.option("--labels", "label_file", help="Which of the set's label files (ferplus: fer2013new, folders).")
def command(
    file: Path,
    target: str,
    sources: tuple[str, ...],
    model: str | None,
    seed: int,
    selection: str,
    policy: str,
    label_file: str | None,
) -> None:
    """Score anybody's predictions: a CSV FILE with `id` and logits or probabilities, a column per expression."""
    from fercache.datasets import POOL
    from fercache.records import read_record
    from fercache.settings import load_settings
    from fercache.stages.import_predictions import ImportRequest, import_predictions

    request = ImportRequest(file, target, POOL.join(sources), model, seed, selection, policy, label_file)
    for path in import_predictions(load_settings(), request):
        record = read_record(path)
        score = record.scores["main"]
        scores = f"{score.accuracy:.1%}, recall {score.uar:.1%}, n {score.n}"
        click.echo(f"{record.head} on {record.target_label}: {scores}{left_out(record.dropped)}")
        click.echo(f"record: {path} (to forget it, delete {path.parent.parent})")
    click.echo("next: fercache compare")
