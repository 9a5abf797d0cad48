"""Sources whose validation is too small to choose by."""

from collections.abc import Iterable

from fercache.loading.sources import FEWEST, FOLDS, VALIDATION_SHARE, Source
from fercache.runtime.progress import say_once


def warn_few(sources: Iterable[Source]) -> None:
    """Prints which expressions have too few faces in source validation, the consequence, and remedies."""
    for source in sources:
        if source.few:
            say_once(
                f"warning: {source.name}: source validation has fewer than {FEWEST} faces of {', '.join(source.few)}. "
                f"Candidates (C, k, alpha, beta) are chosen by {FOLDS}-fold cross-validation over the training faces; "
                "heads trained by gradient descent keep their last epoch. " + _more_faces(source)
            )


def _more_faces(source: Source) -> str:
    """What would give source validation enough faces."""
    enough = round(FEWEST / VALIDATION_SHARE)
    without = source.few == ("contempt",) and len(source.expressions) > 2
    remedies = [
        f"add faces of {'it' if len(source.few) == 1 else 'them'}: {enough} each, a tenth of which is held out, or "
        f"{FEWEST} each in a folder or split named validation",
        "pool the source with another: --source OTHER",
        *(["leave contempt out: --classes 7"] if without else []),
    ]
    return f"To choose by source validation: {'; or '.join(remedies)}."
