"""Options of `fercache import-predictions`."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from fercache.options import Options, labels_option, option, votes_option
from fercache.policies import FALLBACK, SelectionPolicy, VotePolicy
from fercache.splits import POOL


class ImportRequest(Options):
    """The predictions, their target, and the `source` that the model was trained on, as for `train`."""

    file: Path = option(..., "CSV file of predictions.", argument=True)
    target: str = option(..., "Dataset that the predictions are for, NAME[@SPLIT]; it must be extracted.")
    source: Annotated[str, BeforeValidator(lambda given: given if isinstance(given, str) else POOL.join(given))] = (
        option(..., "Dataset that the model was trained on; repeatable.")
    )
    model: str | None = option(None, "Name of the model, if the file has no column `model`.")
    seed: int = option(0, "Seed of the model.")
    selection: SelectionPolicy = option(
        FALLBACK, "Selection policy by which the model's epoch was chosen; oracle: on the target itself."
    )
    votes: VotePolicy = votes_option("How rater votes become labels.")
    labels: str | None = labels_option()
