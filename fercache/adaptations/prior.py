"""Label shift: the target's mix of expressions is estimated, and the logits are corrected for it."""

from fercache.adaptations import Adaptation, Adapted, Scores, SourceFeatures, posteriors
from fercache.trunks import Faces

STEPS = 50
LEAST = 1e-3
"""The smallest share of an expression, so that none is excluded for good."""


class Prior(Adaptation):
    """Logits + log(q / p): p is the source's share of each expression, q the target's.

    q by expectation maximisation from the head's posteriors (Saerens, Latinne and Decaestecker 2002, eq. 2.6), which
    must be calibrated.
    """

    def adapt(self, faces: Faces, scores: Scores, source: SourceFeatures) -> Adapted:
        """See `Adaptation`; the features are not changed."""
        found = posteriors(scores, faces)
        ours = source.share.clamp_min(LEAST)
        theirs = ours
        for _ in range(STEPS):
            weighted = found * (theirs / ours)
            theirs = (weighted / weighted.sum(dim=1, keepdim=True).clamp_min(1e-12)).mean(dim=0).clamp_min(LEAST)
            theirs = theirs / theirs.sum()
        return Adapted.of(source, offset=(theirs / ours).log())


plugin = Prior()
