"""What a person types for a run, or for all seeds of a method -> the folders of runs.

A name has some parts of a run's full name, in their order: encoder, source, head, trunk, seed, and the key or its
beginning. It needs the head or the key: `sigmoid-mask-3`, `synthetic-studio-sigmoid-mask`, `sigmoid-mask-3-9f3a`. With
a seed or a key it is one run, without them all seeds of one method. All commands that take runs use this.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from fercache.errors import UsageError
from fercache.loading.run_summaries import RunSummary, changed, run_folders, summary_of, written

SHORTEST_KEY = 4
"""Digits of a key that are enough in a name."""
NAMED = 3
"""Number of candidates that a message names."""
HOW = "`fercache list runs` shows all names."
_METHOD_KEY = re.compile(r"[0-9a-f]{8,64}")
_PRECISE = {"seed", "key"}


class SeveralMatchError(UsageError):
    """A name stands for several runs or methods."""


def resolve_all(folders: Sequence[Path], names: Sequence[str]) -> list[Path]:
    """The folders that the names stand for, each once, in the order of the names. Raises as `resolve`."""
    return list(dict.fromkeys(folder for name in names for folder in resolve(folders, name)))


def resolve(folders: Sequence[Path], name: str) -> list[Path]:
    """The folders among `folders` that a name stands for: one run, or the seeds of a method, by seed.

    Raises UsageError if nothing matches, SeveralMatchError with the candidates if several runs or methods do.
    """
    wanted = Path(name).name
    if whole := [folder for folder in folders if folder.name == wanted]:
        return whole
    runs = [summary_of(folder) for folder in folders if _may_be(folder, wanted)]
    precise = [run for run in runs if _is_precise(run, wanted)]
    methods: dict[str, list[RunSummary]] = defaultdict(list)
    for run in runs:
        used = _used(run, wanted)
        if (used and not used & _PRECISE) or _is_method_key(run, wanted):
            methods[str(run["method_key"])].append(run)
    if len(precise) + len(methods) > 1:
        raise SeveralMatchError(_several(wanted, precise, methods=list(methods.values()), folders=folders))
    if precise:
        return [precise[0].folder]
    if methods:
        (seeds,) = methods.values()
        return [run.folder for run in sorted(seeds, key=lambda run: (run["seed"], run.name))]
    raise UsageError(_unknown(folders, wanted))


def is_of_one_run(folder: Path, name: str) -> bool:
    """Whether a name that stands for `folder` names that run, not all seeds of its method."""
    wanted = Path(name).name
    return wanted == folder.name or _is_precise(summary_of(folder), wanted)


def typed_names(runs: Sequence[RunSummary]) -> dict[Path, str]:
    """The shortest name of each run among `runs`: `sigmoid-mask-3`, with digits of its key if several have it."""
    plain = {run.folder: _plain(run) for run in runs}
    same: dict[str, list[RunSummary]] = defaultdict(list)
    for run in runs:
        same[plain[run.folder]].append(run)
    found: dict[Path, str] = {}
    for text, alike in same.items():
        digits = next((n for n in range(SHORTEST_KEY, 8) if len({run.key[:n] for run in alike}) == len(alike)), 8)
        for run in alike:
            one = len(alike) == 1 and run.parts
            found[run.folder] = text if one else f"{text}-{run.key[:digits]}" if run.parts else run.name
    return found


def _plain(run: RunSummary) -> str:
    return f"{run.parts['head']}-{run.parts['seed']}" if run.parts else run.name


def _may_be(folder: Path, wanted: str) -> bool:
    """Whether a folder's name has the words of a name in their order; without it, its description is not read."""
    words = iter(folder.name.split("-"))
    in_order = all(any(word.startswith(part) for word in words) for part in wanted.split("-"))
    return in_order or _METHOD_KEY.fullmatch(wanted) is not None


def _is_precise(run: RunSummary, wanted: str) -> bool:
    return bool(_used(run, wanted) & _PRECISE)


def _is_method_key(run: RunSummary, wanted: str) -> bool:
    return _METHOD_KEY.fullmatch(wanted) is not None and str(run["method_key"] or "").startswith(wanted)


