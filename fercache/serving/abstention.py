"""The probability below which a model should not answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError
from fercache.loading.runs import LoadedRun
from fercache.records import MAIN
from fercache.reporting.known_domains import validation_path
from fercache.scoring.calibration import cut_at, probabilities
from fercache.scoring.selection import headline, policies_of
from fercache.serving.classifiers import Classifier
from fercache.settings import Settings
from fercache.stages._source_validation import SourceValidation
from fercache.store.runs import StoredPredictions, read_predictions

Rows = tuple[NDArray[np.float64], NDArray[np.int64]]


@dataclass(frozen=True)
class Threshold:
    """The probability below which a face's expression is unknown, and how it was chosen, if it was."""

    probability: float = 0.0
    reason: str = ""


def chosen_threshold(
    unknown_below: float | None, abstain_at: float | None, *, classifier: Classifier, settings: Settings
) -> Threshold:
    """The given probability, or the one at which the share `abstain_at` of the answers is wrong on source validation.

    Raises UsageError for both, for shares that are not between 0 and 1, for a model without a run, for a risk that no
    probability reaches, and if predictions on source validation are neither stored nor can be made.
    """
    for name, share in (("unknown_below", unknown_below), ("abstain_at", abstain_at)):
        if share is not None and not 0 < share < 1:
            raise UsageError(f"{name} {share}: give a share between 0 and 1.")
    if unknown_below is not None and abstain_at is not None:
        raise UsageError("unknown_below gives a threshold and abstain_at chooses one: give one or the other.")
    if abstain_at is not None:
        return _at_risk(abstain_at, classifier, settings)
    return Threshold(unknown_below or 0.0)


def _at_risk(risk: float, classifier: Classifier, settings: Settings) -> Threshold:
    if not classifier.runs:
        raise UsageError("abstain_at chooses a threshold on the source validation of a trained run: name one.")
    stored = [_stored(run, settings) for run in classifier.runs]
    calibrated = [_calibrated(run, each) for run, each in zip(classifier.runs, stored, strict=True)]
    if together := all(np.array_equal(each.features, stored[0].features) for each in stored):
        shares, truth = np.mean([each for each, _ in calibrated], axis=0), calibrated[0][1]
    else:  # seeds that hold out other faces: the mean would include answers to faces that a seed has trained on
        shares, truth = (np.concatenate(parts) for parts in zip(*calibrated, strict=True))
    cut, source = cut_at(shares, truth, risk), classifier.runs[0].config.source
    where = f"{len(truth):,} faces of source validation ({source})" + ("" if together else ", each seed on its own")
    if cut.risk > risk:
        raise UsageError(
            f"No threshold makes at most {risk:.1%} of the answers wrong on {where}: the lowest is {cut.risk:.1%}, "
            f"for the most confident {cut.coverage:.1%}. Give a larger risk."
        )
    return Threshold(
        cut.confidence,
        f"chosen on {where}: {cut.coverage:.1%} of them are answered, and {cut.risk:.1%} of the answers are wrong; on "
        "other domains more are",
    )


EVERY = Threshold()
"""Every face is answered."""


def _stored(run: LoadedRun, settings: Settings) -> StoredPredictions:
    policy = headline([policies_of(run.run.history)])
    path = validation_path(run.run.folder, policy)
    if not path.exists():
        SourceValidation(settings, run.device).write(run, policy)
    return read_predictions(path)


def _calibrated(run: LoadedRun, stored: StoredPredictions) -> Rows:
    temperature = run.temperature(run.chosen(headline([policies_of(run.run.history)]))) or 1.0
    known = np.ones(len(stored.expressions), bool)
    return probabilities(stored.logits[MAIN] / temperature, known), stored.truth
