"""The predictions of a run on its source validation, from which estimates without labels start."""

from pathlib import Path

import numpy as np

from fercache.errors import UsageError
from fercache.identity import seed_from
from fercache.loading.run_config import RunConfig
from fercache.loading.runs import LoadedRun
from fercache.loading.sources import Source, read_source
from fercache.options.train import LearningOptions, TrainRequest
from fercache.records import MAIN
from fercache.settings import Settings
from fercache.splits import POOL
from fercache.store.runs import StoredPredictions, write_predictions
from fercache.training import head_logits

SAMPLE = 1000
"""Faces whose features are stored."""


def source_of(settings: Settings, config: RunConfig, device: str) -> Source:
    """The source that a run was trained on. Raises UsageError if the cache does not hold it, or has another one now."""
    request = request_of(config, device)
    with_crops = config.crop_side is not None
    source = read_source(settings, request, with_crops=with_crops, side=config.crop_side)
    if [part.table.clean_key for part in source.parts] != [part.key for part in config.parts]:
        raise UsageError(f"{config.source} has changed in the cache since {config.name} was trained on it.")
    return source


def request_of(config: RunConfig, device: str) -> TrainRequest:
    """The source and the options that a run was trained with."""
    parts = [f"{part.name}@{part.split}" if part.split else part.name for part in config.parts]
    given = config.part(LearningOptions) | ({"prompts": config.prompts} if config.prompts else {})
    return TrainRequest(source=POOL.join(parts), encoder=config.encoder, device=device, **given)


def write_validation(path: Path, loaded: LoadedRun, source: Source, snapshot: str) -> Path:
    """Writes the predictions of a run's snapshot on its source validation to `path`."""
    faces = source.faces.validation
    loaded.load_snapshot(snapshot)
    truth = faces.labels.cpu().numpy()
    generator = np.random.default_rng(seed_from("sample", *(part.key for part in loaded.config.parts)))
    sample = np.sort(generator.permutation(len(truth))[:SAMPLE])
    predictions = StoredPredictions(
        expressions=tuple(loaded.config.expressions),
        id=np.array([f"{row:07d}" for row in range(len(truth))], dtype=object),
        truth=truth,
        logits={MAIN: head_logits(loaded.head, faces).float().cpu().numpy()},
        sample=sample,
        features=faces.features.cpu().numpy()[sample].astype(np.float16),
        mask_mean=None,
    )
    attributes = {"run": loaded.config.name, "target": "source validation", "snapshot": snapshot}
    return write_predictions(path, predictions, attributes)
