"""fercache import-predictions"""

import click

from fercache.cli.options import left_out, renamed, scores_text, takes
from fercache.options.import_predictions import ImportRequest


@click.command("import-predictions")
@takes(ImportRequest)
@renamed("policy", "votes")
def command(request: ImportRequest) -> None:
    """Score the predictions of any model.

    FILE is a CSV file with a column `id` and one column per expression, of logits or probabilities.
    """
    from fercache.records import read_record
    from fercache.settings import load_settings
    from fercache.stages.import_predictions import import_predictions

    for path in import_predictions(load_settings(), request):
        record = read_record(path)
        score = record.scores["main"]
        scores = scores_text(score.accuracy, score.mean_class_recall, score.n)
        click.echo(f"{record.head} on {record.target_label}: {scores}{left_out(record.dropped)}")
        click.echo(f"record: {path} (to remove it, delete {path.parent.parent})")
    click.echo("next: fercache compare")
