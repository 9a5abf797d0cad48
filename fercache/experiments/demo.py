"""The embedded default, end to end: `pipelines/demo.toml`, for whoever has the package alone."""

from pathlib import Path

from fercache.errors import FercacheError
from fercache.experiments.config import Experiment, HeadEntry, Statistics
from fercache.experiments.run import RunRequest, run
from fercache.records import Record
from fercache.settings import Settings

HEADS = ("zero-shot", "class-mean", "linear-probe", "sigmoid-mask", "text-similarity")

DEMO = Experiment(
    name="demo",
    about="Five heads trained on drawn studio faces, scored on three drawn domains that they never saw.",
    sources=("synthetic:studio",),
    targets=("synthetic",),
    seeds=(0, 1, 2),
    heads=tuple(HeadEntry(head=name) for name in HEADS),
    statistics=Statistics(baseline="zero-shot"),
)


def demo(settings: Settings, device: str = "auto") -> tuple[Path, list[Record]]:
    """From studio to the other synthetic domains, through every stage; returns the page and its records.

    Raises FercacheError when a step failed.
    """
    outcome = run(settings, RunRequest(DEMO, device))
    if outcome.failures or outcome.page is None:
        raise FercacheError("; ".join(f"{failure.title}: {failure.reason}" for failure in outcome.failures))
    return outcome.page, outcome.records
