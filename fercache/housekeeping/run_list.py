"""The runs of a cache as a person looks for them: what each is, how good, how large, how old, and its state."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

from fercache import registry
from fercache.errors import UsageError
from fercache.loading.run_config import KEY_VERSION
from fercache.loading.run_names import typed_names
from fercache.loading.run_summaries import RunSummary, changed, read_json, record_files_of, summaries
from fercache.policies import Sees
from fercache.scoring.selection import headline
from fercache.store.belongings import bytes_of
from fercache.store.run_files import WEIGHTS
from fercache.store.runs import is_finished, read_run
from fercache.store.tables import find_tables

COMPLETE, STALE, DAMAGED, UNFINISHED, IMPORTED = "complete", "stale", "damaged", "unfinished", "imported"
UNKNOWN_HEAD, UNKNOWN_ENCODER = "unknown head", "unknown encoder"
Latest = Mapping[tuple[Any, Any], str]
"""The clean key of the table that was requested last, by dataset and encoder."""
RECALL = "mean_class_recall"
_POLICY = re.compile(r"\.([a-z0-9-]+)\.json$")


@dataclass(frozen=True)
class Score:
    """Means over `targets`: the unseen ones, not corrupted, that a run was scored on under a selection policy."""

    accuracy: float
    mean_class_recall: float
    targets: tuple[str, ...]
    selection: str


@dataclass(frozen=True)
class ListedRun:
    """A run; `name` is what to type, `folder` has its full name, and `why` is the reason of any state but complete."""

    name: str
    folder: Path
    encoder: str
    source: str
    head: str
    trunk: str
    seed: int | None
    differs: Mapping[str, str]
    score: Score | None
    bytes: int
    date: datetime
    state: str
    why: str


def listed_runs(cache: Path) -> list[ListedRun]:
    """All runs of the cache, by encoder, source and name; hashes of weights are not checked."""
    runs = summaries(cache)
    latest = {(t.identity["dataset"], t.provenance["encoder"]): t.clean_key for t in reversed(find_tables(cache))}
    names, differences = typed_names(runs), changed(runs)
    found = []
    for run in runs:
        state, why = _state(run, latest)
        found.append(
            ListedRun(
                name=names[run.folder],
                folder=run.folder,
                encoder=str(run["encoder"] or ""),
                source=str(run["source"] or ""),
                head=str(run["head"] or ""),
                trunk=str(run["trunk"] or ""),
                seed=run["seed"],
                differs=differences[run.folder],
                score=score_of(run),
                bytes=bytes_of([run.folder]),
                date=datetime.fromtimestamp(_when(run.folder), UTC),
                state=state,
                why=why,
            )
        )
    return sorted(found, key=lambda run: (run.encoder, run.source, run.head, run.trunk, run.seed or 0, run.name))


def score_of(run: RunSummary) -> Score | None:
    """The mean over unseen targets, under the policy for headlines; None if the run was scored on none."""
    files = {path: found[1] for path in record_files_of(run.folder) if (found := _POLICY.search(path.name))}
    if not files:
        return None
    policy = headline([set(files.values())])
    scores: dict[str, Mapping[str, float]] = {}
    for path in (path for path, of in files.items() if of == policy):
        record = read_json(path)
        if _counts(path, record):
            with suppress(KeyError, TypeError):
                scores[str(record["target"])] = record["scores"]["main"]
    if not scores:
        return None
    accuracy, recall = (mean(_metric(each, name) for each in scores.values()) for name in ("accuracy", RECALL))
    return Score(accuracy, recall, targets=tuple(scores), selection=policy)


def _counts(path: Path, record: Mapping[str, Any]) -> bool:
    """Whether a record is of an unseen target, of the run itself, without adaptation, and of all faces."""
    target = str(record.get("target", "+"))
    plain = not record.get("adaptation") and not record.get("without_duplicates") and "+" not in target
    if not plain or record.get("sees", Sees.NOTHING) in (Sees.UNLABELLED, Sees.ORACLE):
        return False
    return not record["seen"] if "seen" in record else _is_unseen(path)


def _is_unseen(path: Path) -> bool:
    """The same for a record of an earlier version, which does not say what the run has seen."""
    from fercache.records import read_record  # takes as long to import as hundreds of runs to list

    with suppress(UsageError):
        record = read_record(path)
        return not record.is_own and not record.why_seen
    return False


def _metric(scores: Mapping[str, float], name: str) -> float:
    """A score; earlier versions have `uar` for mean class recall."""
    return float(scores[name] if name in scores else scores["uar"])


def _when(folder: Path) -> float:
    """When a run was finished."""
    done = folder / "done"
    with suppress(OSError):
        return (done if done.exists() else folder).stat().st_mtime
    return 0.0


def _state(run: RunSummary, latest: Latest) -> tuple[str, str]:
    """The state of a run, and why it is not complete."""
    if run.is_imported:
        return IMPORTED, "predictions of another program, without weights"
    if not is_finished(run.folder):
        return UNFINISHED, "it has no file 'done': delete it and run the same `fercache train` again"
    try:
        read_run(run.folder)
    except UsageError as error:
        return DAMAGED, str(error)
    if not run.content or not (run.folder / WEIGHTS).is_file():
        return DAMAGED, f"{'its config.json lacks entries' if not run.content else f'{WEIGHTS} is absent'}"
    if run["head"] not in registry.names("heads"):
        return UNKNOWN_HEAD, f"there is no head '{run['head']}': name its file with --plugin FILE"
    if not _knows_encoder(run):
        return UNKNOWN_ENCODER, f"there is no encoder '{run['encoder']}': name its file with --plugin FILE"
    why = "; ".join(_reasons(run, latest))
    return (STALE, why) if why else (COMPLETE, "")


def _knows_encoder(run: RunSummary) -> bool:
    """Whether the encoder is built in, or its plugin is known."""
    if "plugin" not in (run["encoder_identity"] or {}):
        return True
    try:
        registry.encoder_family(str(run["encoder_request"]["name"]))
    except (UsageError, KeyError, TypeError):
        return False
    return True


def _reasons(run: RunSummary, latest: Latest) -> Iterator[str]:
    """Why `fercache train` might train a run again."""
    if (run["key_version"] or 1) < KEY_VERSION:
        yield "an earlier version trained it"
    for what, kind in (("head", "heads"), ("trunk", "trunks")):
        then = (run[f"{what}_from"] or {}).get("sha256")
        now = registry.origin(kind, run[what]) if then else None
        if then and (now is None or now.sha256 != then):
            yield f"the code of its {what} has changed"
    parts = run["pool"] or [{"name": run["source"], "key": run["source_key"]}]
    for part in parts:
        if latest.get((part["name"], run["encoder"]), part["key"]) != part["key"]:
            yield f"{part['name']} was extracted again with other faces, labels or weights"
