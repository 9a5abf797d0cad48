"""The nearest prompt."""

import pytest
import torch

from fercache.contracts.feature_space import LOGIT_SCALE, SEVEN, faces, task, text_of
from fercache.errors import UsageError
from fercache.heads import HeadSettings
from fercache.heads.zero_shot import ZeroShot
from fercache.trunks import Faces


def test_logits_are_scaled_cosines() -> None:
    head, batch = ZeroShot(task(), HeadSettings()), faces(5, 1)
    cosine = torch.nn.functional.cosine_similarity(batch.features[3], text_of("sadness"), dim=0)
    assert head.logits(batch)[3, SEVEN.index("sadness")] == pytest.approx(LOGIT_SCALE * float(cosine), rel=1e-5)


def test_the_length_of_a_feature_does_not_count() -> None:
    head, batch = ZeroShot(task(), HeadSettings()), faces(5, 1)
    torch.testing.assert_close(head.logits(Faces(3 * batch.features)), head.logits(batch))


def test_permuting_the_expressions_permutes_the_logits() -> None:
    order = [3, 1, 0, 6, 5, 4, 2]
    one = ZeroShot(task(), HeadSettings())
    two = ZeroShot(task([SEVEN[k] for k in order]), HeadSettings())
    batch = faces(9, 1)
    torch.testing.assert_close(two.logits(batch), one.logits(batch)[:, order])


def test_an_encoder_without_text_is_refused() -> None:
    with pytest.raises(UsageError, match="text tower"):
        ZeroShot(task(with_text=False), HeadSettings())
