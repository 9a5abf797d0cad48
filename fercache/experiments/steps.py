"""The ordered steps of an experiment. Nothing here reads files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fercache import registry
from fercache.datasets import DatasetName, source_names
from fercache.experiments.config import Experiment, Trial, Variant, trials, variants
from fercache.options.extract import ContentOptions, EncoderOptions, EncoderRequest, ExtractRequest
from fercache.options.train import LearningOptions, TrainRequest
from fercache.scoring.selection import BY_SHIFTED


@dataclass(frozen=True)
class Extract:
    """A dataset's table, with the crops and views that the experiment needs."""

    title: str
    request: ExtractRequest
    needs: tuple[int, ...] = ()
    unit = "table"


@dataclass(frozen=True)
class Train:
    """A method on a source, with all its seeds. `needs` are the step numbers of the source's tables."""

    title: str
    request: TrainRequest
    needs: tuple[int, ...]
    unit = "run"


@dataclass(frozen=True)
class Evaluate:
    """All runs of a source on its targets. `needs` are the step numbers of the runs and all tables."""

    title: str
    targets: tuple[str, ...]
    exclude_duplicates: bool
    adapt: tuple[str, ...]
    needs: tuple[int, ...]
    unit = "score"


@dataclass(frozen=True)
class Compare:
    """The report on all scores. `needs` are the step numbers of the evaluations."""

    title: str
    name: str
    selection: tuple[str, ...]
    baseline: str | None
    about: str
    published: tuple[str, ...]
    needs: tuple[int, ...]
    unit = "page"


Step: TypeAlias = Extract | Train | Evaluate | Compare


def expand(experiment: Experiment) -> tuple[Step, ...]:
    """The steps, each after the steps that it needs."""
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
        title = f"evaluate runs of {trial.source}, {_count(len(trial.targets), 'target')}"
        scored.append(len(steps))
        steps.append(
            Evaluate(
                title,
                trial.targets,
                exclude_duplicates=experiment.statistics.exclude_duplicates,
                adapt=experiment.adapt,
                needs=(*trained, *dict.fromkeys((*sources, *targets))),
            )
        )
    title = f"compare in report {experiment.report_name}"
    baseline = experiment.statistics.baseline
    steps.append(
        Compare(
            title,
            experiment.report_name,
            experiment.selection,
            baseline=baseline,
            about=experiment.about,
            published=experiment.published,
            needs=tuple(scored),
        )
    )
    return tuple(steps)


def table_name(name: str) -> str:
    """The dataset to extract for a source or target: all splits if clean, only the named split if corrupted."""
    parsed = DatasetName.parse(name)
    return str(parsed if parsed.corruption else parsed.whole)


def _extractions(experiment: Experiment, found: Sequence[Trial]) -> list[ExtractRequest]:
    """Sources with views, targets without: targets are scored on clean images."""
    sources = [table_name(str(name)) for trial in found for name in source_names(trial.source)]
    targets = [table_name(name) for trial in found for name in trial.targets]
    if experiment.statistics.exclude_duplicates:  # found in the clean images
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
