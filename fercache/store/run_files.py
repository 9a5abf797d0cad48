"""The content of a run's files, as training makes it."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from fercache.store.atomic import json_text, utf8

CONFIG, HISTORY, WEIGHTS = "config.json", "history.csv", "head.safetensors"
FILES = (CONFIG, HISTORY, WEIGHTS)

RunFiles = dict[str, bytes]
"""The content of a run's files, by name."""


def run_files(
    folder: Path,
    *,
    config: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    snapshots: Mapping[str, Mapping[str, NDArray[Any]]],
) -> RunFiles:
    """The files of a run in `folder`; nothing is written."""
    return {
        CONFIG: utf8(folder / CONFIG, json_text(dict(config))),
        HISTORY: _history_text(history).encode(),
        WEIGHTS: _weights_bytes(snapshots),
    }


def _history_text(history: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    if columns:
        rows = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        rows.writeheader()
        rows.writerows(history)
    return text.getvalue()


def _weights_bytes(snapshots: Mapping[str, Mapping[str, NDArray[Any]]]) -> bytes:
    """Tensors as `<snapshot>/<name>`; one that equals an earlier snapshot's is stored once, with a reference."""
    stored: dict[str, NDArray[Any]] = {}
    repeated: dict[str, str] = {}
    first: dict[str, str] = {}
    for snapshot, named in snapshots.items():
        for name, tensor in named.items():
            place, earlier = f"{snapshot}/{name}", first.setdefault(name, f"{snapshot}/{name}")
            if place != earlier and np.array_equal(tensor, stored[earlier]):
                repeated[place] = earlier
            else:
                stored[place] = np.asarray(tensor, order="C")  # the format needs contiguous arrays
    # The format sorts tensors and shuffles metadata, so the order of the snapshots is in one metadata entry.
    about = {"names": list(snapshots), "repeated": repeated} if repeated else list(snapshots)
    return save(stored, metadata={"snapshots": json.dumps(about)})
