"""Running an experiment, from images to its report: finished steps are skipped, missing and stale ones are run."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fercache.cluster import connected
from fercache.errors import FercacheError
from fercache.experiments.config import Experiment
from fercache.experiments.inventory import finished_runs, on_tables, records_of, take_inventory
from fercache.experiments.states import State, Status, states
from fercache.experiments.steps import Compare, Evaluate, Extract, Step, Train, expand, table_name
from fercache.loading.thumbnails import images_of
from fercache.options import EngineOptions
from fercache.options.evaluate import EvaluateRequest
from fercache.options.run import RunOptions
from fercache.options.train import TrainRequest
from fercache.records import Record
from fercache.reporting.page import PAGE, write_report
from fercache.reporting.report import ReportRequest
from fercache.settings import Settings
from fercache.stages._train_on_cluster import train_on_cluster
from fercache.stages.evaluate import evaluate
from fercache.stages.extract import extract
from fercache.stages.train import planned_runs, train
from fercache.store.tables import find_tables


class RunRequest(RunOptions):
    """An experiment, and where its steps compute."""

    experiment: Experiment


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

    An interrupt stops it at once; another call continues from there. Raises UsageError without a Ray cluster if there
    should be one.
    """
    steps = expand(request.experiment)
    inventory = take_inventory(settings, steps)
    status_of = states(steps, inventory)
    to_do = {number: steps[number] for number, status in enumerate(status_of) if status.state != State.DONE}
    if request.engine == "ray" and any(isinstance(step, Extract | Train) for step in to_do.values()):
        connected(request.address)  # else every step would fail by itself
    runs: dict[int, Sequence[Path]] = {number: found.runs for number, found in enumerate(inventory)}
    untrained = {number: step for number, step in to_do.items() if isinstance(step, Train)}
    work = _Work(settings, steps, request, runs=runs, failures={}, untrained=untrained)
    for number, step in enumerate(steps):
        title = f"[{number + 1}/{len(steps)}] {step.title}"
        if number not in to_do:
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

    `untrained` are the steps whose runs are missing; `together` those that were trained on a cluster, with the first
    error of each; `shown` the page with its records, once written.
    """

    settings: Settings
    steps: Sequence[Step]
    request: RunRequest
    runs: dict[int, Sequence[Path]]
    failures: dict[int, Failure]
    untrained: Mapping[int, Train]
    together: dict[int, Exception | None] = field(default_factory=dict)
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
                encoder = request.encoder.but(device=self.request.device)
                extract(self.settings, request.but(encoder=encoder, **self.request.part(EngineOptions)))
            case Train():
                self._train(number, step)
            case Evaluate():
                self._evaluate(step)
            case Compare():
                self._compare(step)

    def _train(self, number: int, step: Train) -> None:
        if self.request.engine == "ray" and self.untrained:
            self._train_together()
        if number in self.together:
            if (failure := self.together[number]) is not None:
                raise failure
            return
        request = self._asked(step)
        try:
            self.runs[number] = train(self.settings, request)
        except Exception:
            with suppress(FercacheError):
                self.runs[number] = planned_runs(self.settings, request)  # some of them may be finished
            raise

    def _train_together(self) -> None:
        """Trains all steps at once: a cluster has more cores than one of them has seeds."""
        requests: dict[int, TrainRequest] = {}
        failed: dict[int, Exception] = {}

        def note(number: int, error: Exception) -> None:
            failed.setdefault(number, error)

        for number, step in self.untrained.items():
            if not self.reason_to_skip(step):
                with suppress(FercacheError):  # raised again in the step itself
                    requests[number] = self._asked(step)
        self.untrained = {}
        _print(f"training for {len(requests)} steps at once")
        self.runs |= train_on_cluster(self.settings, requests, note)
        self.together = {number: failed.get(number) for number in requests}

    def _asked(self, step: Train) -> TrainRequest:
        request = on_tables(self.steps, step, find_tables(self.settings.cache))
        return request.but(**self.request.part(RunOptions))

    def _evaluate(self, step: Evaluate) -> None:
        names = tuple(folder.name for folder in finished_runs(step, self.runs))
        request = EvaluateRequest(
            targets=self._targets(step),
            runs=names,
            device=self.request.device,
            exclude_duplicates=step.exclude_duplicates,
            adapt=step.adapt,
        )
        evaluate(self.settings, request)

    def _compare(self, step: Compare) -> None:
        records, folder = records_of(self.settings, self.steps, step, runs=self.runs), self.settings.report(step.name)
        images = images_of(self.settings, show_real=False)
        shown = ReportRequest(images, baseline=step.baseline, about=step.about, published=step.published)
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
