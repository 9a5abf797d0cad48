"""The contract of adaptations, checked on small separable data, on the CPU."""

from collections.abc import Iterator
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from fercache.adaptations import Adaptation, Adapted, SourceFeatures
from fercache.contracts._other_faces import watched_files, ways_to_faces
from fercache.contracts.feature_space import DIMENSION, SEVEN, faces, text_of
from fercache.trunks import Faces

SHIFT = 0.3
"""By how much the target's features are shifted, relative to their mean length."""


class AdaptationUnderTest:
    """A nearest class mean as head, its source, and a shifted target of 140 faces."""

    def __init__(self, plugin: Adaptation) -> None:
        self.plugin = plugin
        train, test = faces(210, seed=1), faces(140, seed=3)
        shown = F.one_hot(train.labels, len(SEVEN)).float()
        self.source = SourceFeatures(shown.T @ train.features / shown.sum(0)[:, None], shown.sum(0))
        self.labels = test.labels
        self.target = Faces(test.features + SHIFT * text_of(SEVEN[0]))

    def scores(self, some: Faces) -> Tensor:
        """(N, L) scaled cosines with the source's class means."""
        return 20 * F.normalize(some.features, dim=1) @ F.normalize(self.source.means, dim=1).T

    def adapt(self, some: Faces) -> Adapted:
        return self.plugin.adapt(some, self.scores, self.source)

    @cached_property
    def adapted(self) -> Adapted:
        return self.adapt(self.target)


def check_adaptation(plugin: Adaptation) -> list[str]:
    """One sentence per broken promise of the adaptation; [] if it keeps all of them."""
    subject = AdaptationUnderTest(plugin)
    checks = (_about_imports, _about_files, _about_outputs, _about_order, _about_chance, _about_its_faces)
    return [broken for check in checks for broken in check(subject)]


def _about_imports(subject: AdaptationUnderTest) -> Iterator[str]:
    for name in ways_to_faces(type(subject.plugin)):
        yield f"imports {name}, which can read the target's labels"


def _about_files(subject: AdaptationUnderTest) -> Iterator[str]:
    with watched_files() as opened:
        subject.adapt(subject.target)
    for file in dict.fromkeys(opened):
        yield f"opens {file}: an adaptation may use only what it is given, which has no labels"


def _about_outputs(subject: AdaptationUnderTest) -> Iterator[str]:
    for count in (1, 2, 140):
        found = subject.adapt(subject.target.rows(torch.arange(count)))
        if found.shift.shape != (DIMENSION,) or found.offset.shape != (len(SEVEN),):
            yield f"returns a shift of shape {tuple(found.shift.shape)} and an offset of {tuple(found.offset.shape)}"
        if not (found.shift.isfinite().all() and found.offset.isfinite().all()):
            yield f"returns numbers that are not finite for {count} faces"


def _about_order(subject: AdaptationUnderTest) -> Iterator[str]:
    order = torch.arange(140).flip(0)
    if not _alike(subject.adapt(subject.target.rows(order)), subject.adapted):
        yield "depends on the order of the faces"


def _about_chance(subject: AdaptationUnderTest) -> Iterator[str]:
    torch.manual_seed(100)
    one = subject.adapt(subject.target)
    torch.manual_seed(200)
    two = subject.adapt(subject.target)
    if not (torch.equal(one.shift, two.shift) and torch.equal(one.offset, two.offset)):
        yield "returns something else when it is called again"


def _about_its_faces(subject: AdaptationUnderTest) -> Iterator[str]:
    before = subject.target.features.clone(), subject.source.means.clone()
    subject.adapt(subject.target)
    if not (torch.equal(before[0], subject.target.features) and torch.equal(before[1], subject.source.means)):
        yield "changes the faces or the source that it is given"


def _alike(one: Adapted, other: Adapted) -> bool:
    return torch.allclose(one.shift, other.shift, atol=1e-3) and torch.allclose(one.offset, other.offset, atol=1e-3)
