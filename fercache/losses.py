"""The two methods' losses: pure functions of tensors, one per equation.

Shapes: B faces, C channels (CAFE) or D dimensions (KE2NT), L expressions. A `target` is (B,) int64 labels or (B, L)
soft labels; `class_weights` (L,) weigh the classes in a cross-entropy. CAFE is arXiv 2408.10614, KE2NT 2409.08598.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

CafeVariant = Literal["paper", "official"]
"""`official` is the released code: Eq. (8) averages over groups, and the remaining C mod L channels have no group."""

ContrastVariant = Literal["paired", "official", "contrastive"]
"""`paired` compares a face with its own neutral, `official` all faces with all neutrals, `contrastive` is InfoNCE."""

DROPPED_SHARE = 10 / 73


def sigmoid_mask(mask_logits: Tensor) -> Tensor:
    """CAFE Eq. (1): (B, C) -> (B, C) mask in (0, 1)."""
    return torch.sigmoid(mask_logits)


def mask_features(features: Tensor, mask: Tensor) -> Tensor:
    """CAFE Eq. (2): (B, C) features, on their own scale, times (B, C) mask -> (B, C)."""
    return features * mask


def classification_loss(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """CAFE Eq. (3): cross-entropy of (B, L) logits, a scalar."""
    return F.cross_entropy(logits, target, weight=class_weights)


def draw_channel_keep(channels: int, groups: int, generator: torch.Generator) -> Tensor:
    """The drop of CAFE Eq. (4) for one batch: (C,) on the CPU, 0 for 10 in 73 channels of each group, else 1."""
    keep = torch.ones(channels)
    size = _group_size(channels, groups)
    for start in range(0, groups * size, size):
        # Both variants drop as if the last group had the remaining channels.
        stop = channels if start + size == groups * size else start + size
        order = torch.randperm(stop - start, generator=generator)
        keep[start + order[: round(DROPPED_SHARE * (stop - start))]] = 0
    return keep


def drop_channels(masked: Tensor, keep: Tensor) -> Tensor:
    """CAFE Eq. (4): (B, C) masked features with the same channels, where (C,) `keep` is 0, dropped for all faces."""
    return masked * keep


def group_maxima(masked: Tensor, groups: int, variant: CafeVariant = "paper") -> Tensor:
    """CAFE Eq. (5), and Eq. (7) without dropping: (B, C) -> (B, L), the maximum of each group of floor(C / L) channels.

    Groups are consecutive. The remaining channels belong to the last group, or, `official`, to none. Raises ValueError
    if there are fewer channels than groups.
    """
    channels = masked.shape[1]
    size = _group_size(channels, groups)
    # Not amax, which spreads the gradient over ties in several passes.
    if variant == "official" or groups * size == channels:
        maxima: Tensor = masked[:, : groups * size].unflatten(1, (groups, size)).max(2).values
        return maxima
    start = (groups - 1) * size
    others = masked[:, :start].unflatten(1, (groups - 1, size)).max(2).values
    return torch.cat([others, masked[:, start:].max(1, keepdim=True).values], dim=1)


def separation_loss(grouped: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """CAFE Eq. (6): cross-entropy of the (B, L) group maxima after dropping, used directly as logits."""
    return F.cross_entropy(grouped, target, weight=class_weights)


def diversity_loss(grouped: Tensor, channels: int, variant: CafeVariant = "paper") -> Tensor:
    """CAFE Eq. (8): 1 minus the (B, L) group maxima summed over groups, averaged over faces, divided by floor(C / L).

    `official` also averages over groups, which divides the weight by L.
    """
    per_face = grouped.sum(1) if variant == "paper" else grouped.mean(1)
    return 1 - per_face.mean() / _group_size(channels, grouped.shape[1])


def cafe_terms(
    classification: Tensor, separation: Tensor, diversity: Tensor, *, separation_weight: float, diversity_weight: float
) -> dict[str, Tensor]:
    """CAFE Eq. (9): the weighted terms, whose sum is the loss (lambda weights the separation, beta the diversity)."""
    return {
        "classification": classification,
        "separation": separation_weight * separation,
        "diversity": diversity_weight * diversity,
    }


def similarity_logits(embedding: Tensor, text: Tensor, logit_scale: Tensor | float) -> Tensor:
    """Scaled cosines of (B, D) face embeddings with (L, D) text embeddings: (B, L)."""
    return logit_scale * (F.normalize(embedding, dim=1) @ F.normalize(text, dim=1).T)


def similarity_loss(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """KE2NT L_s: cross-entropy of the (B, L) similarity logits, over all faces."""
    return F.cross_entropy(logits, target, weight=class_weights)


def transformation_loss(embedding: Tensor, neutral: Tensor, text: Tensor, labels: Tensor, neutral_index: int) -> Tensor:
    """KE2NT L_t: mean over the faces that are not neutral of 1 - cos(f_e - f_n, t_y - t_neutral); 0 without any.

    `embedding` f_e and `neutral` f_n (B, D), `text` (L, D), all un-normalised; `labels` (B,).
    """
    direction = text[labels] - text[neutral_index]
    distance = 1 - F.cosine_similarity(embedding - neutral, direction, dim=1)
    return (_emotional_share(labels, neutral_index, distance) * distance).sum()


class Contrast(NamedTuple):
    """A variant of L_c; only `contrastive` uses the scale."""

    variant: ContrastVariant
    logit_scale: Tensor | float = 1.0


def self_contrast_loss(
    embedding: Tensor,
    neutral: Tensor,
    text: Tensor,
    labels: Tensor,
    neutral_index: int,
    contrast: Contrast,
) -> Tensor:
    """KE2NT L_c over the faces that are not neutral; 0 without any. Shapes as in `transformation_loss`.

    Anchor a = t_y, positive p = f_e, negative n = f_n, each L2-normalised. `paired`: mean of a_i n_i - a_i p_i + 2;
    `official`: the same over all pairs (i, j); `contrastive`: cross-entropy of a_i p_i among itself and all a_i n_j,
    times the `logit_scale`.
    """
    anchor = F.normalize(text, dim=1)[labels]
    positive, negative = F.normalize(embedding, dim=1), F.normalize(neutral, dim=1)
    share = _emotional_share(labels, neutral_index, anchor)
    if contrast.variant == "paired":
        return (share * ((anchor * (negative - positive)).sum(1) + 2)).sum()
    if contrast.variant == "official":
        # The mean over all pairs of a dot product is the dot product of the means.
        return (share @ anchor) @ (share @ (negative - positive)) + 2 * share.sum()
    matched = (anchor * positive).sum(1, keepdim=True)
    others = (anchor @ negative.T).masked_fill(share == 0, -torch.inf)
    scores = contrast.logit_scale * torch.cat([matched, others], dim=1)
    return (share * (scores.logsumexp(1) - scores[:, 0])).sum()


def ke2nt_terms(
    similarity: Tensor,
    transformation: Tensor,
    self_contrast: Tensor,
    *,
    similarity_weight: float = 1.0,
    transformation_weight: float = 1.0,
    self_contrast_weight: float = 1.0,
) -> dict[str, Tensor]:
    """The weighted terms of KE2NT, whose sum is the loss."""
    return {
        "similarity": similarity_weight * similarity,
        "transformation": transformation_weight * transformation,
        "self_contrast": self_contrast_weight * self_contrast,
    }


def _group_size(channels: int, groups: int) -> int:
    if channels < groups:
        raise ValueError(f"{channels} channels cannot be split into {groups} groups.")
    return channels // groups


def _emotional_share(labels: Tensor, neutral_index: int, like: Tensor) -> Tensor:
    """(B,) weights that average over the faces that are not neutral; all zero without any, to avoid NaN."""
    emotional = (labels != neutral_index).to(like.dtype)
    return emotional / emotional.sum().clamp(min=1)
