"""What all the runs in the cache, and the text, say about the faces of a table; labels are not read."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS
from fercache.loading.batches import crops_of, faces_of_split
from fercache.loading.labelled_faces import of_split
from fercache.loading.models import PROMPTS, ZERO_SHOT
from fercache.loading.run_config import RunConfig, read_config
from fercache.loading.run_names import resolve_all
from fercache.loading.runs import check_head, load_chosen, load_run
from fercache.loading.tables import find_prompts, same_encoder
from fercache.loading.targets import target_split, unseen_split
from fercache.scoring.calibration import probabilities
from fercache.settings import Settings
from fercache.store.prompts import PromptTable
from fercache.store.rows import Rows, take
from fercache.store.runs import find_runs
from fercache.store.schema import CLEAN
from fercache.store.tables import FeatureTable, TableInfo, read_table
from fercache.training import head_logits
from fercache.trunks import BLOCK

TEXT = "text"
"""The name of the member that compares faces with the prompts, as `fercache predict` does without a run."""
_NAMED = EXPRESSIONS[:7]


@dataclass(frozen=True)
class Member:
    """A run, or TEXT, and its (N, L) probabilities of the committee's expressions; 0 for those it does not know."""

    name: str
    probabilities: NDArray[np.float64]

    @property
    def knows(self) -> NDArray[np.bool_]:
        """(L,) whether it can answer with each expression."""
        return np.asarray(self.probabilities.any(axis=0))

    @property
    def answers(self) -> NDArray[np.int64]:
        """(N,) index of the most probable expression."""
        return np.asarray(self.probabilities.argmax(axis=1))


@dataclass(frozen=True)
class Committee:
    """N faces of a dataset's split, in its `name`, the L expressions that any member knows, and what each says.

    `row` (N,) are the faces' rows in the table, `id` (N,) their ids, `features` (N, D) as stored, on disk if they are
    large.
    """

    name: DatasetName
    row: NDArray[np.int64]
    id: NDArray[np.object_]
    features: Rows
    expressions: tuple[str, ...]
    members: tuple[Member, ...]

    @property
    def posterior(self) -> NDArray[np.float64]:
        """(N, L) mean probabilities."""
        return np.asarray(np.mean([member.probabilities for member in self.members], axis=0))


def read_committee(
    settings: Settings,
    info: TableInfo,
    name: DatasetName,
    *,
    runs: Sequence[str] = (),
    every_run: bool = False,
    device: str = "auto",
) -> Committee:
    """What the `runs` say about the target `name` in a table; by default one run of each method, or `every_run`.

    The text is one more member, if no run is zero-shot.

    Raises UsageError for an unknown run, one of another encoder, or one that was trained on the faces, and if no run
    and no text is there.
    """
    table = read_table(info.path)
    name = replace(name, split=name.split or target_split(info.splits, name, []))
    row = np.flatnonzero(of_split(table, name, name.split))
    features = take(table.columns.features[CLEAN], row)
    finished = find_runs(settings.cache)
    folders = resolve_all(finished, runs) or _fitting(finished, info, name, every_run=every_run)
    members = [_of_run(settings, folder, info, name=name, table=table, device=device) for folder in folders]
    untrained = runs or any(read_config(folder)[1].head == ZERO_SHOT for folder in folders)
    prompts = None if untrained else find_prompts(settings.cache, info, PROMPTS)
    if prompts is not None:
        members.append(Member(TEXT, _by_text(features, prompts)))
    if not members:
        encoder = info.provenance["encoder"]
        raise UsageError(
            f"There is no run to ask about {name}: none with the encoder {encoder} was trained on other faces, and "
            f"{encoder} has no prompts. Run: fercache train --source SOURCE --head sigmoid-mask --encoder {encoder}"
        )
    known = np.any([member.probabilities.any(axis=0) for member in members], axis=0)
    expressions = tuple(name for name, is_known in zip(EXPRESSIONS, known, strict=True) if is_known)
    sliced = (replace(member, probabilities=member.probabilities[:, known]) for member in members)
    return Committee(name, row, table.columns.id[row], features, expressions=expressions, members=tuple(sliced))


def _fitting(finished: Sequence[Path], info: TableInfo, name: DatasetName, *, every_run: bool) -> list[Path]:
    """The runs that can say something about the faces; of each method the one with the lowest seed, or every one."""
    fitting = []
    for folder in finished:
        with suppress(UsageError):  # `evaluate` reports runs that cannot be read
            config = read_config(folder)[1]
            check_head(folder, config)
            fitting += [] if _unfit(config, info, name) else [(folder, config)]
    fitting.sort(key=lambda found: (found[1].seed, found[0].name))
    first = {config.method_key: folder for folder, config in reversed(fitting)}
    return [folder for folder, config in fitting if every_run or first[config.method_key] == folder]


def _unfit(config: RunConfig, info: TableInfo, name: DatasetName) -> str:
    """Why a run can say nothing about the faces; empty if it can."""
    if not same_encoder(info.identity["encoder"], config.encoder_identity):
        return f"{config.name} uses the encoder {config.encoder}, but {name.whole} was extracted with another."
    try:
        unseen_split(info.splits, name, config.parts)
    except UsageError as error:
        return str(error)
    return ""


def _of_run(
    settings: Settings, folder: Path, info: TableInfo, *, name: DatasetName, table: FeatureTable, device: str
) -> Member:
    loaded = load_run(folder, device)
    if reason := _unfit(loaded.config, info, name):
        raise UsageError(reason)
    side = loaded.config.crop_side
    crops = None if side is None else crops_of(settings.cache, info, side)
    faces = faces_of_split(table, name.split, crops, device=loaded.device)
    temperature = loaded.temperature(load_chosen(loaded)) or 1.0
    with torch.inference_mode():
        logits = head_logits(loaded.head, faces).float().cpu().numpy()
    return Member(folder.name, _over_all(logits / temperature, loaded.config.expressions))


def _by_text(features: Rows, prompts: PromptTable) -> NDArray[np.float64]:
    text = _unit(prompts.per_expression(_NAMED)).T
    parts = (features[begin : begin + BLOCK].astype(np.float32) for begin in range(0, len(features), BLOCK))
    return np.concatenate([_over_all(prompts.logit_scale * _unit(part) @ text, _NAMED) for part in parts])


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def _over_all(logits: NDArray[np.floating], expressions: Sequence[str]) -> NDArray[np.float64]:
    """(N, L) logits -> (N, 8) probabilities of EXPRESSIONS."""
    every = np.zeros((len(logits), len(EXPRESSIONS)))
    every[:, [EXPRESSIONS.index(name) for name in expressions]] = probabilities(logits, np.ones(len(expressions), bool))
    return every
