"""Options of `fercache estimate`."""

from pathlib import Path

from fercache.options import Options, device_option, option


class EstimateRequest(Options):
    """Which runs (default: all finished ones on the target's encoder) to estimate on which target."""

    target: str = option(..., "Dataset without labels, NAME[@SPLIT].", argument=True)
    runs: tuple[str, ...] = option((), "Name or key of a run; repeatable.", flag="run", shown="every finished run")
    labelled: Path | None = option(
        None, "Estimate from the labels that you have written into this list of `fercache suggest`."
    )
    encoder: str | None = option(None, "Estimate only runs on this encoder's features.")
    device: str = device_option()
