"""The guard: declines an adaptation that would probably hurt. It sees no labels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fercache.adaptations import Adapted, Scores, SourceFeatures, posteriors
from fercache.trunks import Faces

ENOUGH = 0.6
"""Share of the expressions that must be in effect among the predictions before features are moved; with fewer, a move
of the features is a move of the expressions, and only then is the mix of expressions corrected."""
LEAST_UNCHANGED = 0.7
"""Share of the predictions that a corrected mix must leave unchanged."""


def why_declined(adapted: Adapted, faces: Faces, scores: Scores, source: SourceFeatures) -> str:
    """The reason against an adaptation to N `faces`, or "".

    The expressions in effect are the exponential of the entropy of the predicted mix. Moved features are accepted if
    enough expressions are in effect, and the head agrees more often with the nearest class mean of the source. A
    corrected mix alone is accepted if few expressions are in effect, and most predictions stay. The limits are
    measured: docs/unlabelled.md.
    """
    moved = adapted.faces(faces)
    before, after = posteriors(scores, faces), posteriors(lambda each: adapted.logits(scores, faces=each), faces)
    mix = F.one_hot(before.argmax(dim=1), before.shape[1]).float().mean(dim=0)
    effective, needed = float(_entropy(mix).exp()), ENOUGH * int((source.faces > 0).sum())
    if not adapted.shift.any():
        if effective >= needed:
            return f"{effective:.1f} expressions are in effect, too many to correct their mix (limit {needed:.1f})"
        unchanged = float((before.argmax(dim=1) == after.argmax(dim=1)).float().mean())
        return "" if unchanged >= LEAST_UNCHANGED else f"it would change {1 - unchanged:.0%} of the predictions"
    if effective < needed:
        return f"only {effective:.1f} expressions are in effect (limit {needed:.1f})"
    if _agreement(after, moved, source) <= _agreement(before, faces, source):
        return "the head would not agree more often with the nearest class mean"
    return ""


def _entropy(shares: Tensor) -> Tensor:
    """(..., L) -> (...), in nats."""
    return -torch.xlogy(shares, shares).sum(dim=-1)


def _agreement(found: Tensor, faces: Faces, source: SourceFeatures) -> float:
    """The share of faces for which posteriors (N, L) and the nearest class mean name the same expression."""
    cosines = F.normalize(faces.features, dim=1) @ F.normalize(source.means, dim=1).T
    nearest = cosines.masked_fill(source.faces == 0, -2).argmax(dim=1)
    return float((nearest == found.argmax(dim=1)).float().mean())
