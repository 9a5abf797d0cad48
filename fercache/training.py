"""The optimisation loop, and building a head."""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fercache.errors import UsageError
from fercache.heads import Batch, FitSettings, FittedHead, GradientHead, Head, HeadSettings, Task
from fercache.identity import seed_from
from fercache.runtime.precisions import casting
from fercache.scoring import metrics
from fercache.scoring.selection import choosable, validation_rank
from fercache.scoring.temperature import fit_temperature
from fercache.trunks import BLOCK, Faces

EVEN_SNAPSHOTS = 12
FINAL = "final"
FEATURES_AT_ONCE, CROPS_AT_ONCE = 8192, 256
NEIGHBOURS = 256
"""Rows of a table that are read together when faces on disk are shuffled."""
MOST_SHIFTED = 100_000
"""Faces from which a head learns the shift of corrupted images."""

_one_builder = threading.Lock()
"""Initial weights come from the global generator, which heads built simultaneously would share."""

State = dict[str, Tensor]
Row = dict[str, Any]
Outputs = tuple[NDArray[np.float32], NDArray[np.int64]]
"""(N, L) logits, and (N,) true expressions."""
Report = Callable[[Row], None]
Step = Callable[[int], None]


@dataclass(frozen=True)
class Fitted:
    """`snapshots` by name, in order of training, on the CPU; `history` has a row per epoch or candidate.

    Rows: `epoch`, the mean of each loss term (or the candidate's settings), `validation_accuracy`,
    `validation_mean_class_recall`, the same for shifted faces as `shifted_...` if there are any, `temperature`, and
    `snapshot`, the name of the kept weights, or "".
    """

    snapshots: dict[str, State]
    history: list[Row]


class ViewFeatures(Protocol):
    """Augmented views of the training faces."""

    def draw(self, faces: Batch, generator: torch.Generator) -> Batch:
        """The same faces, each in a random view."""


@dataclass(frozen=True)
class SourceFaces:
    """The faces on which a head is trained and validated.

    `shifted` are faces of `validation` with corrupted images, and `unshifted` the same faces in clean ones; `views`
    augments those of `train`. `folds` (N,) is the fold of each face of `train`, -1 for one that is in none, used if
    `validation` has too few faces for selection.
    """

    train: Batch
    validation: Batch
    shifted: Batch | None = None
    unshifted: Batch | None = None
    views: ViewFeatures | None = None
    folds: NDArray[np.int64] | None = None


def build_head(plugin: type[Head], task: Task, settings: HeadSettings, seed: int) -> Head:
    """A head whose initial weights, on the CPU, depend on `seed` alone; the global generator's state is restored."""
    with _one_builder, torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also seed the accelerators' generators.
        torch.default_generator.manual_seed(seed)
        return plugin(task, settings)


def train_head(
    head: Head,
    source: SourceFaces,
    settings: HeadSettings,
    *,
    seed: int,
    report: Report | None = None,
    step: Step | None = None,
) -> Fitted:
    """Trains `head` in place, on the device of its faces, and keeps snapshots.

    `report` is called with each row of the history, `step` with the size of each batch after its step, or with the
    faces that a fitted head is done with.

    A fitted head is fitted to the clean faces, whatever the views, and ends as its best candidate on source validation;
    with `folds`, the history has the scores of cross-validation over the training faces. Equal arguments give equal
    bits on the same machine. Raises UsageError without training faces, or without source validation.
    """
    for name, batch in (("for training", source.train), ("for source validation", source.validation)):
        if len(batch.labels) == 0:
            raise UsageError(f"There is no labelled face {name}; a source needs both. Add faces to the source.")
    head.to(source.train.features.device)
    if isinstance(head, GradientHead) and isinstance(settings, FitSettings):
        return fit(head, source, settings, seed=seed, report=report, step=step)
    if not isinstance(head, FittedHead):
        raise TypeError(f"{type(head).__name__} is neither a GradientHead with FitSettings nor a FittedHead.")
    if step is not None:
        head.watch = step
    history: list[Row] = []
    snapshots: dict[str, State] = {}
    if source.shifted is not None and source.unshifted is not None:
        head.learn_shift(*(faces.sample(MOST_SHIFTED).features for faces in (source.unshifted, source.shifted)))
    crossed = None if source.folds is None else _cross_validate(head, source, source.folds, seed=seed)
    for candidate in head.candidates(source.train, seed):
        name = _name_of(candidate)
        if crossed and name not in crossed:
            continue
        scores = crossed[name] if crossed else validate(head, source)
        history.append({"epoch": 0, **candidate, **scores, "snapshot": name})
        snapshots[name] = _copy_of(head, snapshots)
        if report is not None:
            report(history[-1])
    head.load_state_dict(snapshots[max(history, key=validation_rank)["snapshot"]])
    return Fitted(snapshots, history)


