"""What an earlier version made, and this one makes again: said before the work starts, with why and what it costs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fercache.errors import UsageError
from fercache.loading.run_config import KEY_VERSION, RunConfig, read_config
from fercache.loading.tables import same_encoder
from fercache.options.train import LearningOptions
from fercache.plugins import Origin, same_code
from fercache.runtime.progress import say_once
from fercache.store.runs import find_runs
from fercache.store.tables import TableInfo


def say_encoded_again(tables: Sequence[TableInfo], identity: Mapping[str, Any], encoder: str, faces: int) -> None:
    """One line where the same faces have a table by another version of the encoder, whose rows cannot be used."""
    same = [t for t in tables if t.provenance["encoder"] == encoder and t.identity["dataset"] == identity["dataset"]]
    same = [t for t in same if t.identity.get("manifest") == identity["manifest"]]
    same = [t for t in same if t.identity.get("corruption") == identity.get("corruption")]
    if not same or any(same_encoder(t.identity["encoder"], identity["encoder"]) for t in same):
        return
    before = same[0]
    differing = ", ".join(sorted(differences(before.identity["encoder"], identity["encoder"])))
    done = before.provenance
    took = f", about {done['seconds'] / done['encoded'] * faces:,.0f} s as then" if done.get("encoded") else ""
    say_once(
        f"{identity['dataset']}: {before.path.name} has these faces by another version of {encoder} (they differ in "
        f"{differing}), so none of its rows can be used: {faces:,} faces are encoded again{took}. Both tables stay; "
        "`train` takes the new one. To go on with the old one, stop here and do not extract."
    )


@dataclass(frozen=True)
class Wanted:
    """What is asked of runs: settings, options, prompt set, origins of plugins, and how a snapshot is chosen."""

    settings: Mapping[str, Any]
    options: LearningOptions
    prompts: str
    origins: Mapping[str, Origin | None]
    chosen_by: str | None = None


def say_trained_again(
    cache: Path, folders: Sequence[Path], wanted: Wanted, encoder_identity: Mapping[str, Any]
) -> None:
    """Prints one line where the runs to be trained exist as an earlier version trained them."""
    found = list(_earlier(cache, folders, wanted, encoder_identity=encoder_identity))
    if not found:
        return
    names = ", ".join(config.name for config, _ in found[:3]) + (" ..." if len(found) > 3 else "")
    seconds = sum(config.seconds for config, _ in found)
    reasons = "; ".join(dict.fromkeys(reason for _, reason in found))
    say_once(
        f"{len(found)} of {len(folders)} runs are there as an earlier version trained them ({names}), under "
        f"other keys: {reasons}. They are trained again, about {seconds:,.0f} s as then, and stand beside the "
        "earlier ones as another method; delete those whose scores you do not need. To go on with the earlier "
        "ones, stop here."
    )


def why_again(cache: Path, folders: Sequence[Path], wanted: Wanted) -> str:
    """Why runs that an earlier version trained would be trained again, empty where there are none."""
    reasons = dict.fromkeys(reason for _, reason in _earlier(cache, folders, wanted, encoder_identity=None))
    return "; ".join(reasons)


def _earlier(
    cache: Path, folders: Sequence[Path], wanted: Wanted, encoder_identity: Mapping[str, Any] | None
) -> Iterator[tuple[RunConfig, str]]:
    """The run that each of the `folders` was to an earlier version, and why it is another one now."""
    there = find_runs(cache)
    for folder in folders:
        alike = [run for run in there if run.name.rpartition("-")[0] == folder.name.rpartition("-")[0]]
        for run in alike if folder not in alike else []:
            with suppress(UsageError):
                config = read_config(run)[1]
                reason = _why_other(config, wanted, encoder_identity)
                if reason:
                    yield config, reason
                    break


def _why_other(config: RunConfig, wanted: Wanted, encoder_identity: Mapping[str, Any] | None) -> str:
    """Empty where the run is another because something else was asked for, or its source has changed."""
    settings, chosen_by = wanted.settings, wanted.chosen_by or config.chosen_by
    renamed = {f"settings.{name}" for name in config.settings.keys() ^ settings.keys()}
    if config.changes(settings, wanted.options, wanted.prompts).keys() - renamed:
        return ""
    reasons = []
    if config.key_version != KEY_VERSION:
        reasons.append(f"chance in training follows from the seed in another way (key version {KEY_VERSION})")
    for name, origin in wanted.origins.items():
        if not same_code(getattr(config, name), origin):
            reasons.append(f"the code of the {name.removesuffix('_from')} from {origin or 'fercache'} has changed")
    if config.chosen_by != chosen_by:
        reasons.append(f"source validation has few faces, so snapshots are chosen by {chosen_by}")
    if changed := sorted(config.settings.keys() ^ settings.keys()):
        reasons.append(f"the head has other settings: {', '.join(changed)}")
    if encoder_identity is not None and not same_encoder(config.encoder_identity, encoder_identity):
        differing = ", ".join(sorted(differences(config.encoder_identity, encoder_identity)))
        reasons.append(f"the features are by another version of the encoder ({differing})")
    return "; ".join(reasons)


def differences(one: Mapping[str, Any], other: Mapping[str, Any], place: str = "") -> set[str]:
    """The names, `preprocessing.kernels`, of what differs between two identities; of precision nothing depends."""
    found: set[str] = set()
    for name in (one.keys() | other.keys()) - {"precision"}:
        left, right = one.get(name), other.get(name)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found |= differences(left, right, f"{place}{name}.")
        elif left != right:
            found.add(f"{place}{name}")
    return found
