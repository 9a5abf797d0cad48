"""The TOML file of an experiment: sources, heads, targets and the report.

Keys have the names of the matching options of `extract` and `train`. Wrong names, settings, grids and sources are found
when the file is read, before anything is extracted; what only the dataset's files can show, when they are used.
"""

import itertools
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from fercache import registry
from fercache.datasets import DatasetName, check_domain, every_set, source_names
from fercache.errors import LONGEST_NAME, UsageError, first_problem, nearest
from fercache.heads import RANDOM, FitSettings, HeadSettings
from fercache.images.corruptions import corruptions
from fercache.images.views import CLEAN, load_recipe
from fercache.layouts.remote import exists
from fercache.options import Options
from fercache.options.extract import ContentOptions, EncoderOptions
from fercache.options.train import LearningOptions, Seeds
from fercache.policies import DEFAULT, FALLBACK, SelectionPolicy
from fercache.prompts import prompt_set
from fercache.reporting.export.published_rows import rows_of
from fercache.splits import POOL
from fercache.toml_files import is_file, read_toml
from fercache.weights.timm_backbone import PRETRAINED

ENCODER_KEYS = {"encoder" if name == "name" else name: name for name in EncoderOptions.model_fields}
"""Key in the file -> field of `EncoderOptions`."""
NAME = r"^[A-Za-z0-9][\w.-]*$"
"""Names of experiments and their reports."""
MOST_METHODS = 10_000
"""The limit of an experiment: more methods would take years, and too much memory before training starts."""


