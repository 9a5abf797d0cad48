"""Options of `fercache evaluate`."""

from fercache.options import Options, device_option, option


class EvaluateRequest(Options):
    """Which runs (default: all finished ones) to score on which targets (default: every extracted dataset)."""

    targets: tuple[str, ...] = option(
        (), "Dataset to score on, NAME[@SPLIT]; repeatable.", flag="target", shown="every extracted dataset"
    )
    runs: tuple[str, ...] = option((), "Name or key of a run; repeatable.", flag="run", shown="every finished run")
    encoder: str | None = option(None, "Score only runs on this encoder's features.")
    exclude_duplicates: bool = option(
        False, "Also score without target faces that have a copy in the source's training rows."
    )
    adapt: tuple[str, ...] = option(
        (),
        "Also score runs adapted to the target without its labels: NAME or NAME-unguarded, of "
        "`fercache list adaptations`; repeatable.",
        metavar="NAME",
    )
    folds: int | None = option(
        None,
        "Score each run inside its own source instead, by training it again without each of K folds; a subject's faces "
        "are in one fold.",
        metavar="K",
        ge=2,
        le=100,
    )
    again: bool = option(False, "Score again even if a record exists.")
    device: str = device_option()
