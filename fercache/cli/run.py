"""fercache run"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fercache.cli.list import experiments
from fercache.cli.options import show_report, takes
from fercache.options.run import RunOptions

if TYPE_CHECKING:
    from fercache.experiments.run import Outcome


@click.command("run")
@click.argument("experiment", type=click.Path(path_type=Path), required=False)
@click.option("--list", "show_list", is_flag=True, help="List experiments, as `fercache list experiments`.")
@click.option("--dry-run", is_flag=True, help="Show which steps are done, stale or missing, and why; run nothing.")
@takes(RunOptions)
def command(request: RunOptions, experiment: Path | None, show_list: bool, dry_run: bool) -> None:
    """Run EXPERIMENT, a TOML file or the name of a shipped one: extract, train, evaluate and compare.

    Finished steps are skipped; after an interrupt the same command continues from there.
    """
    from fercache.errors import UsageError
    from fercache.experiments.config import load_experiment
    from fercache.experiments.run import RunRequest, plan, run
    from fercache.experiments.shipped import experiment_file
    from fercache.settings import load_settings

    if show_list:
        experiments()
        return
    if experiment is None:
        raise UsageError(
            "Name an experiment: a TOML file, or one of `fercache list experiments`, e.g. fercache run demo."
        )
    settings, loaded = load_settings(), load_experiment(experiment_file(experiment))
    if dry_run:
        for step, status in plan(settings, loaded):
            click.echo(f"{status.state:8}{step.title}" + (f": {status.reason}" if status.reason else ""))
        return
    _show(run(settings, RunRequest(experiment=loaded, **dict(request))))


def _show(outcome: "Outcome") -> None:
    """Prints the table and the page. Raises FercacheError with the list of failed steps, if there are any."""
    from fercache.errors import FercacheError

    if outcome.page is not None:
        show_report(outcome.page, outcome.records)
    if outcome.failures:
        listed = "".join(f"\n  {failure.title}: {failure.reason}" for failure in outcome.failures)
        raise FercacheError(
            f"Steps that failed or were skipped: {len(outcome.failures)}. Finished steps are kept; the same command "
            f"retries these.{listed}"
        )
