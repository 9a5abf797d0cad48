"""Below which probability a model does not answer."""

from dataclasses import dataclass

from fercache.errors import UsageError
from fercache.predicting.classifiers import Classifier
from fercache.settings import Settings


@dataclass(frozen=True)
class Threshold:
    """The probability below which a face's expression is unknown, and how it was chosen, if it was."""

    probability: float = 0.0
    reason: str = ""


EVERY = Threshold()
"""Every face is answered."""


def check_asked(unknown_below: float | None, abstain_at: float | None, *, trained: bool) -> None:
    """Raises UsageError for both, for shares that are not between 0 and 1, and for a risk of a model without a run."""
    for name, share in (("--unknown-below", unknown_below), ("--abstain-at", abstain_at)):
        if share is not None and not 0 < share < 1:
            raise UsageError(f"{name} {share}: give a share between 0 and 1.")
    if unknown_below is not None and abstain_at is not None:
        raise UsageError("--unknown-below gives a threshold and --abstain-at chooses one: give one or the other.")
    if abstain_at is not None and not trained:
        raise UsageError(
            "--abstain-at chooses a threshold on the source validation of a trained run: name a run or method."
        )


def chosen_threshold(
    unknown_below: float | None, abstain_at: float | None, *, classifier: Classifier, settings: Settings
) -> Threshold:
    """The given probability, or the one at which the share `abstain_at` of the answers is wrong on source validation.

    Raises UsageError as `threshold_at`.
    """
    if abstain_at is None:
        return Threshold(unknown_below or 0.0)
    from fercache.predicting.abstention import threshold_at  # reads records, with libraries that take a second to load

    return threshold_at(abstain_at, classifier, settings)
