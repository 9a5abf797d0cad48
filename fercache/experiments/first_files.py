"""The first `fercache.toml` and experiment of a folder, with comments, for the datasets in it."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fercache.errors import UsageError
from fercache.experiments.config import NAME
from fercache.experiments.search import FoundDataset, described, find_datasets
from fercache.options.init import InitRequest
from fercache.output_paths import check_output_file, shown
from fercache.settings import FILE, Settings
from fercache.store.atomic import write_text

STUDIO = "synthetic:studio"

_SETTINGS = """\
# Settings of fercache for commands that run in this folder. Paths are relative to this file.

# cache = "cache"               # features and runs; the variable FERCACHE_CACHE overrides it
# reports = "reports"           # tables and pages
# memory = "2 GB"               # the most that features take in memory; default: a third of the machine's
# plugins = ["my_head.py"]      # your own heads, datasets, encoders: see docs/own_model.md

[datasets]                      # name = root; `fercache datasets show NAME` describes a dataset and counts its images
"""
_EXAMPLE = '# "folder:office" = "faces"    # faces/EXPRESSION/*.jpg, or faces/SPLIT/EXPRESSION/*.jpg\n'
_FACES = """
# [faces]                       # datasets of photographs, and what finds the faces in them: see docs/faces.md
# "folder:office" = "auto"
"""
_HEADS = """
[[heads]]                       # one per method; `fercache list heads` shows all, docs/methods.md their settings
head = "zero-shot"              # sentences instead of training: see docs/prompts.md

[[heads]]
head = "class-mean"

[[heads]]
head = "linear-probe"

[[heads]]
head = "sigmoid-mask"           # CAFE
# settings = { epochs = 20 }
# grid = { separation_weight = [0.5, 1.5] }

[[heads]]
head = "text-similarity"        # KE2NT

[statistics]
baseline = "zero-shot"          # all others are compared with it, face by face
"""


def first_files(settings: Settings, request: InitRequest, folder: Path) -> tuple[list[FoundDataset], list[Path]]:
    """Writes `fercache.toml` and the experiment into `folder`; returns the datasets, and the files that were written.

    An existing `fercache.toml` is kept, and the experiment is about its datasets; else about those in the request's
    folders (default: `folder`). Raises UsageError if the experiment exists, unless the request is to overwrite.
    """
    configured, experiment = folder / FILE, folder / f"{request.name}.toml"
    _check_name(request, configured, experiment)
    kept = configured.exists() and not request.overwrite
    if kept:
        if request.folders:
            raise UsageError(f"{FILE} exists and names the datasets. Add roots there, or replace it with --overwrite.")
        found = list(_configured(settings))
    else:
        found = find_datasets(request.folders or (folder,), (settings.cache, settings.reports))
    written = [] if kept else [write_text(configured, _settings_text(found, folder))]
    return found, [*written, write_text(experiment, _experiment_text(request.name, found))]


def _configured(settings: Settings) -> Iterator[FoundDataset]:
    for name, root in settings.datasets.items():
        try:
            yield described(name, root)
        except UsageError as error:
            raise UsageError(f"{FILE}, {name}: {error}") from None


def _check_name(request: InitRequest, configured: Path, experiment: Path) -> None:
    if not re.fullmatch(NAME, request.name):
        raise UsageError(f"--name {request.name}: write letters, digits, '.', '_' and '-', not a path.")
    if experiment == configured:
        raise UsageError(f"--name {request.name}: {FILE} holds the settings. Choose another name.")
    check_output_file(experiment, ".toml", "--name")
    if experiment.exists() and not request.overwrite:
        raise UsageError(f"{shown(experiment)} exists. Choose another --name, or replace it with --overwrite.")
    for folder in request.folders:
        if not folder.is_dir():
            raise UsageError(f"{shown(folder)} is not a folder. Name folders in which datasets lie.")


def _settings_text(found: Sequence[FoundDataset], folder: Path) -> str:
    lines = [f"{_key(each.name)} = {_text(_place(each.root, folder))}" for each in found]
    width = max(map(len, lines), default=0)
    listed = [f"{line:{width}}    # {each}\n" for line, each in zip(lines, found, strict=True)]
    return "".join([_SETTINGS, *(listed or [_EXAMPLE]), _FACES])


def _experiment_text(name: str, found: Sequence[FoundDataset]) -> str:
    """From all datasets with training faces to all that were found; with fewer than two, also from synthetic faces."""
    trainable = [each.name for each in found if each.trainable]
    sources = trainable if trainable and len(found) > 1 else [STUDIO, *trainable]
    targets = [each.name for each in found] or ["synthetic"]
    return (
        f"""\
# An experiment: every method is trained on every source and scored on every target.
#   fercache run {name}.toml --dry-run    # each step: done, stale or missing
#   fercache run {name}.toml              # runs what is missing, and writes reports/{name}/

name = {_text(name)}
about = "Which method is best on these faces?"    # at the top of the page

# encoder = "ViT-B-32/openai"   # default: bundled, a small one to try things out; see docs/encoders.md
sources = {_list(sources)}
targets = {_list(targets)}
seeds = "0-2"                   # deviations are over seeds
"""
        + _HEADS
    )


def _place(root: Path, folder: Path) -> str:
    """The root, relative where it is in `folder`."""
    whole, base = root.resolve(), folder.resolve()
    return (whole.relative_to(base) if whole.is_relative_to(base) else whole).as_posix()


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name) else _text(name)


def _text(text: str) -> str:
    """A TOML string; JSON's are."""
    return json.dumps(text, ensure_ascii=False)


def _list(names: Iterable[str]) -> str:
    return f"[{', '.join(map(_text, names))}]"
