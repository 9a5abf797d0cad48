"""Adapting to faces as they come."""

import pytest
import torch
from torch import Tensor

from fercache.adaptations import Adapted, SourceFeatures
from fercache.contracts.feature_space import SEVEN, faces, text_of
from fercache.stages import _adapting
from fercache.stages._adapting import Adapting, Streaming
from fercache.trunks import Faces

SOURCE = SourceFeatures(torch.stack([text_of(e) for e in SEVEN]), torch.ones(len(SEVEN)))
TARGET = Faces(faces(210, seed=3).features + 0.3 * text_of("anger"))


def scores(some: Faces) -> Tensor:
    return some.features @ SOURCE.means.T


def test_each_batch_is_scored_after_adapting_to_the_last_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_adapting, "WINDOW", 100)
    streaming = Streaming("center-balanced-unguarded", SOURCE, scores)
    found = [streaming(part) for part in TARGET.parts(70)]
    for end, logits in zip((70, 140, 210), found, strict=True):
        window = TARGET.rows(torch.arange(max(0, end - 100), end))
        change, _ = Adapting("center-balanced-unguarded", SOURCE, window).of(scores)
        torch.testing.assert_close(logits, change.logits(scores, TARGET.rows(torch.arange(end - 70, end))))


def test_crops_of_the_last_faces_are_kept_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_adapting, "WINDOW", 5)
    seen: list[Faces] = []

    def pixel_scores(some: Faces) -> Tensor:
        seen.append(some)
        return scores(some)

    streaming = Streaming("center-unguarded", SOURCE, pixel_scores)
    crops = torch.arange(210, dtype=torch.uint8)[:, None, None, None].expand(210, 2, 2, 3)
    for part in Faces(TARGET.features, crops).parts(4):
        streaming(part)
        assert isinstance(seen[-1].crops, Tensor)
        assert len(seen[-1].crops) == len(seen[-1]) == len(part)


def test_a_declined_adaptation_changes_nothing_and_says_why() -> None:
    few = Faces(faces(70, seed=3, shown=("anger",)).features)
    streaming = Streaming("center", SOURCE, scores)
    assert torch.equal(streaming(few), scores(few))
    assert "expressions are in effect" in streaming.declined
    change, declined = Adapting("center", SOURCE, few).of(scores)
    assert declined == streaming.declined
    assert torch.equal(change.shift, Adapted.of(SOURCE).shift)