def _cross_validate(
    head: FittedHead, source: SourceFaces, folds: NDArray[np.int64], seed: int
) -> dict[str, dict[str, float]]:
    """Scores as by `validate`, for each candidate: each face is classified by the head fitted to the other folds.

    Only candidates of all folds; none if the faces outside each fold have fewer than two expressions.
    """
    outputs: dict[str, list[Outputs]] = {}
    used = 0
    for fold in np.unique(folds[folds >= 0]):
        inside = torch.from_numpy(folds == fold)
        others = source.train.rows((~inside).nonzero().flatten())
        if len(others.labels.unique()) < 2:
            continue
        used += 1
        named = source.train.rows(inside.nonzero().flatten())
        for candidate in head.candidates(others, seed):
            with torch.inference_mode():
                outputs.setdefault(_name_of(candidate), []).append(_outputs(head.eval(), named))
    whole = {
        name: tuple(np.concatenate(each) for each in zip(*found, strict=True))
        for name, found in outputs.items()
        if len(found) == used
    }
    sets = ("validation", "shifted") if source.shifted is not None else ("validation",)
    return {name: _measured(dict.fromkeys(sets, (logits, truth))) for name, (logits, truth) in whole.items()}


def _name_of(candidate: dict[str, float | str]) -> str:
    return ",".join(f"{setting}={_short(value)}" for setting, value in candidate.items()) or FINAL


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def fit(
    head: GradientHead,
    source: SourceFaces,
    settings: FitSettings,
    *,
    seed: int,
    report: Report | None = None,
    step: Step | None = None,
) -> Fitted:
    """The optimisation loop. Keeps a dozen evenly spaced snapshots, including the last, and the best on validation.

    With views, each epoch draws one for each face. A head on pixels keeps only what a policy but the oracle chooses.
    """
    rows = _epochs(head, source, settings, seed=seed, step=step)
    rows = _seeded(rows, seed) if head.needs_crops(settings) else _in_one_quick_thread(rows)
    even = {round(part * settings.epochs / EVEN_SNAPSHOTS) for part in range(1, EVEN_SNAPSHOTS + 1)}
    width = max(2, len(str(settings.epochs)))
    history: list[Row] = []
    kept: dict[int, State] = {}
    for row in rows:
        history.append(row)
        epoch, best = row["epoch"], max(history, key=validation_rank)["epoch"]
        if epoch == best or epoch in even:
            kept[epoch] = _copy_of(head, {})
        kept = {number: state for number, state in kept.items() if number == best or number in even}
        if report is not None:
            report(row)
    for number in kept:
        history[number - 1]["snapshot"] = f"epoch-{number:0{width}d}"
    named = {history[number - 1]["snapshot"]: state for number, state in kept.items()}
    if head.needs_crops(settings):  # a network of its own each, where other heads have some layers
        chosen = choosable(history, len(source.validation.labels), too_few=source.folds is not None)
        named = {name: state for name, state in named.items() if name in chosen}
    return Fitted(named, [row | {"snapshot": row["snapshot"] if row["snapshot"] in named else ""} for row in history])


