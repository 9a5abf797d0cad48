"""Small caches with any tables, runs and records, made in milliseconds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from fercache.identity import key_of
from fercache.images.views import load_recipe
from fercache.loading.run_config import RunConfig
from fercache.options.extract import EncoderRequest
from fercache.records import write_record
from fercache.store.asked import asked_path
from fercache.store.atomic import write_text
from fercache.store.schema import Columns
from fercache.store.shards import TableWriter
from fercache.store.tables import CLEAN, RECIPE, TableInfo, read_info, table_path
from tests.fake_records import CLASSES, fake_record
from tests.store.made_runs import written

NO_DISK = patch("os.fsync", lambda descriptor: None)
"""Tests do not lose power."""


def encoder(version: int = 1, name: str = "made") -> dict[str, Any]:
    return {"name": name, "version": version, "preprocessing": {"crop": "centre"}, "precision": "fp32"}


def made_table(
    cache: Path,
    dataset: str = "folder:mine",
    *,
    content: int = 0,
    version: int = 1,
    views: int = 0,
    asked: int = 0,
) -> TableInfo:
    """A table of two faces; `content` and `version` make other keys, `asked` is the minute of its request."""
    identity: dict[str, Any] = {"dataset": dataset, "manifest": content, "encoder": encoder(version)}
    names = [CLEAN, *(f"view{number}" for number in range(views))]
    identity |= {"views": names} | ({RECIPE: load_recipe("cafe").identity()} if views else {})
    path = table_path(cache, "made", dataset.replace(":", "-"), key_of(identity))
    hashes = np.full((2, 32), content, np.uint8)
    columns = Columns(
        id=np.array(["a", "b"], dtype=object),
        split=np.array(["train", "test"], dtype=object),
        subject=np.array(["", ""], dtype=object),
        group=np.array(["", ""], dtype=object),
        label=np.array([0, 1], np.int16),
        votes=None,
        features={name: np.zeros((2, 3), np.float16) for name in names},
        file_sha256=hashes,
        pixel_sha256=hashes,
    )
    request = EncoderRequest().stored()
    provenance = {"encoder": "made", "encoder_request": request, "root": None, "batch_size": 8, "date": ""}
    with NO_DISK, TableWriter(path, identity=identity, classes=CLASSES, vote_columns=(), rows=2) as writer:
        if writer.missing():
            writer.write(0, columns, [], {"batch_size": 8})
        writer.assemble(provenance)
        write_text(asked_path(path), f"2026-01-01T00:{asked:02}:00+00:00\n")
    return read_info(path)


def made_run(
    cache: Path,
    table: TableInfo,
    head: str = "sigmoid-mask",
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    key_version: int = 2,
    **changes: Any,
) -> Path:
    """A finished run that was trained on `table`; `changes` are other entries of its configuration."""
    chosen = {"trunk": "mlp", "epochs": 3, **(settings or {})}
    method = {"head": head, "settings": chosen, "source": table.clean_key, "version": key_version}
    key = key_of({**method, "seed": seed})
    source = str(table.identity["dataset"])
    name = f"made-{source.replace(':', '-')}-{head}-mlp-{seed}-{key[:8]}"
    config = RunConfig(
        name=name,
        key=key,
        key_version=key_version,
        method_key=key_of(method),
        encoder="made",
        encoder_identity=table.identity["encoder"],
        encoder_request=table.provenance["encoder_request"],
        encoder_seen=[],
        source=source,
        source_split="train",
        source_key=table.clean_key,
        head=head,
        trunk="mlp",
        settings=chosen,
        seed=seed,
        expressions=list(CLASSES),
        dimension=3,
        prompts=None,
        prompts_key=None,
        logit_scale=None,
        train_rows=10,
        validation_rows=5,
        dropped={},
        versions={},
        device="cpu",
        seconds=1.0,
        **changes,
    )
    history = [{"epoch": 1, "validation_accuracy": 0.5, "validation_mean_class_recall": 0.5, "snapshot": "epoch-01"}]
    weights = {"epoch-01": {"weight": np.full(3, seed, np.float32)}}
    content = config.model_dump(mode="json", by_alias=True)
    with NO_DISK:
        return written(cache / "runs" / name, config=content, history=history, snapshots=weights)


def made_record(run: Path, table: TableInfo, selection: str = "source-val", **changes: Any) -> Path:
    """A record of a run on the faces of `table`, with predictions that only fill space."""
    target = str(table.identity["dataset"])
    keys = {"run": "0", "target": table.clean_key}
    given = {"run": run.name, "keys": keys, "target": target, "source": "folder:other", **changes}
    record = fake_record(selection=selection, **given)
    with NO_DISK:
        path = write_record(run, record)
        write_text(run / "predictions" / f"{path.stem}.h5", "predictions")
    return path


@contextmanager
def unchanged(cache: Path) -> Iterator[None]:
    """No file of a cache changes."""

    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in cache.rglob("*") if path.is_file() and "in-use" not in path.parts}

    before = content()
    yield
    assert content() == before
