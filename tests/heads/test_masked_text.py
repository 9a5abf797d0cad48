"""The head of both papers, and its kinship with its parents."""

from typing import Any

import torch

from fercache.contracts.feature_space import faces, task
from fercache.heads import HeadSettings
from fercache.heads.masked_text import MaskedText
from fercache.heads.text_similarity import TextSimilarity
from fercache.heads.zero_shot import ZeroShot
from fercache.training import build_head


def build(**settings: Any) -> Any:
    return build_head(MaskedText, task(), MaskedText.Settings(**settings), seed=1)


def test_an_untrained_head_is_zero_shot() -> None:
    head, batch = build(), faces(70, 1)
    assert torch.equal(head.mask(batch), torch.full_like(batch.features, 0.5))
    torch.testing.assert_close(head.logits(batch), ZeroShot(task(), HeadSettings()).logits(batch))


def test_what_is_scored_is_the_masked_feature() -> None:
    head, batch = build(), faces(9, 1)
    torch.nn.init.normal_(head.trunk.output.weight)
    assert torch.equal(head.embed(batch), batch.features * head.mask(batch))
    assert 0 <= head.mask(batch).min() < head.mask(batch).max() <= 1


def test_the_terms_of_text_similarity_come_first_and_the_mask_s_where_they_weigh() -> None:
    batch = faces(21, 1)
    plain = build().loss(batch, torch.Generator().manual_seed(1))
    both = build(separation_weight=1.5, diversity_weight=5).loss(batch, torch.Generator().manual_seed(1))
    assert set(plain) == {"similarity", "transformation", "self_contrast"}
    assert set(both) - set(plain) == {"separation", "diversity"}
    assert all(torch.equal(both[name], plain[name]) for name in plain)


def test_a_trunk_that_sees_pixels_trains_as_published_by_default() -> None:
    published = TextSimilarity.Settings(trunk="resnet18")
    assert (published.optimizer, published.learning_rate, published.first_learning_rate) == ("sgd", 2e-3, 1e-4)
    assert (published.epochs, published.batch_size, published.weight_decay) == (50, 64, 5e-4)
    assert MaskedText.Settings(trunk="resnet18", epochs=3).epochs == 3
    assert TextSimilarity.Settings().optimizer == "adam"