def _seeded(rows: Iterator[Row], seed: int) -> Iterator[Row]:
    """The same rows, with the global generator, which dropout in third-party networks uses, seeded meanwhile."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield from rows


def _in_one_quick_thread(rows: Iterator[Row]) -> Iterator[Row]:
    """The same rows, computed in a single thread that flushes numbers below 1e-38 to zero.

    Dead units drive Adam's averages into that range, where processors are slow: without this, sigmoid-mask's eighth
    epoch on FERPlus took 8.7 s instead of 1.2 s. One thread, since sums round differently with two: a run's bits must
    not depend on how many others are trained in parallel.
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(1, initializer=_be_quick) as thread:
            while (row := thread.submit(next, rows, None).result()) is not None:
                yield row
    finally:
        torch.set_num_threads(threads)  # MKL's setting is global


def _be_quick() -> None:
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)


def _epochs(
    head: GradientHead, source: SourceFaces, settings: FitSettings, seed: int, step: Step | None
) -> Iterator[Row]:
    """Trains, one epoch per row of the history."""
    train = source.train
    few = source.folds is not None
    head.start(train, source.validation.rows(torch.arange(0)) if few else source.validation, seed)
    chance = Chance.of(seed)
    optimizer = _optimizer(head, settings)
    if settings.balance == "weights":
        train = _weighted(train, len(head.task.expressions))
    for epoch in range(1, settings.epochs + 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, epoch)
        drawn = train if source.views is None else source.views.draw(train, chance.views)
        terms = _train_epoch(head, drawn, settings, optimizer=optimizer, chance=chance, step=step)
        yield {"epoch": epoch, **terms, **validate(head, source), "snapshot": ""}


@dataclass(frozen=True)
class Chance:
    """One generator (CPU) for each random part of training, so that drawing more from one does not affect others.

    Methods with the same seed see the same faces in the same order, whatever else they draw: their differences are
    paired.
    """

    order: torch.Generator
    views: torch.Generator
    loss: torch.Generator

    @classmethod
    def of(cls, seed: int) -> "Chance":
        """All generators of a `seed`."""
        return cls(*(torch.Generator().manual_seed(seed_from(what, seed)) for what in ("order", "views", "loss")))


def learning_rate(settings: FitSettings, epoch: int) -> float:
    """The learning rate of an epoch, counted from 1."""
    if epoch == 1 and settings.first_learning_rate is not None:
        return settings.first_learning_rate
    if settings.schedule == "exponential":
        return settings.learning_rate * settings.decay ** (epoch - 1)
    if settings.schedule == "cosine":
        return settings.learning_rate * (1 + math.cos(math.pi * (epoch - 1) / settings.epochs)) / 2
    return settings.learning_rate


@torch.inference_mode()
def validate(head: Head, source: SourceFaces) -> dict[str, float]:
    """Accuracy and mean class recall of the main readout, on source validation and on its shifted faces.

    The `temperature` is fitted to the shifted faces, else to source validation.
    """
    head.eval()
    sets = {"validation": source.validation, "shifted": source.shifted}
    return _measured({name: _outputs(head, faces) for name, faces in sets.items() if faces is not None})


def _outputs(head: Head, faces: Batch) -> Outputs:
    return head_logits(head, faces).float().cpu().numpy(), faces.labels.cpu().numpy()


def _measured(outputs: Mapping[str, Outputs]) -> dict[str, float]:
    """The scores of the sets `validation` and perhaps `shifted`, the last of which the temperature is fitted to."""
    found: dict[str, float] = {}
    for name, (logits, truth) in outputs.items():
        confusion = metrics.count_confusion(truth, logits.argmax(1), logits.shape[1])
        for metric in (metrics.accuracy, metrics.mean_class_recall):
            found[f"{name}_{metric.__name__}"] = float(metric(confusion))
        found["temperature"] = fit_temperature(logits, truth)
    return found


@torch.inference_mode()
def head_logits(head: Head, faces: Faces) -> Tensor:
    """(N, L) logits of the main readout, computed in batches, without gradients."""
    return torch.cat([head.logits(part) for part in in_parts(faces)])


