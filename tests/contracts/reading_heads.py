"""Heads that read the faces that they are going to be scored on, each in another way."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from fercache.heads import Batch
from fercache.heads.class_mean import ClassMean
from fercache.trunks import Faces


class OpensATable(ClassMean):
    """By the store of fercache."""

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        from fercache.store.tables import find_tables

        find_tables(Path("cache"))
        yield from super().candidates(train, seed)


class OpensHDF5(ClassMean):
    """By h5py, which opens files without Python's knowledge, and under a name that no import has."""

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        h5py = importlib.import_module("h5" + "py")
        try:
            h5py.File("target.h5")
        except OSError:
            yield from super().candidates(train, seed)


class LooksForFiles(ClassMean):
    """Lists a folder while it scores."""

    def logits(self, faces: Faces) -> Tensor:
        list(Path("/").iterdir())
        return super().logits(faces)


class OpensAFile(ClassMean):
    """Reads an array while it trains."""

    def candidates(self, train: Batch, seed: int) -> Iterator[dict[str, float | str]]:
        try:
            np.load("target.npy")
        except OSError:
            yield from super().candidates(train, seed)
