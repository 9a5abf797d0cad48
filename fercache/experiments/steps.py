"""An experiment as steps in their order, and the state of each. Nothing here looks at a disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from fercache import registry
from fercache.datasets import DatasetName, source_names
from fercache.experiments.config import Experiment, Trial, Variant, trials, variants
from fercache.options.extract import ContentOptions, EncoderOptions, EncoderRequest, ExtractRequest
from fercache.options.train import LearningOptions, TrainRequest
from fercache.scoring.selection import BY_SHIFTED


@dataclass(frozen=True)
class Extract:
    """A data set's table, with the crops and views that the experiment takes from it."""

    title: str
    request: ExtractRequest
    needs: tuple[int, ...] = ()
    unit = "table"


@dataclass(frozen=True)
class Train:
    """A method on a source, with all its seeds. `needs` are the numbers of the source's tables."""

    title: str
    request: TrainRequest
    needs: tuple[int, ...]
    unit = "run"


@dataclass(frozen=True)
class Evaluate:
    """Everything that is trained on a source, on its targets. `needs` are the numbers of both."""

    title: str
    targets: tuple[str, ...]
    exclude_duplicates: bool
    needs: tuple[int, ...]
    unit = "score"


@dataclass(frozen=True)
class Compare:
    """The report on all of it. `needs` are the numbers of what is scored."""

    title: str
    name: str
    selection: tuple[str, ...]
    baseline: str | None
    about: str
    needs: tuple[int, ...]
    unit = "page"


Step: TypeAlias = Extract | Train | Evaluate | Compare


def expand(experiment: Experiment) -> tuple[Step, ...]:
    """The steps, in an order in which each finds what it needs."""
    found, chosen = trials(experiment), variants(experiment)
    steps: list[Step] = []
    table: dict[str, int] = {}
    for request in _extractions(experiment, found):
        table[request.dataset] = len(steps)
        steps.append(Extract(_extract_title(request), request))
    scored: list[int] = []
    for trial in found:
        sources = tuple(table[table_name(str(name))] for name in source_names(trial.source))
        trained = tuple(range(len(steps), len(steps) + len(chosen)))
        steps += [_train(experiment, trial, variant, sources=sources) for variant in chosen]
        targets = tuple(table[table_name(name)] for name in trial.targets)
        title = f"evaluate what is trained on {trial.source}, {_count(len(trial.targets), 'target')}"
        scored.append(len(steps))
        unique = experiment.statistics.exclude_duplicates
        steps.append(Evaluate(title, trial.targets, unique, (*trained, *dict.fromkeys((*sources, *targets)))))
    title = f"compare in the report {experiment.report_name}"
    baseline = experiment.statistics.baseline
    steps.append(
        Compare(
            title,
            experiment.report_name,
            experiment.selection,
            baseline=baseline,
            about=experiment.about,
            needs=tuple(scored),
        )
    )
    return tuple(steps)


def table_name(name: str) -> str:
    """What is extracted for a source or target: of a clean set all splits, of a spoilt one those that are named."""
    parsed = DatasetName.parse(name)
    return str(parsed if parsed.corruption else parsed.whole)


def _extractions(experiment: Experiment, found: Sequence[Trial]) -> list[ExtractRequest]:
    """Sources with views, targets without: they are scored on clean pictures."""
    sources = [table_name(str(name)) for trial in found for name in source_names(trial.source)]
    targets = [table_name(name) for trial in found for name in trial.targets]
    if experiment.statistics.exclude_duplicates:  # seen in the clean pictures
        targets = [each for name in targets for each in (str(DatasetName.parse(name).clean), name)]
    encoder = EncoderRequest(**experiment.encoder.part(EncoderOptions))
    content = experiment.part(ContentOptions)
    return [
        ExtractRequest(
            dataset=name,
            encoder=encoder,
            shifted=BY_SHIFTED in experiment.selection and name in sources,
            **content | ({} if name in sources else {"views": 0}),
        )
        for name in dict.fromkeys((*sources, *targets))
    ]


def _extract_title(request: ExtractRequest) -> str:
    views = [f"{_count(request.views, 'view')} of {request.recipe}"] if request.views else []
    crops = [f"crops of {request.crops} pixels"] if request.crops else []
    return ", ".join([f"extract {request.dataset}", *views, *crops])


def _train(experiment: Experiment, trial: Trial, variant: Variant, sources: tuple[int, ...]) -> Train:
    seeds = experiment.seeds if registry.load("heads", variant.head).seeded else experiment.seeds[:1]
    request = TrainRequest(
        source=trial.source,
        heads=(variant.head,),
        encoder=experiment.encoder.name,
        seeds=seeds,
        set=variant.settings,
        prompts=experiment.prompts,
        **experiment.part(LearningOptions),
    )
    return Train(f"train {variant} on {trial.source}, {_count(len(seeds), 'seed')}", request, sources)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


class State(StrEnum):
    """Of a step: `stale` is what was done with something that has changed since."""

    DONE = "done"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True)
class Found:
    """What there is of a step: `there` of the `wanted` pieces, what has `changed` since, and what is `wrong`.

    `runs` are the folders that training would return, those that are not there yet among them.
    """

    wanted: int
    there: int
    changed: str = ""
    wrong: str = ""
    runs: tuple[Path, ...] = ()


Inventory: TypeAlias = Sequence[Found]
"""What there is of each step, in their order."""


@dataclass(frozen=True)
class Status:
    """A step's state, and why: empty for one that is done."""

    state: State
    reason: str = ""


def states(steps: Sequence[Step], inventory: Inventory) -> tuple[Status, ...]:
    """The state of each step: one that needs what is missing or stale is not done either."""
    found: list[Status] = []
    for step, there in zip(steps, inventory, strict=True):
        own = _own_status(step, there)
        waits = [number for number in step.needs if found[number].state != State.DONE]
        if own.state == State.DONE and waits:
            own = Status(State.STALE, f"it comes after '{steps[waits[0]].title}'")
        found.append(own)
    return tuple(found)


def _own_status(step: Step, found: Found) -> Status:
    if found.changed:
        return Status(State.STALE, found.changed)
    if found.there == found.wanted and not found.wrong:
        return Status(State.DONE)
    told = f"{found.there} of {found.wanted} {step.unit}s are there" if found.wanted > 1 else f"there is no {step.unit}"
    return Status(State.MISSING, found.wrong or told)
