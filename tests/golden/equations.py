"""The losses straight from the papers' equations: NumPy, float64 and loops, and nothing of the package.

CAFE is arXiv 2408.10614, KE2NT 2409.08598. Gradients are central differences of fourth order, taken twice with steps
that differ by a factor of four: where a kink of a maximum or a ReLU lies in between, they disagree and are refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]

NEUTRAL, SCALE = 6, 100.0
LAMBDA, BETA = 1.5, 5.0
DROPPED = 10 / 73


def cross_entropy(logits: Array, label: int) -> float:
    """-log softmax(logits)[label] of one face."""
    highest = max(logits)
    return float(highest + np.log(sum(np.exp(one - highest) for one in logits)) - logits[label])


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def groups_of(channels: int, groups: int, variant: str) -> list[range]:
    """Eq. (5): consecutive, floor(C / L) channels each; the rest goes to the last, or in the code to none."""
    size = channels // groups
    ends = [(k + 1) * size for k in range(groups)]
    if variant == "paper":
        ends[-1] = channels
    return [range(k * size, end) for k, end in enumerate(ends)]


def drawn_keep(channels: int, groups: int, random: np.random.Generator) -> Array:
    """Eq. (4): 10 in 73 channels of a group are dropped; the last group has the channels left over in both variants."""
    keep = np.ones(channels, np.uint8)
    for group in groups_of(channels, groups, "paper"):
        for channel in random.permutation(list(group))[: round(DROPPED * len(group))]:
            keep[channel] = 0
    return keep


def cafe(z: Mapping[str, Array], mask_logits: Array, variant: str) -> dict[str, Any]:
    """Eqs. (1) to (9)."""
    labels, count, groups = z["label"], len(z["label"]), len(z["fc_bias"])
    channels = mask_logits.shape[1]
    cells = groups_of(channels, groups, variant)
    cls = sep = diverse = 0.0
    fc_logits, group_logits = [], []
    for i in range(count):
        mask = 1 / (1 + np.exp(-mask_logits[i]))
        masked = mask * z["clip_feature"][i]
        fc_logits.append(np.array([z["fc_weight"][k] @ masked + z["fc_bias"][k] for k in range(groups)]))
        dropped = masked * z["channel_keep"]
        group_logits.append(np.array([max(dropped[c] for c in cell) for cell in cells]))
        cls += cross_entropy(fc_logits[-1], labels[i]) / count
        sep += cross_entropy(group_logits[-1], labels[i]) / count
        over_groups = sum(max(masked[c] for c in cell) for cell in cells)
        diverse += (over_groups if variant == "paper" else over_groups / groups) / count
    div = 1 - diverse / (channels // groups)
    found = {"cls": cls, "sep": sep, "div": div, "total": cls + LAMBDA * sep + BETA * div}
    return found | {"fc_logits": np.array(fc_logits), "group_logits": np.array(group_logits)}


def to_neutral(z: Mapping[str, Array], embedding: Array) -> Array:
    """T: two layers with a ReLU between."""
    hidden = np.maximum(z["mlp_fc1_weight"] @ embedding + z["mlp_fc1_bias"], 0)
    return z["mlp_fc2_weight"] @ hidden + z["mlp_fc2_bias"]


def self_contrast(anchors: list[Array], faces: list[Array], neutrals: list[Array], variant: str) -> float:
    """L_c over the faces that are not neutral."""
    n = len(anchors)
    if variant == "paired":
        return sum(cosine(anchors[i], neutrals[i]) - cosine(anchors[i], faces[i]) + 2 for i in range(n)) / n
    if variant == "official":
        pairs = [(i, j) for i in range(n) for j in range(n)]
        return sum(cosine(anchors[i], neutrals[j]) - cosine(anchors[i], faces[j]) + 2 for i, j in pairs) / n**2
    loss = 0.0
    for i in range(n):
        scores = [cosine(anchors[i], faces[i]), *(cosine(anchors[i], neutrals[j]) for j in range(n))]
        loss += cross_entropy(SCALE * np.array(scores), 0) / n
    return loss


def ke2nt(z: Mapping[str, Array], variant: str, labels: Array) -> dict[str, Any]:
    """The three losses, and their sum."""
    embeddings, text = z["face_embedding"], z["text_embedding"]
    neutrals = [to_neutral(z, each) for each in embeddings]
    logits = np.array([[SCALE * cosine(each, t) for t in text] for each in embeddings])
    similarity = sum(cross_entropy(logits[i], labels[i]) for i in range(len(labels))) / len(labels)
    emotional = [i for i in range(len(labels)) if labels[i] != NEUTRAL]
    transform = contrast = 0.0
    if emotional:
        for i in emotional:
            to_face, to_text = embeddings[i] - neutrals[i], text[labels[i]] - text[NEUTRAL]
            transform += (1 - cosine(to_face, to_text)) / len(emotional)
        anchors, faces = [text[labels[i]] for i in emotional], [embeddings[i] for i in emotional]
        contrast = self_contrast(anchors, faces, [neutrals[i] for i in emotional], variant)
    found = {"similarity": similarity, "transform": transform, "selfcontrast": contrast}
    return found | {"total": sum(found.values()), "neutral": np.array(neutrals), "logits": logits}


def gradient(loss: Callable[[Array], float], at: Array) -> Array:
    """Raises ValueError where two steps disagree."""
    near, far = (_differences(loss, at, step) for step in (1e-5, 4e-5))
    if np.abs(near - far).max() > 1e-7 * np.abs(near).max():
        raise ValueError("a kink lies beside the point: draw another one")
    return near


def _differences(loss: Callable[[Array], float], at: Array, step: float) -> Array:
    found = np.zeros_like(at)
    for place in np.ndindex(*at.shape):
        values = {}
        for times in (-2, -1, 1, 2):
            moved = at.copy()
            moved[place] += times * step
            values[times] = loss(moved)
        found[place] = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)
    return found
