"""The temperature of a head: what its logits are divided by, so that confidence matches accuracy."""

import numpy as np
from numpy.typing import NDArray

MOST_FITTED = 5000
TEMPERATURES = (0.01, 100.0)
"""The lowest and highest temperature."""


def fit_temperature(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """The T at which the softmax of (N, L) logits / T is most likely (Guo et al. 2017, section 4.2), to 1 %.

    One part in N of each label is spread over all expressions, so that faces without an error do not make a head
    infinitely certain. Of many faces, every n-th counts, about MOST_FITTED. 1 where no T can be fitted.
    """
    from scipy.optimize import minimize_scalar

    if not len(truth) or not np.isfinite(logits).all():
        return 1.0
    step = max(1, len(truth) // MOST_FITTED)
    scores, labels = logits[::step].astype(np.float64), truth[::step]
    scores -= scores.max(axis=1, keepdims=True)
    spread = 1 / len(labels)
    expected = (1 - spread) * scores[np.arange(len(labels)), labels] + spread * scores.mean(axis=1)

    def loss(power: float) -> float:
        cool = scores * np.exp(-power)
        return float(np.mean(np.log(np.exp(cool).sum(axis=1)) - expected * np.exp(-power)))

    return float(
        np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 0.01}).x)
    )
