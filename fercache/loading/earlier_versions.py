"""Warnings before work of an earlier version is repeated: which work, why, and the time it takes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fercache.errors import UsageError
from fercache.loading.run_config import KEY_VERSION, ORIGINS, RunConfig, read_config
from fercache.loading.tables import same_encoder
from fercache.options.train import LearningOptions
from fercache.plugins import Origin, same_code
from fercache.runtime.progress import say_once
from fercache.store.runs import find_runs
from fercache.store.tables import TableInfo


def warn_encoded_again(tables: Sequence[TableInfo], identity: Mapping[str, Any], encoder: str, faces: int) -> None:
    """Prints one line if the same faces have a table by another version of the encoder, which cannot be reused."""
    same = [t for t in tables if t.provenance["encoder"] == encoder and t.identity["dataset"] == identity["dataset"]]
    same = [t for t in same if t.identity.get("manifest") == identity["manifest"]]
    same = [t for t in same if t.identity.get("corruption") == identity.get("corruption")]
    if not same or any(same_encoder(t.identity["encoder"], identity["encoder"]) for t in same):
        return
    before = same[0]
    differing = ", ".join(sorted(differences(before.identity["encoder"], identity["encoder"])))
    done = before.provenance
    took = f" (about {done['seconds'] / done['encoded'] * faces:,.0f} s last time)" if done.get("encoded") else ""
    say_once(
        f"note: {identity['dataset']}: {before.path.name} has the same faces by another version of {encoder} "
        f"(different: {differing}), so its rows cannot be reused: {faces:,} faces are encoded again{took}. "
        "Both tables are kept; `train` uses the new one. To keep using the old one, stop now and do not extract."
    )


@dataclass(frozen=True)
class Wanted:
    """The requested runs: settings, options, prompt set, origins of plugins, and what snapshots are chosen by."""

    settings: Mapping[str, Any]
    options: LearningOptions
    prompts: str
    origins: Mapping[str, Origin | None]
    chosen_by: str | None = None


def warn_trained_again(
    cache: Path, folders: Sequence[Path], wanted: Wanted, encoder_identity: Mapping[str, Any]
) -> None:
    """Prints one line if an earlier version trained the requested runs under other keys."""
    found = list(_earlier(cache, folders, wanted, encoder_identity=encoder_identity))
    if not found:
        return
    names = ", ".join(config.name for config, _ in found[:3]) + (" ..." if len(found) > 3 else "")
    seconds = sum(config.seconds for config, _ in found)
    reasons = "; ".join(dict.fromkeys(reason for _, reason in found))
    say_once(
        f"note: {len(found)} of {len(folders)} runs were trained by an earlier version ({names}), under other keys: "
        f"{reasons}. They are trained again (about {seconds:,.0f} s last time) and appear beside the earlier ones as "
        "another method; `fercache cache gc` removes those whose scores the new ones have too. To train nothing again, "
        "stop now."
    )


def why_again(cache: Path, folders: Sequence[Path], wanted: Wanted) -> str:
    """Why runs of an earlier version would be trained again; empty if there are none."""
    reasons = dict.fromkeys(reason for _, reason in _earlier(cache, folders, wanted, encoder_identity=None))
    return "; ".join(reasons)


def why_superseded(earlier: RunConfig, later: RunConfig) -> str:
    """Why a `later` run of the same request replaces an `earlier` one; empty if it does not.

    It does only if what trained it is newer. On other faces it is another run, which replaces nothing.
    """
    same = (earlier.source, earlier.few_labels) == (later.source, later.few_labels)
    if not same or later.key_version != KEY_VERSION or earlier.key == later.key:
        return ""
    origins = {name: getattr(later, name) for name in ORIGINS}
    wanted = Wanted(later.settings, later, later.prompts or "", origins=origins, chosen_by=later.chosen_by)
    return _why_other(earlier, wanted, later.encoder_identity)


def _earlier(
    cache: Path, folders: Sequence[Path], wanted: Wanted, encoder_identity: Mapping[str, Any] | None
) -> Iterator[tuple[RunConfig, str]]:
    """The earlier version's run for each of the `folders` that has one, and why its key has changed."""
    finished = find_runs(cache)
    for folder in folders:
        alike = [run for run in finished if run.name.rpartition("-")[0] == folder.name.rpartition("-")[0]]
        for run in alike if folder not in alike else []:
            with suppress(UsageError):
                config = read_config(run)[1]
                reason = _why_other(config, wanted, encoder_identity)
                if reason:
                    yield config, reason
                    break


def _why_other(config: RunConfig, wanted: Wanted, encoder_identity: Mapping[str, Any] | None) -> str:
    """Why the key of a run has changed; empty if the request or the source differs."""
    settings, chosen_by = wanted.settings, wanted.chosen_by or config.chosen_by
    renamed = {f"settings.{name}" for name in config.settings.keys() ^ settings.keys()}
    if config.changes(settings, wanted.options, wanted.prompts).keys() - renamed:
        return ""
    reasons = []
    if config.key_version != KEY_VERSION:
        reasons.append(f"random numbers in training depend on the seed in another way (key version {KEY_VERSION})")
    for name, origin in wanted.origins.items():
        if not same_code(getattr(config, name), origin):
            reasons.append(f"the code of the {name.removesuffix('_from')} from {origin or 'fercache'} has changed")
    if config.chosen_by != chosen_by:
        reasons.append(f"source validation has too few faces, so snapshots are chosen by {chosen_by}")
    if changed := sorted(config.settings.keys() ^ settings.keys()):
        reasons.append(f"the head has other settings: {', '.join(changed)}")
    if encoder_identity is not None and not same_encoder(config.encoder_identity, encoder_identity):
        differing = ", ".join(sorted(differences(config.encoder_identity, encoder_identity)))
        reasons.append(f"the features are from another version of the encoder ({differing})")
    return "; ".join(reasons)


def differences(one: Mapping[str, Any], other: Mapping[str, Any], place: str = "") -> set[str]:
    """The differing entries of two identities, as `preprocessing.kernels`; precision does not count."""
    found: set[str] = set()
    for name in (one.keys() | other.keys()) - {"precision"}:
        left, right = one.get(name), other.get(name)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found |= differences(left, right, f"{place}{name}.")
        elif left != right:
            found.add(f"{place}{name}")
    return found
