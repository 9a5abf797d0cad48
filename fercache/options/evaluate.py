"""Options of `fercache evaluate`."""

from fercache.options import Options, device_option, option


class EvaluateRequest(Options):
    """Which runs to score on which targets. No runs: all finished ones. No targets: every extracted dataset."""

    targets: tuple[str, ...] = option(
        (), "Dataset to score on, NAME[@SPLIT]; repeatable.", flag="target", shown="every extracted dataset"
    )
    runs: tuple[str, ...] = option((), "Name or key of a run; repeatable.", flag="run", shown="every finished run")
    encoder: str | None = option(None, "Only runs on this encoder's features.")
    exclude_duplicates: bool = option(
        False, "Also score without the target faces whose image is in the source's training rows."
    )
    again: bool = option(False, "Score again where a record exists.")
    device: str = device_option()
