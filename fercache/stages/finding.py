"""Which table is meant: by data set and encoder, the one that was extracted last."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fercache.datasets import DatasetName
from fercache.errors import UsageError, nearest
from fercache.store.prompts import PromptTable, read_prompts
from fercache.store.tables import TableInfo, find_tables

DEFAULT_ENCODER = "bundled"


def slug_of(encoder: str) -> str:
    """An `--encoder` value as it stands in folder names, as far as it says."""
    return encoder.lower().replace("/", "--").replace(":", "-")


def find_table(cache: Path, dataset: str, encoder: str | None) -> TableInfo:
    """The table of `dataset` extracted last with `encoder` (default: the bundled one, else the only one there is).

    Raises UsageError, with the command that makes it, when there is none, or when several encoders fit.
    """
    name = DatasetName.parse(dataset)
    tables = [table for table in find_tables(cache) if holds(table, name)]
    encoders = dict.fromkeys(t.provenance["encoder"] for t in tables)
    fitting = [e for e in encoders if encoder and (e == slug_of(encoder) or e.startswith(slug_of(encoder) + "--"))]
    if encoder is None:
        fitting = [DEFAULT_ENCODER] if DEFAULT_ENCODER in encoders else list(encoders)
    if not fitting:
        with_encoder = f" --encoder {encoder}" if encoder else ""
        known = f" Tables of it exist for: {', '.join(encoders)}." if encoders else ""
        raise UsageError(
            f"{name.whole} has not been extracted{' with ' + encoder if encoder else ''}.{known} "
            f"Run: fercache extract --dataset {name if name.corruption else name.whole}{with_encoder}"
        )
    if len(fitting) > 1:
        raise UsageError(f"Several encoders have a table of {dataset}. Choose with --encoder: {', '.join(fitting)}.")
    return next(t for t in tables if t.provenance["encoder"] == fitting[0])


def holds(table: TableInfo, name: DatasetName) -> bool:
    """Whether a table is of the set and has the split; a spoilt set's table holds a single one."""
    split = table.identity.get("split")
    return table.identity["dataset"] == str(name.whole) and (split is None or name.split in ("", split))


def same_encoder(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether features of both may be used together; every precision agrees with fp32, so none counts."""
    return {**one, "precision": ""} == {**other, "precision": ""}


def find_prompts(cache: Path, table: TableInfo, label: str) -> PromptTable | None:
    """The prompt table `label` in the space of a feature table, newest first; None when its encoder knows no text.

    Raises UsageError when the encoder has prompt tables, but not this one.
    """
    folder = cache / "prompts" / table.provenance["encoder"]
    encoder = table.identity["encoder"]
    paths = sorted(folder.glob("*.h5"), key=lambda path: path.stat().st_mtime, reverse=True)
    fitting = [p for p in map(read_prompts, paths) if p.identity["encoder"].items() <= encoder.items()]
    if not fitting:
        return None
    labelled = {p.path.stem.rpartition("-")[0]: p for p in reversed(fitting)}
    if label not in labelled:
        dataset = table.identity["dataset"]
        raise UsageError(
            f"The prompts '{label}' are not embedded by {table.provenance['encoder']}. {nearest(label, labelled)} "
            f"Run: fercache extract --dataset {dataset} --prompts {label}"
        )
    return labelled[label]
