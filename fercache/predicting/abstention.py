"""The probability below which too many answers are wrong."""

import numpy as np
from numpy.typing import NDArray

from fercache.errors import UsageError
from fercache.loading.runs import LoadedRun
from fercache.predicting.classifiers import Classifier
from fercache.predicting.thresholds import Threshold
from fercache.records import MAIN
from fercache.reporting.known_domains import validation_path
from fercache.scoring.calibration import cut_at, probabilities
from fercache.scoring.selection import headline_of
from fercache.settings import Settings
from fercache.stages._source_validation import SourceValidation
from fercache.store.runs import StoredPredictions, read_predictions


def threshold_at(risk: float, classifier: Classifier, settings: Settings) -> Threshold:
    """The lowest probability at which at most the share `risk` of the answers is wrong on source validation.

    A method's seeds, whose probabilities are averaged, have the same source validation. Raises UsageError for a risk
    that no probability reaches, and if predictions on source validation are neither stored nor can be made.
    """
    stored = [_stored(run, settings) for run in classifier.runs]
    if not all(np.array_equal(each.features, stored[0].features) for each in stored):
        raise UsageError(f"The seeds of {classifier.title} have different faces in source validation: name one run.")
    shares = np.mean([_calibrated(run, each) for run, each in zip(classifier.runs, stored, strict=True)], axis=0)
    cut, source = cut_at(shares, stored[0].truth, risk), classifier.runs[0].config.source
    where = f"{len(shares):,} faces of source validation ({source})"
    if cut.bound > risk:
        raise UsageError(
            f"{where} cannot show that at most {risk:.2%} of the answers are wrong, at any threshold; the least that "
            f"they can show is {cut.bound:.2%}. Give a larger risk."
        )
    return Threshold(
        cut.confidence,
        f"chosen on {where}: {cut.coverage:.1%} of them are answered, and {cut.risk:.1%} of the answers are wrong; on "
        "other domains more are",
    )


def _stored(run: LoadedRun, settings: Settings) -> StoredPredictions:
    policy = headline_of(run.run.history)
    path = validation_path(run.run.folder, policy)
    if not path.exists():
        SourceValidation(settings, run.device).write(run, policy)
    return read_predictions(path)


def _calibrated(run: LoadedRun, stored: StoredPredictions) -> NDArray[np.float64]:
    temperature = run.temperature(run.chosen(headline_of(run.run.history))) or 1.0
    known = np.ones(len(stored.expressions), bool)
    return probabilities(stored.logits[MAIN] / temperature, known)
