"""Synthetic faces in four domains, the built-in default: rendered when they are read."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fercache.datasets import Dataset, Expected, FaceImage, check_domain
from fercache.identity import canonical_json
from fercache.synthetic_faces import DOMAINS, EXPRESSIONS, RENDERER_VERSION, draw, other_drawing, sample_face

SEED = 20_251_107
"""Seed of the people in these datasets. The bundled encoders are trained on people of other seeds."""
SIZE = 96
SOURCE = "studio"


class Synthetic(Dataset):
    """`studio` has all splits. The other domains show the people of its test split, who are in no training set.

    Expressions alternate, so every split is balanced to within one face.
    """

    expressions: ClassVar = EXPRESSIONS
    domains: ClassVar = DOMAINS
    needs_root: ClassVar = False
    layout: ClassVar = "no root: the faces are rendered when they are read."
    may_show_faces: ClassVar = True
    licence: ClassVar = "MIT, part of fercache"
    homepage: ClassVar = ""
    citation: ClassVar = ""
    people: ClassVar[Mapping[str, range]] = {
        "train": range(2_800),
        "validation": range(2_800, 3_200),
        "test": range(3_200, 4_000),
    }

    def faces(self, root: Path | None = None, domain: str = "") -> Iterator[FaceImage]:
        """The faces of a domain, one per person. Raises UsageError for an unknown domain."""
        check_domain(self, "synthetic", domain)
        for split in self._splits(domain):
            for index in self.people[split]:
                expression = EXPRESSIONS[index % len(EXPRESSIONS)]
                yield FaceImage(
                    id=f"{domain}-{index:05d}",
                    read=partial(render, domain, index, expression),
                    split=split,
                    label=expression,
                    subject=f"person-{index:05d}",
                    fingerprint=fingerprint(domain, index, expression),
                )

    def expected(self, root: Path | None = None, domain: str = "") -> Expected:
        """The faces of a domain, computed."""
        counts = {}
        for split in self._splits(domain):
            each, more = divmod(len(self.people[split]), len(EXPRESSIONS))
            first = self.people[split].start % len(EXPRESSIONS)
            ahead = {(first + i) % len(EXPRESSIONS) for i in range(more)}
            counts[split] = {name: each + (i in ahead) for i, name in enumerate(EXPRESSIONS)}
        return counts

    def _splits(self, domain: str) -> tuple[str, ...]:
        return tuple(self.people) if domain == SOURCE else ("test",)


def render(domain: str, index: int, expression: str) -> NDArray[np.uint8]:
    """The image of a person in a domain, (SIZE, SIZE, 3)."""
    return draw(sample_face(SEED, index, domain, expression=expression), SIZE)


def fingerprint(domain: str, index: int, expression: str) -> bytes:
    """SHA-256 of everything that determines the image."""
    what = {
        "renderer": RENDERER_VERSION,
        "seed": SEED,
        "style": domain,
        "index": index,
        "expression": expression,
        "size": SIZE,
    }
    if drawn := other_drawing():
        what["drawn"] = drawn
    return hashlib.sha256(canonical_json(what).encode()).digest()


plugin = Synthetic()