def in_parts(faces: Faces) -> Iterator[Faces]:
    """The faces in batches, for evaluation without gradients."""
    return faces.parts(FEATURES_AT_ONCE if faces.crops is None else CROPS_AT_ONCE)


def _train_epoch(
    head: GradientHead,
    train: Batch,
    settings: FitSettings,
    optimizer: torch.optim.Optimizer,
    chance: Chance,
    step: Step | None,
) -> dict[str, float]:
    """One pass; returns the mean of each loss term over the faces."""
    head.train()
    sums: Tensor | None = None
    names: list[str] = []
    seen = 0
    for batch in _batches(train, settings, chance.order):
        optimizer.zero_grad()
        with casting(train.features.device.type, settings.precision):
            terms = head.loss(batch, chance.loss)
        values = torch.stack([term.float() for term in terms.values()])
        values.sum().backward()
        optimizer.step()
        if step is not None:
            step(len(batch))
        # Summed on the device, so that no step waits for the previous one.
        sums = values.detach() * len(batch) if sums is None else sums.add_(values.detach(), alpha=len(batch))
        names, seen = list(terms), seen + len(batch)
    return {} if sums is None else dict(zip(names, (sums / seen).tolist(), strict=True))


def _batches(train: Batch, settings: FitSettings, generator: torch.Generator) -> Iterator[Batch]:
    """An epoch: the faces shuffled, or with balanced sampling as many draws, uniform over classes.

    Faces on disk are shuffled by `shuffle_on_disk`, and read a window at a time.
    """
    if settings.balance == "sampling":
        labels = train.labels.cpu()
        weights = 1 / labels.bincount()[labels].double()
        order = torch.multinomial(weights, len(labels), replacement=True, generator=generator)
        order = order if train.in_memory else order.sort().values[shuffle_on_disk(len(order), generator)]
    elif train.in_memory:
        order = torch.randperm(len(train), generator=generator)
    else:
        order = shuffle_on_disk(len(train), generator)
    size = settings.batch_size
    for window in order.split(len(order) if train.in_memory else max(1, BLOCK // size) * size):
        faces, index = (train, window) if train.in_memory else (train.rows(window), torch.arange(len(window)))
        for part in index.to(train.labels.device).split(size):
            if len(part) > 1 or len(order) == 1:  # batch normalisation has no variance for a single remaining face
                yield faces.rows(part)


def shuffle_on_disk(faces: int, generator: torch.Generator) -> Tensor:
    """(N,) every row once, so that a window of BLOCK rows is read in few pieces.

    Groups of NEIGHBOURS rows of the table are permuted, and then the rows of each BLOCK of them.
    """
    groups = torch.arange(faces).split(NEIGHBOURS)
    order = torch.cat([groups[group] for group in torch.randperm(len(groups), generator=generator).tolist()])
    return torch.cat([part[torch.randperm(len(part), generator=generator)] for part in order.split(BLOCK)])


def _weighted(train: Batch, classes: int) -> Batch:
    """Weights with equal sums over the classes that occur, and a mean of 1."""
    mass = train.labels.bincount(minlength=classes) if train.distribution is None else train.distribution.sum(0)
    present = (mass > 0).sum()
    weights = torch.where(mass > 0, mass.sum() / (present * mass), 0.0)
    return replace(train, class_weights=weights.to(train.features.dtype))


def _optimizer(head: nn.Module, settings: FitSettings) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in head.parameters() if parameter.requires_grad]
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, rate, settings.momentum, weight_decay=decay, fused=True)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, rate, weight_decay=decay, fused=True)


def _copy_of(head: nn.Module, snapshots: Mapping[str, State]) -> State:
    """The head's state on the CPU; a tensor that equals that of the first of the `snapshots` is the same object."""
    first = next(iter(snapshots.values()), {})
    state = {name: tensor.detach().to("cpu", copy=True) for name, tensor in head.state_dict().items()}
    return {name: first[name] if name in first and torch.equal(first[name], t) else t for name, t in state.items()}
