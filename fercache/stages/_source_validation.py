"""The predictions of a run on its source validation, from which estimates without labels start."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from fercache.errors import UsageError
from fercache.identity import canonical_json, seed_from
from fercache.loading.run_config import RunConfig
from fercache.loading.runs import LoadedRun, load_run
from fercache.loading.sources import Source, read_source
from fercache.options.train import LearningOptions, TrainRequest
from fercache.records import MAIN
from fercache.reporting.known_domains import validation_path
from fercache.scoring.selection import headline_of
from fercache.settings import Settings
from fercache.splits import POOL
from fercache.store.runs import StoredPredictions, read_run, write_predictions
from fercache.store.tables import FeatureTable, read_table
from fercache.training import head_logits

SAMPLE = 1000
"""Faces whose features are stored."""
MOST = 10_000
"""Faces that a run answers; more would say little more."""
_AT_ONCE = 1024


class SourceValidation:
    """Stores the predictions of runs on their source validation; `read` loads a table by its path.

    Reads a source once for all runs that follow one another.
    """

    def __init__(self, settings: Settings, device: str, read: Callable[[Path], FeatureTable] = read_table) -> None:
        self._settings = settings
        self._device = device
        self._read = read
        self._last: tuple[str, Source] | None = None

    def write_missing(self, folders: Iterable[Path]) -> None:
        """Writes those of the policy that methods are compared by; leaves out runs whose source is not in the cache."""
        for folder in folders:
            with suppress(UsageError):
                policy = headline_of(read_run(folder).history)
                if not validation_path(folder, policy).exists():
                    self.write(load_run(folder, self._device), policy)

    def write(self, loaded: LoadedRun, policy: str) -> Path:
        """Writes the predictions of the snapshot that a policy chooses; returns their path.

        Raises UsageError if the cache does not hold the source, or has another one now.
        """
        config, snapshot = loaded.config, loaded.chosen(policy)
        faces = self._source(config).faces.validation
        loaded.load_snapshot(snapshot)
        order = np.random.default_rng(seed_from("sample", *(part.key for part in config.parts))).permutation(len(faces))
        asked, sample = (torch.from_numpy(np.sort(order[:most])) for most in (MOST, SAMPLE))
        logits = torch.cat([head_logits(loaded.head, faces.rows(rows)) for rows in asked.split(_AT_ONCE)])
        truth = faces.labels[asked].cpu().numpy()
        predictions = StoredPredictions(
            expressions=tuple(config.expressions),
            id=np.array([f"{row:07d}" for row in asked.tolist()], dtype=object),
            truth=truth,
            logits={MAIN: logits.float().cpu().numpy()},
            sample=np.searchsorted(asked.numpy(), sample.numpy()),
            features=faces.rows(sample).features.cpu().numpy().astype(np.float16),
            mask_mean=None,
        )
        attributes = {"run": config.name, "target": "source validation", "snapshot": snapshot}
        return write_predictions(validation_path(loaded.run.folder, policy), predictions, attributes)

    def _source(self, config: RunConfig) -> Source:
        request = request_of(config, self._device)
        key = canonical_json([request.model_dump(mode="json"), config.crop_side])
        if self._last is None or self._last[0] != key:
            with_crops = config.crop_side is not None
            source = read_source(self._settings, request, self._read, with_crops=with_crops, side=config.crop_side)
            self._last = key, source
        source = self._last[1]
        if [part.table.clean_key for part in source.parts] != [part.key for part in config.parts]:
            raise UsageError(
                f"{config.source} has changed in the cache since {config.name} was trained on it. Run the same "
                "`fercache train` again."
            )
        return source


def request_of(config: RunConfig, device: str) -> TrainRequest:
    """The source and the options that a run was trained with; source validation does not depend on `few`."""
    parts = [f"{part.name}@{part.split}" if part.split else part.name for part in config.parts]
    given = config.part(LearningOptions) | {"few": None} | ({"prompts": config.prompts} if config.prompts else {})
    return TrainRequest(source=POOL.join(parts), encoder=config.encoder, device=device, **given)
