"""The contract of heads, checked on small separable data, on the CPU."""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, cast

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from fercache import registry
from fercache.contracts._other_faces import watched_files, ways_to_faces
from fercache.contracts.feature_space import DIMENSION, SEVEN, faces, task
from fercache.errors import UsageError
from fercache.heads import Batch, FitSettings, FittedHead, GradientHead, Head
from fercache.loading.features import FeaturesOnDisk
from fercache.store.rows import JoinedRows
from fercache.training import Fitted, SourceFaces, build_head, train_head
from fercache.trunks import Faces

OTHER_ORDER = tuple(sorted(SEVEN, reverse=True))


class HeadUnderTest:
    """The head under test, trained once for all checks that do not change it."""

    def __init__(self, plugin: type[Head]) -> None:
        self.plugin = plugin
        self.settings = plugin.Settings()
        if isinstance(self.settings, FitSettings):
            # Small batches, for as many steps as on a larger dataset.
            self.settings = self.settings.model_copy(update={"batch_size": 24})
        self.briefly = self.settings.model_copy(update={"epochs": 2} if hasattr(self.settings, "epochs") else {})
        self.test = faces(140, seed=3)

    def build(self, expressions: tuple[str, ...] = SEVEN, seed: int = 1) -> Head:
        return build_head(self.plugin, task(expressions, with_text=self.plugin.needs_text), self.settings, seed=seed)

    def train(self, expressions: tuple[str, ...]) -> Head:
        head = self.build(expressions)
        train_head(head, SourceFaces(faces(210, 1, expressions), faces(70, 2, expressions)), self.settings, seed=1)
        return head.eval()

    def train_briefly(self, seed: int) -> Fitted:
        return train_head(self.build(seed=seed), SourceFaces(faces(70, 1), faces(35, 2)), self.briefly, seed=seed)

    @cached_property
    def trained(self) -> Head:
        return self.train(SEVEN)


def check_head(plugin: type[Head]) -> list[str]:
    """One sentence per broken promise of the head; [] if it keeps all of them."""
    if about_itself := list(_about_itself(plugin)):
        return about_itself
    subject = HeadUnderTest(plugin)
    checks = (
        _about_imports,
        _about_files,
        _about_text,
        _about_outputs,
        _about_learning,
        _about_order,
        _about_storing,
        _about_seeds,
        _about_global_state,
        _about_other_faces,
        _about_disk,
        _about_its_batch,
        _about_odd_batches,
    )
    return [broken for check in checks for broken in check(subject)]


def _about_itself(plugin: type[Head]) -> Iterator[str]:
    if not issubclass(plugin, GradientHead | FittedHead):
        yield "is neither a GradientHead nor a FittedHead"
    if issubclass(plugin, GradientHead) and not issubclass(plugin.Settings, FitSettings):
        yield "is trained by gradient descent, but its settings are not FitSettings"
    try:
        plugin.Settings(no_such_setting=1)  # type: ignore[call-arg]
        yield "accepts unknown settings"
    except ValidationError:
        pass
    try:
        plugin.Settings()
    except ValidationError:
        yield "has settings without a default"


def _about_imports(subject: HeadUnderTest) -> Iterator[str]:
    """A head gets its training faces as arguments; it must not be able to read others."""
    for name in ways_to_faces(subject.plugin):
        yield f"imports {name}, which can read the target's faces"


@cache
def _load_libraries() -> None:
    """Libraries load some of their files when a process trains for the first time."""
    for name in ("linear-probe", "sigmoid-mask"):
        HeadUnderTest(registry.load("heads", name)).train_briefly(seed=1)


def _about_files(subject: HeadUnderTest) -> Iterator[str]:
    _load_libraries()
    subject.build()  # finds the trunks in their folder, once
    with watched_files() as opened:
        subject.train_briefly(seed=1)
        _all_readouts(subject.build().eval(), subject.test)
    for file in dict.fromkeys(opened):
        yield f"opens {file} in training or scoring: a head may read only the faces that it is given"


def _about_text(subject: HeadUnderTest) -> Iterator[str]:
    if not subject.plugin.needs_text:
        return
    try:
        build_head(subject.plugin, task(with_text=False), subject.settings, seed=1)
        yield "needs text, but is built without it"
    except UsageError:
        pass


def _about_outputs(subject: HeadUnderTest) -> Iterator[str]:
    head = subject.trained
    with torch.no_grad():
        for count in (1, 5):
            few = subject.test.rows(torch.arange(count))
            mask = head.mask(few)
            for name, scores in _all_readouts(head, few).items():
                if scores.shape != (count, len(SEVEN)) or not torch.isfinite(scores).all():
                    yield f"returns {name} logits of shape {tuple(scores.shape)} for {count} faces, or not finite ones"
            if mask is not None and (mask.shape != (count, DIMENSION) or mask.min() < 0 or mask.max() > 1):
                yield "has a mask that is not (B, D) in [0, 1]"


def _about_learning(subject: HeadUnderTest) -> Iterator[str]:
    right = (_predict(subject.trained, subject.test) == subject.test.labels).float().mean()
    if right < 0.6:
        yield f"classifies only {right:.0%} of easily separable faces correctly"


