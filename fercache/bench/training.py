"""Training speed: the optimisation loop compared with a bare one."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import pandas as pd
import torch

from fercache.errors import UsageError
from fercache.expressions import first_expressions
from fercache.heads import Batch, GradientHead, Task
from fercache.heads.sigmoid_mask import SigmoidMask, SigmoidMaskSettings
from fercache.options.bench import TrainingBenchRequest
from fercache.output_paths import check_output_file
from fercache.settings import Settings
from fercache.store.atomic import write_text
from fercache.training import Chance, SourceFaces, build_head, fit, validate

SEPARATION = 0.1
WHOLE_EPOCHS = 60
PRODUCTS, BARE = "matrix products alone", "bare loop"
TOGETHER = ", side by side"
"""One run per core, as in `train`: the time is that of all, divided by their number."""
PRECISIONS = ("fp32", "bf16")


@dataclass
class Contender:
    """`train(seed)` returns the validation accuracy, or None if nothing is learnt. `at_once`: parallel runs."""

    name: str
    train: Callable[[int], float | None]
    at_once: int = 1
    seconds: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    def run(self, seed: int) -> None:
        """Trains, and measures the time per run.

        Each in its own thread, like `fit`: in the main thread, idle processors wait in a busy loop, which costs several
        times the work itself on a shared machine.
        """
        seeds = range(seed * self.at_once, (seed + 1) * self.at_once)
        cores = torch.get_num_threads()
        alone = (max(1, cores // self.at_once),)
        with ThreadPoolExecutor(self.at_once, initializer=torch.set_num_threads, initargs=alone) as threads:
            start = time.perf_counter()
            accuracies = list(threads.map(self.train, seeds))
            self.seconds.append((time.perf_counter() - start) / self.at_once)
        torch.set_num_threads(cores)
        self.accuracies += [accuracy for accuracy in accuracies if accuracy is not None]

    def row(self, batch_size: int, scale: float, bare: "Contender") -> dict[str, Any]:
        """Its line of the table; `ratio` is relative to the bare loop."""
        return {
            "batch_size": batch_size,
            "loop": self.name,
            "seconds": round(scale * min(self.seconds), 1),
            "ratio": round(min(self.seconds) / min(bare.seconds), 2),
            "accuracy": round(mean(self.accuracies), 4) if self.accuracies else None,
            "spread": round(pstdev(self.accuracies), 4) if self.accuracies else None,
        }


def bench_training(settings: Settings, request: TrainingBenchRequest) -> tuple[Path, pd.DataFrame]:
    """Times all contenders, one after another, a seed per round; returns the file in the reports, and its contents.

    Raises UsageError for a trunk on pixels without crops, or one of features with them.

    `seconds` is the least of the rounds, since others may use the machine too, scaled to 60 epochs if there were fewer.
    `accuracy` and `spread` are the mean and the standard deviation over the seeds.
    """
    file = settings.reports / "bench-train.csv"
    check_output_file(file, ".csv", "reports =")
    sees_pixels = SigmoidMask.needs_crops(SigmoidMaskSettings.model_validate({"trunk": request.trunk}))
    if sees_pixels != (request.crops is not None):
        remedy = "add --crops with their side, such as 64" if sees_pixels else "leave out --crops"
        raise UsageError(f"The trunk {request.trunk} sees {'' if sees_pixels else 'no '}pixels: {remedy}.")
    train, validation = _random_faces(request, request.faces, 1), _random_faces(request, request.faces // 10 + 1, 2)
    rows = []
    for batch_size in request.batch_sizes:
        contenders = _contenders(request, batch_size, train, validation=validation)
        for seed in range(request.rounds):
            for contender in contenders:
                contender.run(seed)
        bare = next(contender for contender in contenders if contender.name == BARE)
        rows += [contender.row(batch_size, WHOLE_EPOCHS / request.epochs, bare) for contender in contenders]
    table = pd.DataFrame(rows)
    return write_text(file, table.to_csv(index=False)), table


def bare_loop(head: GradientHead, train: Batch, settings: SigmoidMaskSettings, seed: int) -> None:
    """A loop as written without this package: default threads, single precision, fused Adam."""
    chance = Chance.of(seed)
    rate, decay = settings.learning_rate, settings.weight_decay
    optimizer = torch.optim.Adam(head.parameters(), rate, weight_decay=decay, fused=True)
    head.train()
    for _ in range(settings.epochs):
        for index in torch.randperm(len(train), generator=chance.order).split(settings.batch_size):
            optimizer.zero_grad()
            terms = head.loss(train.rows(index), chance.loss)
            torch.stack(list(terms.values())).sum().backward()
            optimizer.step()


def matrix_products(batch_size: int, request: TrainingBenchRequest) -> None:
    """The five products of each step of a two-layer trunk: two forward, and backward all but the features' gradient."""
    dimension = request.dimension
    features, gradient = torch.randn(batch_size, dimension), torch.randn(batch_size, dimension)
    weight = torch.randn(dimension, dimension)
    for _ in range(request.epochs * request.faces // batch_size):
        hidden = features @ weight.T
        hidden @ weight.T
        gradient.T @ hidden
        (gradient @ weight).T @ features


def _contenders(request: TrainingBenchRequest, batch_size: int, train: Batch, validation: Batch) -> list[Contender]:
    task = Task(first_expressions(7), request.dimension, crop_side=request.crops)

    def settings(precision: str = "fp32") -> SigmoidMaskSettings:
        chosen = {"trunk": request.trunk, "epochs": request.epochs, "batch_size": batch_size, "precision": precision}
        return SigmoidMaskSettings.model_validate({**chosen, "schedule": "constant"})

    def build(seed: int) -> SigmoidMask:
        head = build_head(SigmoidMask, task, settings(), seed=seed)
        assert isinstance(head, SigmoidMask)
        return head

    def bare(seed: int) -> float:
        head = build(seed)
        bare_loop(head, train, settings(), seed=seed)
        return validate(head, SourceFaces(train, validation))["validation_accuracy"]

    def ours(precision: str) -> Callable[[int], float]:
        def run(seed: int) -> float:
            fitted = fit(build(seed), SourceFaces(train, validation), settings(precision), seed=seed)
            return float(fitted.history[-1]["validation_accuracy"])

        return run

    contenders = [Contender(BARE, bare), *(Contender(f"fit, {each}", ours(each)) for each in PRECISIONS)]
    if request.crops is not None:
        return contenders
    cores = os.cpu_count() or 1
    together = [Contender(f"fit, {each}{TOGETHER}", ours(each), cores) for each in PRECISIONS]
    return [Contender(PRODUCTS, lambda seed: matrix_products(batch_size, request)), *contenders, *together]


def _random_faces(request: TrainingBenchRequest, count: int, seed: int) -> Batch:
    """Features around a centre for each expression, close enough that they overlap."""
    centres = torch.randn(7, request.dimension, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(7, (count,), generator=generator)
    features = SEPARATION * centres[labels] + torch.randn(count, request.dimension, generator=generator)
    crops = None
    if request.crops is not None:
        shape = (count, request.crops, request.crops, 3)
        crops = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    return Batch(features, crops, labels=labels)
