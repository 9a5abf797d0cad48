"""The embedded default, end to end."""

from pathlib import Path

from fercache import registry
from fercache.encoders import EncoderRequest
from fercache.records import Record
from fercache.settings import Settings
from fercache.stages.compare import compare
from fercache.stages.evaluate import EvaluateRequest, evaluate
from fercache.stages.extract import ExtractRequest, extract
from fercache.stages.sources import TrainRequest
from fercache.stages.train import train

HEADS = ("zero-shot", "linear-probe", "sigmoid-mask", "text-similarity")
SEEDS = (0, 1, 2)


def demo(settings: Settings, device: str = "auto") -> tuple[Path, list[Record]]:
    """From studio to the other synthetic domains, through every stage; returns the page and its records."""
    domains = [f"synthetic:{domain}" for domain in registry.load("datasets", "synthetic").domains]
    for domain in domains:
        extract(settings, ExtractRequest(domain, encoder=EncoderRequest(device=device)))
    runs = train(settings, TrainRequest(source=domains[0], heads=HEADS, encoder="bundled", seeds=SEEDS, device=device))
    names = tuple(run.name for run in runs)
    evaluate(settings, EvaluateRequest(targets=tuple(domains), runs=names, device=device))
    return compare(settings, names, "demo")