def _used(run: RunSummary, wanted: str) -> set[str]:
    """The parts of a run's name that a name is made of; none if it is not, or lacks both head and key."""
    parts = [*run.parts.items(), ("key", run.key)]
    found: list[set[str]] = [used for used in _ways(wanted, parts) if used & {"head", "key"}]
    return min(found, key=lambda used: len(used & _PRECISE), default=set())


def _ways(wanted: str, parts: Sequence[tuple[str, str]]) -> Iterator[set[str]]:
    """Every way to make a name of some parts in their order."""
    for place, (what, text) in enumerate(parts):
        if wanted == text or (what == "key" and len(wanted) >= SHORTEST_KEY and text.startswith(wanted)):
            yield {what}
        elif wanted.startswith(f"{text}-"):
            yield from ({what} | rest for rest in _ways(wanted.removeprefix(f"{text}-"), parts[place + 1 :]))


def _several(
    wanted: str, precise: Sequence[RunSummary], methods: Sequence[Sequence[RunSummary]], folders: Sequence[Path]
) -> str:
    named = typed_names([summary_of(folder) for folder in folders])
    everything = [*precise, *(runs[0] for runs in methods)]
    differing = _differing(everything)
    listed = [f"{named[run.folder]}{differing[run.folder]}" for run in precise]
    names = _method_names([runs[0] for runs in methods])
    for runs, name in zip(methods, names, strict=True):
        listed.append(f"{name}{differing[runs[0].folder]}")
    what = "methods" if not precise else "runs" if not methods else "runs and methods"
    return f"'{wanted}' matches {len(listed)} {what}. Name one of them: {_some(listed)}. {HOW}"


def _differing(runs: Sequence[RunSummary]) -> dict[Path, str]:
    """The parts of the names, the settings and the options in which runs differ, in brackets."""
    options = changed(runs)
    found = {}
    for run in runs:
        parts = [text for what, text in run.parts.items() if len({other.parts.get(what) for other in runs}) > 1]
        text = ", ".join([*parts, *([written(options[run.folder])] if options[run.folder] else [])])
        found[run.folder] = f" ({text})" if text else ""
    return found


def _method_names(runs: Sequence[RunSummary]) -> list[str]:
    """A name for the method of each run: the shortest that only one has, else digits of its key."""
    ways = (("head", "trunk"), ("source", "head"), ("source", "head", "trunk"), ("encoder", "source", "head", "trunk"))
    spelled = [["-".join(run.parts.get(what, "") for what in way).strip("-") for run in runs] for way in ways]
    keys = [str(run["method_key"])[:12] for run in runs]
    return next((names for names in spelled if len(set(names)) == len(runs)), keys)


def _unknown(folders: Sequence[Path], wanted: str) -> str:
    """Why no run has a name."""
    if not folders:
        return f"There is no run '{wanted}'; no run is finished. Run: fercache train"
    there = [folder.name for folder in run_folders(folders[0].parent.parent)]
    if wanted in there:
        place = folders[0].parent / wanted
        return (
            f"The run {wanted} is not finished: it has no file 'done'. Delete {place} and run the same "
            "`fercache train` again."
        )
    if similar := [folder for folder in folders if wanted in folder.name]:
        return f"'{wanted}' is a part of {len(similar)} names, latest first: {_latest(similar)}. {HOW}"
    names = typed_names([summary_of(folder) for folder in folders])
    close = get_close_matches(wanted, [*names.values(), *(folder.name for folder in folders)], n=1, cutoff=0.5)
    meant = f"Did you mean '{close[0]}'? " if close else ""
    return f"There is no finished run '{wanted}'. {meant}The latest runs: {_latest(folders, names)}. {HOW}"


def _latest(folders: Sequence[Path], names: Mapping[Path, str] | None = None) -> str:
    ordered = sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True)
    shown = names or {folder: folder.name for folder in folders}
    return _some([shown[folder] for folder in ordered])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED + 1 else ""
    return ", ".join(names[: NAMED if more else NAMED + 1]) + more
