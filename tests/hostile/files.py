"""Thousands of files that are wrong in a way of their own, each of which is read, or refused in our words."""

import json
import random
import shutil
import struct
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fercache.errors import FercacheError
from fercache.experiments.config import load_experiment
from fercache.experiments.steps import expand
from fercache.expressions import EXPRESSIONS
from fercache.identity import file_hash
from fercache.images.views import load_recipe
from fercache.loading.run_config import RunConfig
from fercache.loading.runs import load_run
from fercache.prompts import prompt_set
from fercache.records import frame, read_record, write_record
from fercache.scoring.selection import choose, policies_of
from fercache.settings import load_settings
from tests.fake_records import fake_record
from tests.hostile.corrupting import as_json, as_toml, corrupted_bytes, corrupted_tree
from tests.store.made_runs import written

CASES = 2_000
LONGEST = 2_000
"""Most characters of a readable message."""

DIMENSION = 4
EXPERIMENT = {
    "name": "mine",
    "about": "Words.",
    "sources": ["synthetic:studio", ["synthetic:webcam", "synthetic:sketch"]],
    "targets": ["synthetic:night@test", "ferplus+blur:3"],
    "seeds": [0, 1],
    "selection": ["source-val", "last"],
    "views": 2,
    "recipe": "cafe",
    "faces": 100,
    "statistics": {"baseline": "linear-probe", "exclude_duplicates": True},
    "heads": [
        {"head": "linear-probe"},
        {"head": "sigmoid-mask", "settings": {"epochs": 3, "recipe": "cafe"}, "grid": {"batch_size": [8, 16]}},
    ],
}
RECIPE = {"name": "mine", "seed": 3, "steps": [{"kind": "noise", "p": 0.5, "variance": 30}, {"kind": "flip", "p": 0.5}]}
PROMPTS = {expression: [f"a face of {expression}", "a face"] for expression in EXPRESSIONS}
SETTINGS = {"cache": "cache", "reports": "reports", "datasets": {"ferplus": "faces", "folder:mine": "s3://bucket/mine"}}
HISTORY = [{"epoch": 1, "validation_accuracy": 0.5, "validation_mean_class_recall": 0.4, "snapshot": "epoch-01"}]


@dataclass(frozen=True)
class Kind:
    """A kind of file: what is `whole`, and how to write something else in its place and read it."""

    whole: Callable[[Path], Any]
    attempt: Callable[[Path, Any, random.Random], None]


def _record(folder: Path) -> dict[str, Any]:
    record = fake_record("sigmoid-mask")
    return {
        "path": write_record(folder / record.run, record),
        "tree": json.loads(record.model_dump_json(by_alias=True)),
    }


def _try_record(folder: Path, whole: dict[str, Any], chance: random.Random) -> None:
    whole["path"].write_bytes(_corrupted(whole["tree"], as_json, chance))
    record = read_record(whole["path"])
    frame([record], {"anger": 0.5, "fear": 0.5})
    _ = record.is_seeded, record.target_label, record.is_own, record.why_seen


def _toml(tree: dict[str, Any], read: Callable[[Path], Any], name: str = "mine.toml") -> Kind:
    def attempt(folder: Path, whole: Any, chance: random.Random) -> None:
        (folder / name).write_bytes(_corrupted(whole, as_toml, chance))
        read(folder / name)

    return Kind(lambda folder: tree, attempt)


def _run(folder: Path) -> Path:
    name = "made-synthetic-studio-class-mean-none-0-00000000"
    config = RunConfig(
        name=name, key_version=2, key="0" * 64, method_key="1" * 64, encoder="made", encoder_identity={},
        encoder_request={"name": "made", "weights": None, "preprocessing": "clip"}, encoder_seen=["ferplus@train"],
        source="synthetic:studio", source_split="train", source_key="2" * 64, head="sigmoid-mask", trunk="mlp",
        settings={"epochs": 1}, seed=0, expressions=list(EXPRESSIONS[:7]), dimension=DIMENSION, policy="majority",
        label_file=None, prompts=None, prompts_key=None, logit_scale=20.0, train_rows=70, validation_rows=10,
        dropped={}, versions={}, device="cpu", seconds=1.0,
    )  # fmt: skip
    empty = {"task": {"text": np.ones((7, DIMENSION), np.float32)}}
    place = written(folder / name, config=config.model_dump(mode="json"), history=HISTORY, snapshots=empty)
    head = load_run(place, "cpu").head
    shutil.rmtree(place)
    state = {"epoch-01": {key: value.numpy() for key, value in head.state_dict().items()}} | empty
    return written(place, config=config.model_dump(mode="json"), history=HISTORY, snapshots=state)


