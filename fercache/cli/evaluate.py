"""fercache evaluate"""

from typing import TYPE_CHECKING

import click

from fercache.cli.options import left_out, scores_text, takes
from fercache.options.evaluate import EvaluateRequest

if TYPE_CHECKING:
    from fercache.records import Record


@click.command("evaluate")
@takes(EvaluateRequest)
def command(request: EvaluateRequest) -> None:
    """Score runs on unseen targets, for every selection policy.

    Writes logits, accuracy, mean class recall, confusion matrix and intervals.
    """
    from fercache.datasets import every_set
    from fercache.records import read_record
    from fercache.scoring.selection import headline
    from fercache.settings import load_settings
    from fercache.stages.evaluate import evaluate

    if request.folds:
        _print_folds(request)
        return
    request = request.but(targets=every_set(request.targets))
    records = [read_record(path) for path in evaluate(load_settings(), request)]
    for line in dict.fromkeys(_faces(record) for record in records):
        click.echo(line)
    policies = {run: headline([{r.selection for r in records if r.run == run}]) for run in {r.run for r in records}}
    for record in records:
        if record.selection == policies[record.run]:
            score = record.scores["main"]
            seen = f" (not unseen: {'; '.join(record.why_seen)})" if record.why_seen else ""
            scores = scores_text(score.accuracy, score.mean_class_recall, score.n)
            click.echo(f"{record.run} on {record.target_label}{seen}{_adapted(record)}: {scores}, {record.selection}")
    if not records:
        click.echo("All runs are already scored; use --again to score them again.")
    click.echo("next: fercache compare")


def _print_folds(request: EvaluateRequest) -> None:
    from fercache.output_paths import shown
    from fercache.settings import load_settings
    from fercache.stages.cross_validate import cross_validate

    path, found = cross_validate(load_settings(), request)
    for each in found:
        grouped = "grouped by subject" if each.grouped else "subjects unknown"
        (low, high), score = each.intervals["accuracy"], each.scores
        click.echo(
            f"{each.config.name} inside {each.config.source}, {each.folds} folds, {grouped}: "
            f"accuracy {score.accuracy:.1%} ({low:.1%} to {high:.1%}), mean class recall "
            f"{score.mean_class_recall:.1%}, {score.n:,} faces"
        )
    click.echo("These are scores on the training domain; on an unseen one they are usually lower.")
    click.echo(f"table: {shown(path)}")


def _adapted(record: "Record") -> str:
    if record.adaptation is None:
        return ""
    declined = f" (declined: {record.adaptation.declined})" if record.adaptation.declined else ""
    return f", {record.adaptation.name}{declined}"


def _faces(record: "Record") -> str:
    copies = "" if record.duplicates is None else f", {record.duplicates:,} of them copies of training faces"
    return f"{record.target_label}: {record.kept:,} faces scored{copies}{left_out(record.dropped)}"
