"""An experiment, from pictures to its report: what is there is kept, what is missing or stale is done."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fercache.errors import FercacheError
from fercache.experiments.config import Experiment
from fercache.experiments.inventory import finished_runs, on_tables, records_of, take_inventory
from fercache.experiments.steps import (
    Compare,
    Evaluate,
    Extract,
    State,
    Status,
    Step,
    Train,
    expand,
    states,
    table_name,
)
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
    """Which experiment, and on which device."""

    experiment: Experiment
    device: str = "auto"


@dataclass(frozen=True)
class Failure:
    """A step that could not be done, and why."""

    title: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """The page with the records that it shows, as far as there are any, and what failed or had to be left out."""

    page: Path | None
    records: list[Record]
    failures: tuple[Failure, ...]


def plan(settings: Settings, experiment: Experiment) -> list[tuple[Step, Status]]:
    """Every step of an experiment with its state; nothing is done."""
    steps = expand(experiment)
    return list(zip(steps, states(steps, take_inventory(settings, steps)), strict=True))


def run(settings: Settings, request: RunRequest) -> Outcome:
    """Does what is not done, in order. A step that fails is noted, and the others go on, with what there is.

    An interrupt stops it at once; called again, it goes on from there.
    """
    steps = expand(request.experiment)
    inventory = take_inventory(settings, steps)
    work = _Work(
        settings, steps, request.device, runs={n: found.runs for n, found in enumerate(inventory)}, failures={}
    )
    for number, (step, status) in enumerate(zip(steps, states(steps, inventory), strict=True)):
        told = f"[{number + 1}/{len(steps)}] {step.title}"
        if status.state == State.DONE:
            _say(f"{told}: done before")
            continue
        try:
            if reason := work.cannot(step):
                work.failures[number] = Failure(step.title, reason)
                _say(f"{told}: {reason}")
            else:
                _say(f"{told} ...")
                work.do(number, step)
        except Exception as error:  # whatever it is, the other steps need not suffer
            work.failures[number] = Failure(step.title, _told(error))
            _say(f"{told}: failed: {_told(error)}")
    return work.outcome()


@dataclass
class _Work:
    """What is known while the steps are done: the runs of each training, and the failures, by number of the step.

    `shown` is the page with its records, once it has been written.
    """

    settings: Settings
    steps: Sequence[Step]
    device: str
    runs: dict[int, Sequence[Path]]
    failures: dict[int, Failure]
    shown: tuple[Path, list[Record]] | None = None

    def cannot(self, step: Step) -> str:
        """Why a step has nothing to work on. Training needs all its tables; scores and reports take what there is."""
        failed = [self.failures[number].title for number in step.needs if number in self.failures]
        return f"skipped, because of '{failed[0]}'" if failed and not self._has_work(step) else ""

    def _has_work(self, step: Step) -> bool:
        match step:
            case Evaluate():
                return bool(self._targets(step) and finished_runs(step, self.runs))
            case Compare():
                return bool(records_of(self.settings, self.steps, step, runs=self.runs))
        return False

    def _targets(self, step: Evaluate) -> tuple[str, ...]:
        """Those whose table could be made."""
        failed = [self.steps[number] for number in step.needs if number in self.failures]
        lost = [each.request.dataset for each in failed if isinstance(each, Extract)]
        return tuple(target for target in step.targets if table_name(target) not in lost)

    def do(self, number: int, step: Step) -> None:
        """One step, by its stage."""
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
                self.runs[number] = planned_runs(self.settings, request)  # others of them may be whole
            raise

    def _evaluate(self, step: Evaluate) -> None:
        names = tuple(folder.name for folder in finished_runs(step, self.runs))
        unique = step.exclude_duplicates
        evaluate(
            self.settings,
            EvaluateRequest(targets=self._targets(step), runs=names, device=self.device, exclude_duplicates=unique),
        )

    def _compare(self, step: Compare) -> None:
        records, folder = records_of(self.settings, self.steps, step, runs=self.runs), self.settings.report(step.name)
        shown = ReportRequest(images_of(self.settings, show_real=False), baseline=step.baseline, about=step.about)
        self.shown = write_report(records, folder, self.settings.cache, request=shown), records

    def outcome(self) -> Outcome:
        """What there is at the end."""
        last = self.steps[-1]
        assert isinstance(last, Compare)
        failed = tuple(self.failures[number] for number in sorted(self.failures))
        if len(self.steps) - 1 in self.failures:
            return Outcome(None, [], failed)
        page, records = self.shown or self._shown_before(last)
        return Outcome(page, records, failed)

    def _shown_before(self, step: Compare) -> tuple[Path, list[Record]]:
        return self.settings.report(step.name) / PAGE, records_of(self.settings, self.steps, step, runs=self.runs)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _told(error: Exception) -> str:
    """An error in one line; of one that nobody foresaw the kind as well."""
    return str(error) if isinstance(error, FercacheError) else f"{type(error).__name__}: {error}"