class HeadEntry(Options):
    """A head, its trunk, fixed `settings`, and a `grid` of values: every combination is a method."""

    head: str
    trunk: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    grid: dict[str, tuple[Any, ...]] = Field(default_factory=dict)

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings that do not vary, including the trunk."""
        return self.settings | ({} if self.trunk is None else {"trunk": self.trunk})

    @property
    def methods(self) -> int:
        """The number of combinations."""
        return math.prod(map(len, self.grid.values()))

    def combinations(self) -> Iterator[dict[str, Any]]:
        """The settings of every method."""
        for values in itertools.product(*self.grid.values()):
            yield self.fixed | dict(zip(self.grid, values, strict=True))

    @model_validator(mode="after")
    def _check_repeats(self) -> "HeadEntry":
        if self.trunk is not None and "trunk" in self.settings:
            raise ValueError("trunk is set twice, in settings and outside of them; set it once")
        for name, values in self.grid.items():
            if not values:
                raise ValueError(f"grid.{name} is empty; list the values to try, or leave it out")
            if name in self.fixed:
                raise ValueError(f"{name} is in settings and in the grid; remove it from one of them")
        if self.methods > MOST_METHODS:
            raise ValueError(f"the grid has {self.methods:,} methods; at most {MOST_METHODS:,} are allowed")
        for name, values in self.grid.items():
            if any(value in values[:place] for place, value in enumerate(values)):
                raise ValueError(f"grid.{name} has a value twice")
        return self


class Statistics(Options):
    """The `baseline`, a head, that scores are compared with, and whether to score without duplicates as well."""

    baseline: str | None = None
    exclude_duplicates: bool = False


class Experiment(ContentOptions, LearningOptions):
    """The content of a file; see `pipelines/README.md`. In the file, the encoder's options are top-level keys."""

    name: str = Field(pattern=NAME, max_length=LONGEST_NAME)
    about: str = ""
    encoder: EncoderOptions = EncoderOptions()
    sources: tuple[str | Annotated[tuple[str, ...], Field(min_length=1)], ...] = ()
    leave_one_out: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    adapt: tuple[str, ...] = ()
    seeds: Seeds = (0, 1, 2, 3, 4)
    selection: tuple[SelectionPolicy, ...] = tuple(SelectionPolicy)
    report: str | None = Field(default=None, pattern=NAME, max_length=LONGEST_NAME)
    published: tuple[str, ...] = ()
    heads: tuple[HeadEntry, ...]
    statistics: Statistics = Statistics()

    @model_validator(mode="before")
    @classmethod
    def _nest_encoder(cls, given: dict[str, Any]) -> dict[str, Any]:
        if isinstance(given.get("encoder"), EncoderOptions):
            return given
        rest = {name: value for name, value in given.items() if name not in ENCODER_KEYS}
        return {**rest, "encoder": {ENCODER_KEYS[name]: given[name] for name in given if name in ENCODER_KEYS}}

    @model_validator(mode="before")
    @classmethod
    def _read_names_of_earlier_versions(cls, given: dict[str, Any]) -> dict[str, Any]:
        if "policy" not in given:
            return given
        print("note: 'policy' is now 'votes'; the old name will be removed in the next release.", file=sys.stderr)
        return {"votes": given["policy"]} | {name: value for name, value in given.items() if name != "policy"}

    @model_validator(mode="before")
    @classmethod
    def _check_empty(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name in ("sources", "leave_one_out", "targets", "seeds", "selection", "heads"):
            if name in given and not given[name]:
                raise ValueError(f"{name} is empty; list one or more, or leave it out")
        return given

    @model_validator(mode="after")
    def _check_combinations(self) -> "Experiment":
        if bool(self.sources) == bool(self.leave_one_out):
            raise ValueError("write either sources or leave_one_out")
        if (methods := sum(entry.methods for entry in self.heads)) > MOST_METHODS:
            raise ValueError(f"heads: there are {methods:,} methods; at most {MOST_METHODS:,} are allowed")
        if len(self.leave_one_out) == 1:
            raise ValueError("leave_one_out needs two or more datasets")
        for name in ("seeds", "selection"):
            given = getattr(self, name)
            if repeated := [value for place, value in enumerate(given) if value in given[:place]]:
                raise ValueError(f"{name}: {repeated[0]} is listed twice; list each once")
        if self.selection == (SelectionPolicy.ORACLE,):
            raise ValueError("selection: oracle selects on the target itself, so it is only allowed beside others")
        return self

    @property
    def report_name(self) -> str:
        """The report's folder in `reports/`."""
        return self.report or self.name


@dataclass(frozen=True)
class Trial:
    """A source, one dataset or several (`A & B`), and the targets of the runs trained on it."""

    source: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """A head with the settings of the file; `needs_crops`: it reads pixels."""

    head: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs_crops: bool = False

    def __str__(self) -> str:
        listed = [f"{name}={value}" for name, value in self.settings.items() if name != "trunk"]
        listed = [str(self.settings["trunk"]), *listed] if "trunk" in self.settings else listed
        return self.head + (f" ({', '.join(listed)})" if listed else "")


def load_experiment(file: Path) -> Experiment:
    """Reads a file. Raises UsageError, which names the file, for anything that could not run."""
    content = read_toml(file)
    try:
        experiment = Experiment.model_validate(content)
        _check(experiment)
    except ValidationError as error:
        raise UsageError(f"{file}: {_complaint(error)}") from None
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None
    return experiment


def trials(experiment: Experiment) -> tuple[Trial, ...]:
    """The sources and their targets. Raises UsageError for unknown names, and for targets that are trained on."""
    asked = tuple(dict.fromkeys(every_set(experiment.targets)))
    domains = experiment.leave_one_out
    if domains:
        _source(POOL.join(domains))  # raises for unknown or repeated ones
        left_out = [(POOL.join(d for d in domains if d != domain), _whole(domain)) for domain in domains]
        found = [Trial(_source(pool), tuple(dict.fromkeys((target, *asked)))) for pool, target in left_out]
    else:
        texts = [entry if isinstance(entry, str) else POOL.join(entry) for entry in experiment.sources]
        sources = list(dict.fromkeys(map(_source, texts)))
        everything = [str(name.whole) for source in sources for name in source_names(source)]
        found = [Trial(source, asked or _untrained(source, everything)) for source in sources]
    for trial in found:
        if not trial.targets:
            raise UsageError(f"No target is left for the source {trial.source}. Add targets = [...].")
        if trained := [target for target in trial.targets if target not in _untrained(trial.source, trial.targets)]:
            raise UsageError(
                f"The source {trial.source} trains on the target {trained[0]}, so its score would mean nothing. "
                "Name another split, NAME@SPLIT, or another dataset."
            )
    return tuple(found)


def variants(experiment: Experiment) -> tuple[Variant, ...]:
    """Every head with every combination of its grid, each once. Raises UsageError for settings that do not fit it.

    Heads that read pixels use the crops of the experiment.
    """
    found: dict[tuple[str, str], Variant] = {}
    for number, entry in enumerate(experiment.heads, 1):
        plugin = registry.load("heads", entry.head)
        for given in entry.combinations():
            where = f"[[heads]] number {number} ({entry.head})"
            settings = head_settings(entry.head, given, where)
            needs_crops = bool(plugin.needs_crops(settings))
            if needs_crops and "crops" not in given:
                given = given | {"crops": experiment.crops}
            _check_crops(experiment, settings, needs_crops, where=where)
            variant = Variant(entry.head, given, needs_crops)
            found.setdefault((entry.head, settings.model_dump_json()), variant)
    return tuple(found.values())


def head_settings(head: str, given: Mapping[str, Any], where: str) -> HeadSettings:
    """The settings of a head. Raises UsageError for an unknown setting or an invalid value.

    `where` is the place of the head in the message.
    """
    model: type[HeadSettings] = registry.load("heads", head).Settings
    for name in given:
        if name not in model.model_fields:
            raise UsageError(f"{where}: '{name}' is not a setting of {head}. {nearest(name, model.model_fields)}")
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        problem = first_problem(error)
        raise UsageError(f"{where}: {problem.name} = {problem.given!r}: {problem.message}.") from None


def _check(experiment: Experiment) -> None:
    """Checks everything that the types do not."""
    registry.encoder_family(experiment.encoder.name)
    weights = experiment.encoder.weights
    if weights and not exists(weights):
        raise UsageError(f"weights = {weights}: no such file; relative paths start at {Path.cwd()}.")
    prompt_set(experiment.prompts)
    rows_of(experiment.published)
    load_recipe(experiment.recipe)
    _check_splits_and_labels(experiment)
    chosen = variants(experiment)
    if experiment.crops and not any(variant.needs_crops for variant in chosen):
        raise UsageError('crops are for heads that read pixels, and none does. Give a head trunk = "resnet18".')
    for name in experiment.adapt:
        registry.adaptation(name)
    recipe = load_recipe(experiment.recipe).name
    if experiment.views and not any(_recipe_of(variant) == recipe for variant in chosen):
        raise UsageError(
            f'views are for heads that train on them, and none does. Give a head settings = {{ recipe = "{recipe}" }}.'
        )
    _check_baseline(experiment, chosen)


def _check_splits_and_labels(experiment: Experiment) -> None:
    """Checks splits and label files as far as they are known without the datasets' files."""
    found = trials(experiment)
    names = {name for trial in found for name in (*source_names(trial.source), *map(DatasetName.parse, trial.targets))}
    label_files: set[str] = set()
    for name in sorted(names, key=str):
        family = registry.load("datasets", name.family)
        label_files |= {column.partition(":")[0] for column in family.vote_columns}
        splits = family.expected(None, name.domain).keys() - {""}
        if name.split and splits and name.split not in splits:
            raise UsageError(f"{name}: {name.whole} has no split '{name.split}'. {nearest(name.split, splits)}")
    if experiment.labels and experiment.labels not in label_files:
        known = nearest(experiment.labels, label_files) if label_files else "None of its datasets has several."
        raise UsageError(f"labels: no dataset of the experiment has the label file '{experiment.labels}'. {known}")


def _check_baseline(experiment: Experiment, chosen: Sequence[Variant]) -> None:
    baseline = experiment.statistics.baseline
    if baseline is None:
        return
    fitting = [str(variant) for variant in chosen if variant.head == baseline]
    if not fitting:
        known = {variant.head for variant in chosen}
        raise UsageError(f"statistics.baseline: '{baseline}' is not a head here. {nearest(baseline, known)}")
    if len(fitting) > 1:
        raise UsageError(f"statistics.baseline: '{baseline}' has several methods here: {'; '.join(fitting)}.")
    if len(chosen) == 1:
        raise UsageError(f"statistics.baseline: '{baseline}' is the only method here; add one to compare with it.")
    if not {DEFAULT, FALLBACK}.intersection(experiment.selection):
        raise UsageError(f"statistics.baseline: methods are compared by {DEFAULT}, else {FALLBACK}; add them.")


def _check_crops(experiment: Experiment, settings: HeadSettings, needs_crops: bool, where: str) -> None:
    side, weights = getattr(settings, "crops", None), getattr(settings, "trunk_weights", RANDOM)
    if weights not in (RANDOM, PRETRAINED) and not is_file(Path(weights)):
        raise UsageError(f"{where}: trunk_weights = {weights}: no such file; relative paths start at {Path.cwd()}.")
    if needs_crops and experiment.crops is None:
        raise UsageError(f"{where} reads pixels: write crops = SIDE, such as 112, above the heads.")
    if side not in (None, experiment.crops):
        raise UsageError(f"{where}: crops = {side} differs from the experiment's crops = {experiment.crops}.")
    wanted = settings.recipe if isinstance(settings, FitSettings) else CLEAN.name
    extracted = load_recipe(experiment.recipe).name if experiment.views else CLEAN.name
    if wanted not in (CLEAN.name, extracted):
        raise UsageError(
            f"{where} trains on views of the recipe {wanted}, which are not extracted. Write views = 4 and "
            f'recipe = "{wanted}" above the heads.'
        )


def _recipe_of(variant: Variant) -> str:
    return str(variant.settings.get("recipe", CLEAN.name))


def _source(text: str) -> str:
    """A source in its canonical spelling. Raises UsageError for unknown or repeated datasets."""
    names = source_names(text)
    for name in names:
        family = registry.load("datasets", name.family)
        if family.domains and not name.domain:
            one = ", ".join(f"{name.family}:{domain}" for domain in family.domains)
            raise UsageError(f"The source {name} has several domains: {one}. Name one of them, or several in a list.")
        check_domain(family, name.family, name.domain)
        if name.corruption and len(corruptions(name.corruption)) > 1:
            raise UsageError(
                f"The source {name} has several severities: write one, as in {name.clean}+"
                f"{corruptions(name.corruption)[0].name}:3."
            )
    return POOL.join(map(str, names))


def _whole(name: str) -> str:
    return str(DatasetName.parse(name).whole)


def _untrained(source: str, targets: Sequence[str]) -> tuple[str, ...]:
    """The targets, each once, without those that the source trains on, judged by name."""
    parts = source_names(source)
    return tuple(dict.fromkeys(target for target in targets if not _is_trained_on(DatasetName.parse(target), parts)))


def _is_trained_on(target: DatasetName, parts: Sequence[DatasetName]) -> bool:
    """Whether the scored split is a training split; that is `train` unless the source names another."""
    scored = target.split or registry.load("datasets", target.family).target_split or "test"
    return any(target.clean == part.clean and scored == (part.split or "train") for part in parts)


def _complaint(error: ValidationError) -> str:
    problem = first_problem(error)
    path = problem.place[1:] if problem.place[:1] == ("encoder",) and len(problem.place) > 1 else problem.place
    *place, last = ["encoder" if path == ("name",) and path != problem.place else each for each in path] or [""]
    if problem.kind == "extra_forbidden":
        table: dict[str, type[BaseModel]] = {"heads": HeadEntry, "statistics": Statistics}
        known = table[str(place[0])].model_fields if place else {*Experiment.model_fields, *ENCODER_KEYS}
        return f"'{last}' is not a key of {_where(place) or 'an experiment'}. {nearest(str(last), known)}"
    where, message = _where([*place, last]), problem.message
    if where.startswith("sources."):
        where, message = "sources", _POOLED
    if problem.kind in ("model_type", "model_attributes_type"):
        message = f"write a table, [{where}]"
    if problem.kind == "tuple_type":
        heads = "write a table, [[heads]], with double brackets"
        message = heads if where == "heads" else f"write a list, {_listed(problem.given)}"
    return f"{where}: {message}." if where else f"{message}."


_POOLED = 'write the names of datasets, with an inner list for each pool: ["rafdb", ["ferplus", "sfew"]]'


def _listed(given: Any) -> str:
    """A value as a list in TOML."""
    return f'["{given}"]' if isinstance(given, str) else f"[{given}]"


def _where(place: Sequence[str | int]) -> str:
    """`("heads", 1, "settings")` -> `[[heads]] number 2, settings`."""
    if place and place[0] == "heads" and len(place) > 1:
        rest = ".".join(map(str, place[2:]))
        return f"[[heads]] number {int(place[1]) + 1}" + (f", {rest}" if rest else "")
    return ".".join(map(str, place))
