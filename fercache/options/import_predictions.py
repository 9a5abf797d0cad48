"""Options of `fercache import-predictions`."""

from pathlib import Path

from fercache.options import Options, labels_option, option, votes_option
from fercache.options.train import SourceName
from fercache.policies import FALLBACK, SelectionPolicy, VotePolicy


class ImportRequest(Options):
    """The predictions, their target, and the `source` that the model was trained on, as for `train`."""

    file: Path = option(..., "CSV file of predictions.", argument=True)
    target: str = option(..., "Dataset that the predictions are for, NAME[@SPLIT]; it must be extracted.")
    source: SourceName = option(..., "Dataset that the model was trained on; repeatable.", repeatable=True)
    model: str | None = option(None, "Name of the model, if the file has no column `model`.")
    seed: int = option(0, "Seed of the model.")
    selection: SelectionPolicy = option(
        FALLBACK, "Selection policy by which the model's epoch was chosen; oracle: on the target itself."
    )
    votes: VotePolicy = votes_option("How rater votes become labels.")
    labels: str | None = labels_option()
