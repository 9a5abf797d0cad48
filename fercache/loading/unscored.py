"""Why runs are not scored: the cache holds no unseen faces, or only features of another encoder."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.identity import key_of
from fercache.images.corruptions import SHIFTED
from fercache.loading.run_config import RunConfig
from fercache.loading.tables import DEFAULT_ENCODER, command_to_extract, holds, same_encoder
from fercache.loading.targets import unseen_split
from fercache.options.extract import EncoderRequest
from fercache.store.tables import TableInfo

ALWAYS_THERE = "synthetic:webcam"
"""A dataset that needs no files."""


def whole_name(table: TableInfo) -> str:
    """The table's name as a target; a corrupted dataset's has its split."""
    split = table.identity.get("split")
    return f"{table.identity['dataset']}@{split}" if split else str(table.identity["dataset"])


def scored_by_default(tables: Sequence[TableInfo]) -> list[DatasetName]:
    """The datasets with labels, except the shifted images that snapshots are selected by: targets only if named."""
    labelled = {whole_name(table) for table in tables if not table.unlabelled}
    names = [DatasetName.parse(name) for name in sorted(labelled)]
    return [name for name in names if name.corruption != SHIFTED]


def nothing_to_score(configs: Sequence[RunConfig], tables: Sequence[TableInfo]) -> str:
    """Why no run can be scored on any dataset of the cache, and the remedy; empty if one can."""
    if any(_can_be_scored(config, table) for config in configs for table in tables):
        return ""
    encoder = EncoderRequest.of(configs[0].encoder_request)
    own = {
        whole_name(t)
        for c in configs
        for t in tables
        if not t.unlabelled and same_encoder(t.identity["encoder"], c.encoder_identity)
    }
    reason = f"no dataset in the cache was extracted with their encoder, {configs[0].encoder}"
    if own:
        reason = f"the cache holds only the datasets they were trained on ({', '.join(sorted(own))}), and no test split"
    return (
        f"There is no target to score the runs on: {reason}. Extract another dataset, e.g. "
        f"`{command_to_extract(ALWAYS_THERE, encoder)}`, then run `fercache evaluate`. Or give the source a test "
        "split (for a folder: train/EXPRESSION/ and test/EXPRESSION/ below its root), extract it and train again."
    )


def _can_be_scored(config: RunConfig, table: TableInfo) -> bool:
    if not same_encoder(table.identity["encoder"], config.encoder_identity):
        return False
    try:
        splits = [unseen_split(table.splits, name, config.parts) for name in scored_by_default([table])]
    except UsageError:  # its faces were trained on
        return False
    return bool(splits)


def on_other_features(
    configs: Sequence[RunConfig], names: Sequence[DatasetName], tables: Sequence[TableInfo]
) -> Iterator[str]:
    """One sentence per encoder of the runs about the datasets that were extracted with other encoders only."""
    by_encoder: dict[str, list[RunConfig]] = {}
    for config in configs:
        by_encoder.setdefault(key_of({**config.encoder_identity, "precision": ""}), []).append(config)
    for runs in by_encoder.values():
        lacking = {str(name): table for name in names if (table := _of_others(runs[0].encoder_identity, name, tables))}
        if lacking:
            yield _sentence(runs, lacking)


def _of_others(encoder: Mapping[str, object], name: DatasetName, tables: Sequence[TableInfo]) -> TableInfo | None:
    """A table of the dataset by another encoder, if there is none by this one."""
    fitting = [table for table in tables if holds(table, name)]
    own = any(same_encoder(table.identity["encoder"], encoder) for table in fitting)
    return None if own or not fitting else fitting[0]


def _sentence(runs: Sequence[RunConfig], lacking: Mapping[str, TableInfo]) -> str:
    table, run = next(iter(lacking.values())), runs[0]
    asked, extracted = (EncoderRequest.of(by) for by in (run.encoder_request, table.provenance["encoder_request"]))
    others = ", ".join(sorted({each.provenance["encoder"] for each in lacking.values()}))
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    unscored = f"so {count} on the features of {run.encoder} cannot be scored there"
    if asked == extracted.but(device=asked.device, precision=asked.precision):
        source = " ".join(f"--source {shlex.quote(part.name)}" for part in run.parts)
        encoder = "" if run.encoder == DEFAULT_ENCODER else f" --encoder {run.encoder}"
        return (
            f"{', '.join(lacking)}: extracted with another version of {others}, {unscored}. Extract the source with "
            "that version as well, then train again: "
            f"fercache train {source} --head {run.head}{encoder}"
        )
    again = command_to_extract(table.identity["dataset"], asked, table.provenance)
    return f"{', '.join(lacking)}: extracted with {others} only, {unscored}. Run: {again}"
