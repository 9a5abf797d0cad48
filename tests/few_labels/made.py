"""A target made by chance, whose labels are known: runs that are right as often as they believe, or less often."""

import numpy as np

from tests.few_labels.simulated import Known


def made_target(seed: int, faces: int = 600, overconfidence: float = 1.0) -> Known:
    """Four expressions, the last of them rare; `overconfidence` above 1 sharpens what the runs believe."""
    generator = np.random.default_rng(seed)
    belief = generator.dirichlet((1.0, 0.8, 0.6, 0.1), faces) ** 2 + 1e-6
    belief /= belief.sum(axis=1, keepdims=True)
    truth = (belief.cumsum(axis=1) > generator.random((faces, 1))).argmax(axis=1)
    posterior = belief**overconfidence
    posterior /= posterior.sum(axis=1, keepdims=True)
    worse = posterior + generator.random(posterior.shape) * 0.5
    return Known(truth, posterior, np.stack([posterior.argmax(axis=1), worse.argmax(axis=1)]))