def _about_order(subject: HeadUnderTest) -> Iterator[str]:
    other = subject.train(OTHER_ORDER)
    named = [SEVEN[i] for i in _predict(subject.trained, subject.test)]
    renamed = [OTHER_ORDER[i] for i in _predict(other, subject.test)]
    if np.mean([one == two for one, two in zip(named, renamed, strict=True)]) < 0.85:
        yield "predicts other expressions when their order changes"


def _about_storing(subject: HeadUnderTest) -> Iterator[str]:
    state = subject.trained.state_dict()
    if not state:
        yield "has an empty state_dict"
    other = subject.build(seed=2)
    other.load_state_dict({name: tensor.clone() for name, tensor in state.items()})
    if not _same_logits(subject.trained, other, subject.test):
        yield "returns other logits after its state is stored and loaded"


def _about_seeds(subject: HeadUnderTest) -> Iterator[str]:
    torch.manual_seed(100)
    one = subject.train_briefly(seed=5)
    torch.manual_seed(200)
    two = subject.train_briefly(seed=5)
    if not _same_snapshots(one, two):
        yield "has other weights after training with the same seed again"
    if not subject.plugin.seeded and not _same_snapshots(one, subject.train_briefly(seed=6)):
        yield "has seeded = False, but its weights depend on the seed"


def _about_global_state(subject: HeadUnderTest) -> Iterator[str]:
    before = _global_state()
    subject.train_briefly(seed=1)
    _all_readouts(subject.build(), subject.test)
    if _global_state() != before:
        yield "uses a global random generator"


def _about_other_faces(subject: HeadUnderTest) -> Iterator[str]:
    head, test = subject.trained, subject.test
    state = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    with torch.no_grad():
        together, again = _all_readouts(head, test), _all_readouts(head, test)
        alone = [_all_readouts(head, test.rows(torch.tensor([row]))) for row in range(9)]
    for name, scores in together.items():
        if not torch.equal(scores, again[name]):
            yield f"returns other {name} logits for the same faces when called again"
        if not torch.allclose(scores[:9], torch.cat([part[name] for part in alone]), rtol=1e-3, atol=1e-3):
            yield f"returns {name} logits that depend on the other faces: it uses the target as a whole"
    if any(not torch.equal(tensor, state[name]) for name, tensor in head.state_dict().items()):
        yield "changes its state in scoring"


def _about_disk(subject: HeadUnderTest) -> Iterator[str]:
    """A source of millions of faces stays on disk."""
    train, validation = (_on_disk(faces(count, seed)) for count, seed in ((210, 1), (70, 2)))
    head = subject.build()
    try:
        train_head(head, SourceFaces(train, validation), subject.settings, seed=1)
    except UsageError:
        yield "needs all features of the source in memory: read them a block at a time, with `train.blocks()`"
        return
    right = (_predict(head.eval(), subject.test) == subject.test.labels).float().mean()
    if right < 0.6:
        yield f"classifies only {right:.0%} of easily separable faces correctly when features are on disk"


def _on_disk(batch: Batch) -> Batch:
    return replace(batch, features=cast(Tensor, FeaturesOnDisk(JoinedRows([batch.features.numpy()]), "cpu")))


def _about_its_batch(subject: HeadUnderTest) -> Iterator[str]:
    train, validation = faces(70, seed=1), faces(35, seed=2)
    train_head(subject.build(), SourceFaces(train, validation), subject.briefly, seed=1)
    for given, expected in ((train, faces(70, seed=1)), (validation, faces(35, seed=2))):
        if not (torch.equal(given.features, expected.features) and torch.equal(given.labels, expected.labels)):
            yield "changes the faces that it is trained on"


def _about_odd_batches(subject: HeadUnderTest) -> Iterator[str]:
    head = subject.build()
    if not isinstance(head, GradientHead):
        return
    odd = {
        "neutral faces only": faces(4, 1, shown=("neutral",)),
        "one face": faces(1, 1),
        "faces of two expressions": faces(6, 1, shown=("fear", "neutral")),
        "soft labels": faces(6, 1, soft=True),
    }
    for name, batch in odd.items():
        head.zero_grad()
        total = sum(head.loss(batch, torch.Generator().manual_seed(1)).values(), torch.zeros(()))
        total.backward()
        gradients = [parameter.grad for parameter in head.parameters() if parameter.grad is not None]
        if not all(torch.isfinite(tensor).all() for tensor in (total, *gradients)):
            yield f"has a loss or gradient that is not finite for {name}"


def _all_readouts(head: Head, faces: Faces) -> dict[str, Tensor]:
    return {"main": head.logits(faces), **head.readouts(faces)}


@torch.no_grad()
def _predict(head: Head, batch: Batch) -> Tensor:
    return head.eval().logits(batch).argmax(1)


@torch.no_grad()
def _same_logits(one: Head, two: Head, batch: Batch) -> bool:
    return torch.equal(one.eval().logits(batch), two.eval().logits(batch))


def _same_snapshots(one: Fitted, two: Fitted) -> bool:
    return list(one.snapshots) == list(two.snapshots) and all(
        torch.equal(tensor, two.snapshots[snapshot][name])
        for snapshot, state in one.snapshots.items()
        for name, tensor in state.items()
    )


def _global_state() -> tuple[Any, ...]:
    kind, keys, *rest = np.random.get_state()
    return torch.get_rng_state().tolist(), kind, np.asarray(keys).tolist(), rest, random.getstate()
