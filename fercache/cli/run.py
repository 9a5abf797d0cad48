"""fercache run"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fercache.cli.options import device_option, show_report

if TYPE_CHECKING:
    from fercache.experiments.run import Outcome


@click.command("run")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what is done, stale or missing, and why; do nothing.")
@device_option
def command(file: Path, dry_run: bool, device: str) -> None:
    """Run an experiment: extract, train, evaluate and compare whatever FILE asks for and is not there yet.

    See `pipelines/` for experiments, and how to write one. Interrupted, the same command goes on from there.
    """
    from fercache.experiments.config import load_experiment
    from fercache.experiments.run import RunRequest, plan, run
    from fercache.settings import load_settings

    settings, experiment = load_settings(), load_experiment(file)
    if dry_run:
        for step, status in plan(settings, experiment):
            click.echo(f"{status.state:8}{step.title}" + (f": {status.reason}" if status.reason else ""))
        return
    _show(run(settings, RunRequest(experiment, device)))


def _show(outcome: "Outcome") -> None:
    """The table and the page. Raises FercacheError, which lists them, when steps failed."""
    from fercache.errors import FercacheError

    if outcome.page is not None:
        show_report(outcome.page, outcome.records)
    if outcome.failures:
        told = "".join(f"\n  {failure.title}: {failure.reason}" for failure in outcome.failures)
        steps = "step was" if len(outcome.failures) == 1 else "steps were"
        raise FercacheError(
            f"{len(outcome.failures)} {steps} not done; the rest is kept, and the same command tries again.{told}"
        )
