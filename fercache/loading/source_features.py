"""The mean feature of each expression in a run's source, from the tables in the cache."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fercache.adaptations import SourceFeatures
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.loading.labelled_faces import Labelling, labelled_faces
from fercache.loading.run_config import RunConfig, SourcePart
from fercache.loading.tables import command_to_extract
from fercache.options.extract import EncoderRequest
from fercache.store.tables import FeatureTable, TableInfo
from fercache.trunks import BLOCK


class SourceMeans:
    """`SourceFeatures` of runs, each source read once; `read` loads a table by its path."""

    def __init__(self, tables: Sequence[TableInfo], read: Callable[[Path], FeatureTable]) -> None:
        self._paths = {table.clean_key: table.path for table in tables}
        self._read = read
        self._found: dict[tuple[object, ...], SourceFeatures] = {}

    def of(self, config: RunConfig) -> SourceFeatures:
        """Of all labelled faces of the source's split, on the CPU. Raises UsageError if a table is not in the cache."""
        labelling = Labelling(tuple(config.expressions), config.votes, config.labels)
        key = (labelling, *((part.key, part.split) for part in config.parts))
        if key not in self._found:
            parts = [self._sums(part, labelling, config) for part in config.parts]
            sums, faces = (np.sum(each, axis=0) for each in zip(*parts, strict=True))
            means = sums / np.maximum(faces, 1e-12)[:, None]
            self._found[key] = SourceFeatures(torch.from_numpy(means).float(), torch.from_numpy(faces).float())
        return self._found[key]

    def _sums(
        self, part: SourcePart, labelling: Labelling, config: RunConfig
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The sum (L, D) of each expression's features, and its faces (L,); soft labels count in shares."""
        if part.key not in self._paths:
            again = command_to_extract(part.name, EncoderRequest.of(config.encoder_request))
            raise UsageError(
                f"{config.name} was trained on a table of {part.name} that is no longer in the cache, and an "
                f"adaptation compares the target with it. Run: {again}"
            )
        name = DatasetName.parse(part.name)
        faces = labelled_faces(self._read(self._paths[part.key]), name, part.split, labelling=labelling)
        hard = np.eye(len(labelling.expressions))
        sums = np.zeros((len(hard), faces.features.shape[1]))
        count = np.zeros(len(hard))
        for start in range(0, len(faces.truth), BLOCK):
            block = faces.take(slice(start, start + BLOCK))
            shares = hard[block.truth] if block.distribution is None else block.distribution.astype(np.float64)
            sums += shares.T @ block.features[:].astype(np.float64)
            count += shares.sum(axis=0)
        return sums, count
