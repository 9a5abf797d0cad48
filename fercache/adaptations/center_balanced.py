"""Class-balanced centring: each expression's mean is moved to the source's, and the moves are averaged."""

from fercache.adaptations import Adaptation, Adapted, Scores, SourceFeatures, posteriors
from fercache.trunks import Faces

PRIOR_FACES = 5
"""Faces of an expression at which its move has half of its full weight."""


class CenterBalanced(Adaptation):
    """x - d, where d is the mean over expressions of their move from the source to the target.

    With posteriors p_ik of the unadapted head, n_k = sum_i p_ik and c_k = sum_i p_ik x_i / n_k, expression k moved by
    c_k - (its mean in the source), and has the weight n_k / (n_k + 5). Unlike the plain mean, d does not depend on
    the target's mix of expressions if the posteriors are right.
    """

    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        """See `Adaptation`. One step: further ones change little."""
        shares = posteriors(scores, faces)
        counts = shares.sum(dim=0)
        means = shares.T @ faces.features / counts.clamp_min(1e-12)[:, None]
        weights = counts / (counts + PRIOR_FACES) * (source.faces > 0)
        return Adapted.of(source, shift=weights @ (means - source.means) / weights.sum().clamp_min(1e-12))


plugin = CenterBalanced()
