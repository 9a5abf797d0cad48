"""Running an experiment, from images to its report: finished steps are skipped, missing and stale ones are run."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fercache.errors import FercacheError
from fercache.experiments.config import Experiment
from fercache.experiments.inventory import finished_runs, on_tables, records_of, take_inventory
from fercache.experiments.states import State, Status, states
from fercache.experiments.steps import Compare, Evaluate, Extract, Step, Train, expand, table_name
from fercache.loading.thumbnails import images_of
from fercache.options.evaluate import EvaluateRequest
from fercache.records import Record
from fercache.reporting.page import PAGE, write_report
from fercache.reporting.report import ReportRequest
from fercache.settings import Settings
from fercache.stages.evaluate import evaluate
from fercache.stages.extract import extract
from fercache.stages.train import planned_runs, train
from fercache.store.tables import find_tables


@dataclass(frozen=True)
class RunRequest:
    """An experiment and a device."""

    experiment: Experiment
    device: str = "auto"


@dataclass(frozen=True)
class Failure:
    """A failed step and the reason."""

    title: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """The page and its records, if there are any, and the steps that failed or were skipped."""

    page: Path | None
    records: list[Record]
    failures: tuple[Failure, ...]


def plan(settings: Settings, experiment: Experiment) -> list[tuple[Step, Status]]:
    """Every step of an experiment with its state; runs nothing."""
    steps = expand(experiment)
    return list(zip(steps, states(steps, take_inventory(settings, steps)), strict=True))


def run(settings: Settings, request: RunRequest) -> Outcome:
    """Runs the steps that are not done, in order. After a failed step, the others continue with what exists.

    An interrupt stops it at once; another call continues from there.
    """
    steps = expand(request.experiment)
    inventory = take_inventory(settings, steps)
    work = _Work(
        settings, steps, request.device, runs={n: found.runs for n, found in enumerate(inventory)}, failures={}
    )
    for number, (step, status) in enumerate(zip(steps, states(steps, inventory), strict=True)):
        title = f"[{number + 1}/{len(steps)}] {step.title}"
        if status.state == State.DONE:
            _print(f"{title}: already done")
            continue
        try:
            if reason := work.reason_to_skip(step):
                work.failures[number] = Failure(step.title, reason)
                _print(f"{title}: {reason}")
            else:
                _print(f"{title} ...")
                work.do(number, step)
        except Exception as error:  # any error: the other steps still run
            work.failures[number] = Failure(step.title, _message(error))
            _print(f"{title}: failed: {_message(error)}")
    return work.outcome()


@dataclass
class _Work:
    """The state while steps run: the runs of each training, and the failures, by step number.

    `shown` is the page with its records, once written.
    """

    settings: Settings
    steps: Sequence[Step]
    device: str
    runs: dict[int, Sequence[Path]]
    failures: dict[int, Failure]
    shown: tuple[Path, list[Record]] | None = None

    def reason_to_skip(self, step: Step) -> str:
        """Why a step cannot run. Training needs all its tables; scores and reports use what exists."""
        failed = [self.failures[number].title for number in step.needs if number in self.failures]
        return f"skipped, because '{failed[0]}' did not finish" if failed and not self._has_work(step) else ""

    def _has_work(self, step: Step) -> bool:
        match step:
            case Evaluate():
                return bool(self._targets(step) and finished_runs(step, self.runs))
            case Compare():
                return bool(records_of(self.settings, self.steps, step, runs=self.runs))
        return False

    def _targets(self, step: Evaluate) -> tuple[str, ...]:
        """The targets whose table could be extracted."""
        failed = [self.steps[number] for number in step.needs if number in self.failures]
        lost = [each.request.dataset for each in failed if isinstance(each, Extract)]
        return tuple(target for target in step.targets if table_name(target) not in lost)

    def do(self, number: int, step: Step) -> None:
        """Runs one step by its stage."""
        match step:
            case Extract(request=request):
                extract(self.settings, request.but(encoder=request.encoder.but(device=self.device)))
            case Train():
                self._train(number, step)
            case Evaluate():
                self._evaluate(step)
            case Compare():
                self._compare(step)

    def _train(self, number: int, step: Train) -> None:
        request = on_tables(self.steps, step, find_tables(self.settings.cache))
        try:
            self.runs[number] = train(self.settings, request.but(device=self.device))
        except Exception:
            with suppress(FercacheError):
                self.runs[number] = planned_runs(self.settings, request)  # some of them may be finished
            raise

    def _evaluate(self, step: Evaluate) -> None:
        names = tuple(folder.name for folder in finished_runs(step, self.runs))
        request = EvaluateRequest(
            targets=self._targets(step),
            runs=names,
            device=self.device,
            exclude_duplicates=step.exclude_duplicates,
            adapt=step.adapt,
        )
        evaluate(self.settings, request)

    def _compare(self, step: Compare) -> None:
        records, folder = records_of(self.settings, self.steps, step, runs=self.runs), self.settings.report(step.name)
        shown = ReportRequest(images_of(self.settings, show_real=False), baseline=step.baseline, about=step.about)
        self.shown = write_report(records, folder, self.settings.cache, request=shown), records

    def outcome(self) -> Outcome:
        """The outcome after the last step."""
        last = self.steps[-1]
        assert isinstance(last, Compare)
        failed = tuple(self.failures[number] for number in sorted(self.failures))
        if len(self.steps) - 1 in self.failures:
            return Outcome(None, [], failed)
        page, records = self.shown or self._shown_before(last)
        return Outcome(page, records, failed)

    def _shown_before(self, step: Compare) -> tuple[Path, list[Record]]:
        return self.settings.report(step.name) / PAGE, records_of(self.settings, self.steps, step, runs=self.runs)


def _print(text: str) -> None:
    print(text, file=sys.stderr)


def _message(error: Exception) -> str:
    """An error as text; of an unexpected one with its type."""
    return str(error) if isinstance(error, FercacheError) else f"{type(error).__name__}: {error}"
