"""The test of before: a bootstrap over faces of the gain averaged over seeds, which takes the seeds for fixed."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray


def p_of_faces_alone(
    gain: NDArray[np.float64],
    truth: NDArray[np.int64],
    metric: Literal["accuracy", "mean_class_recall"],
    generator: np.random.Generator,
    resamples: int = 1000,
) -> float:
    """The two-sided p of the difference in `metric`, with faces (N,) drawn within each expression."""
    _, class_of, support = np.unique(truth, return_inverse=True, return_counts=True)
    weight = np.full(len(support), 1 / len(truth)) if metric == "accuracy" else 1 / (len(support) * support)
    values = np.zeros(resamples)
    for k, faces in enumerate(support):
        gains, counts = np.unique(gain[class_of == k], return_counts=True)
        values += weight[k] * (generator.multinomial(faces, counts / faces, size=resamples) @ gains)
    as_far = min(np.count_nonzero(values <= 1e-12), np.count_nonzero(values >= -1e-12))
    return float(min(1, 2 * (1 + as_far) / (1 + resamples)))