def _read_run(folder: Path) -> None:
    """As if training had written what lies there: hashes tell of all else."""
    done = json.loads((folder / "done").read_bytes())
    done["sha256"] = {name: file_hash(folder / name) for name in done["sha256"]}
    (folder / "done").write_text(json.dumps(done))
    loaded = load_run(folder, "cpu")
    for policy in policies_of(loaded.run.history):
        target = dict.fromkeys(loaded.snapshots, 0.5) if policy == "oracle" else None
        loaded.load_snapshot(choose(policy, loaded.run.history, loaded.config.validation_rows, target))


def _try_run(folder: Path, whole: Path, chance: random.Random) -> None:
    place = _copy(folder, whole)
    name = chance.choice(("config.json", "config.json", "config.json", "history.csv", "done"))
    data = (place / name).read_bytes()
    tree = json.loads(data) if name != "history.csv" else None
    (place / name).write_bytes(corrupted_bytes(data, chance) if tree is None else _corrupted(tree, as_json, chance))
    if name == "done":
        load_run(place, "cpu")
    else:
        _read_run(place)


def _try_weights(folder: Path, whole: Path, chance: random.Random) -> None:
    place = _copy(folder, whole)
    weights = place / "head.safetensors"
    data = weights.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    if chance.random() < 0.7:
        header = as_json(corrupted_tree(json.loads(data[8 : 8 + size]), chance))
        length = chance.choice((len(header), len(header), len(header), 0, 2**60, len(header) - 1))
        weights.write_bytes(struct.pack("<Q", length) + header + data[8 + size :])
    else:
        weights.write_bytes(corrupted_bytes(data, chance))
    _read_run(place)


def _copy(folder: Path, whole: Path) -> Path:
    shutil.rmtree(folder / "copy", ignore_errors=True)
    return Path(shutil.copytree(whole, folder / "copy" / whole.name))


def _corrupted(tree: Any, written: Callable[[Any], bytes], chance: random.Random) -> bytes:
    return written(corrupted_tree(tree, chance)) if chance.random() < 0.8 else corrupted_bytes(written(tree), chance)


KINDS = {
    "records": Kind(_record, _try_record),
    "experiments": _toml(EXPERIMENT, lambda file: expand(load_experiment(file))),
    "recipes": _toml(RECIPE, lambda file: load_recipe(str(file)).identity()),
    "prompts": _toml(PROMPTS, lambda file: prompt_set(str(file))),
    "settings": _toml(SETTINGS, lambda file: load_settings(file.parent).report("mine"), "fercache.toml"),
    "runs": Kind(_run, _try_run),
    "weights": Kind(_run, _try_weights),
}


def wrong(kind: str, numbers: Iterable[int]) -> Iterator[str]:
    """What is wrong with the cases of these numbers: exceptions that are not ours, and messages beyond reading."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        whole = KINDS[kind].whole(folder)
        for number in numbers:
            try:
                KINDS[kind].attempt(folder, whole, random.Random(f"{kind} {number}"))
            except FercacheError as error:
                if len(str(error)) > LONGEST or not str(error).strip():
                    yield f"{kind} {number}: a message of {len(str(error)):,} characters: {str(error)[:300]}"
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                yield f"{kind} {number}: {type(error).__name__}: {str(error)[:200]} ({where.filename}:{where.lineno})"


def main() -> int:
    """`python -m tests.hostile.files KIND FIRST LAST`: a child's work; a line a case that went wrong."""
    kind, first, last = sys.argv[1:]
    found = list(wrong(kind, range(int(first), int(last))))
    print("\n".join(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
