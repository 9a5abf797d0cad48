"""Which table is meant: by data set and encoder, the one that was extracted last."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fercache import registry
from fercache.datasets import DatasetName, check_domain
from fercache.encoders import OWN
from fercache.errors import UsageError, nearest
from fercache.images.corruptions import SHIFTED
from fercache.images.views import RECIPES
from fercache.options.extract import EncoderRequest
from fercache.prompts import BUILT_IN, as_stored, prompt_set, set_label
from fercache.runtime.progress import say_once
from fercache.store.asked import NEVER, last_asked
from fercache.store.atomic import entries
from fercache.store.prompts import PromptTable, read_prompts
from fercache.store.schema import CLEAN
from fercache.store.tables import RECIPE, TableInfo, find_tables

DEFAULT_ENCODER = "bundled"
NAMED = 3
"""Runs that a message names, since their names are long."""


def slug_of(encoder: str) -> str:
    """An `--encoder` value as it stands in folder names, as far as it says; a folder's name stays as it is."""
    return "--".join(re.sub("[^a-z0-9-]+", "-", part) for part in re.split("[/.]", encoder.lower()))


def find_table(cache: Path, dataset: str, encoder: str | None, recipe: str = CLEAN) -> TableInfo:
    """The table of `dataset` extracted last with `encoder` (default: the bundled one, else the only one there is).

    With a `recipe`, the one with its views. Raises UsageError, with the command that makes it, when there is none, or
    when several encoders fit.
    """
    name = DatasetName.parse(dataset)
    family = registry.load("datasets", name.family)
    check_domain(family, name.family, name.domain)
    there = find_tables(cache)
    tables = [table for table in there if holds(table, name)]
    encoders = dict.fromkeys(t.provenance["encoder"] for t in tables)
    fitting = [e for e in encoders if encoder and (e == slug_of(encoder) or e.startswith(slug_of(encoder) + "--"))]
    if encoder is None:
        fitting = [DEFAULT_ENCODER] if DEFAULT_ENCODER in encoders else list(encoders)
    if not fitting:
        with_encoder = f" --encoder {encoder}" if encoder else ""
        known = f" Tables of it exist for: {', '.join(encoders)}." if encoders else ""
        root = " --root ROOT" if family.needs_root else ""
        known += _similar(name, there)
        raise UsageError(
            f"{name.whole} has not been extracted{' with ' + encoder if encoder else ''}.{known} "
            f"Run: fercache extract --dataset {name if name.corruption else name.whole}{with_encoder}{root}"
        )
    if len(fitting) > 1:
        raise UsageError(f"Several encoders have a table of {dataset}. Choose with --encoder: {', '.join(fitting)}.")
    tables = [t for t in tables if t.provenance["encoder"] == fitting[0]]
    tables = tables if recipe == CLEAN else _with_views(tables, recipe)
    return first_of(tables, tables[0], tell=True)


def first_of(tables: Sequence[TableInfo], like: TableInfo, *, tell: bool = False) -> TableInfo:
    """Of the tables of a set and encoder the one that was asked for last, which is the one that counts.

    With `tell`, one line says so where they differ in more than views.
    """
    same = [t for t in tables if _set_and_encoder(t) == _set_and_encoder(like)]
    others = [t for t in same if t.clean_key != same[0].clean_key]
    if tell and others:
        _say_taken(same[0], others)
    return same[0]


def _set_and_encoder(table: TableInfo) -> tuple[Any, ...]:
    identity = table.identity
    return identity["dataset"], identity.get("split"), table.provenance["encoder"]


def _say_taken(taken: TableInfo, others: Sequence[TableInfo]) -> None:
    older = ", ".join(f"{table.path.name} ({_when(table)})" for table in others)
    say_once(
        f"{taken.identity['dataset']} has tables that differ, by the same encoder: {taken.path.name} is taken, which "
        f"was asked for last ({_when(taken)}), not {older}. To take another, extract as for that one again; to drop "
        f"one, delete its file in {taken.path.parent}.",
    )


def _when(table: TableInfo) -> str:
    return "no date" if table.asked == NEVER else f"{table.asked:%Y-%m-%d %H:%M:%S}"


def _with_views(tables: Sequence[TableInfo], recipe: str) -> list[TableInfo]:
    of_recipe = [table for table in tables if table.identity.get(RECIPE, {}).get("name") == recipe]
    if not of_recipe:
        has = sorted({table.identity[RECIPE]["name"] for table in tables if RECIPE in table.identity})
        known = f" It has those of: {', '.join(has)}." if has else ""
        known += "" if recipe in RECIPES else " One of your own goes by the name in its file."
        asked = recipe if recipe in RECIPES else "FILE"
        raise UsageError(
            f"{tables[0].identity['dataset']} has no views of the recipe '{recipe}'.{known} "
            f"Add them; only they are encoded: {extract_command(tables[0])} --views 4 --recipe {asked}"
        )
    return of_recipe


def extract_command(table: TableInfo, encoder: str | None = None) -> str:
    """What to type to come back to a table and add to it, or for another encoder's features of the same faces."""
    asked = EncoderRequest(name=encoder) if encoder else EncoderRequest.of(table.provenance["encoder_request"])
    return command_to_extract(table.identity["dataset"], asked, table.provenance["root"])


def command_to_extract(dataset: str, encoder: EncoderRequest, root: str | None = None) -> str:
    """What to type for an encoder's features of a set."""
    given = {"dataset": dataset, "root": root, "encoder": encoder.name}
    given |= {"weights": str(encoder.weights or ""), "preprocessing": encoder.preprocessing}
    usual = {"encoder": DEFAULT_ENCODER, "preprocessing": OWN}
    options = ((name, value) for name, value in given.items() if value and value != usual.get(name))
    return shlex.join(["fercache", "extract", *(word for name, value in options for word in (f"--{name}", value))])


def _similar(name: DatasetName, tables: Sequence[TableInfo]) -> str:
    """A question, where another set that was extracted is called nearly so."""
    close = get_close_matches(str(name.whole), {table.identity["dataset"] for table in tables}, n=1)
    return f" Did you mean '{close[0]}'?" if close and close[0] != str(name.whole) else ""


def holds(table: TableInfo, name: DatasetName) -> bool:
    """Whether a table is of the set and may have the split; a spoilt set's table may hold a single one."""
    split = table.identity.get("split")
    return table.identity["dataset"] == str(name.whole) and (not split or name.split in ("", split))


def find_shifted(cache: Path, table: TableInfo, name: DatasetName, split: str) -> TableInfo | None:
    """The table of a set's `split` in the changed pictures that `source-shifted` selects by; None without one."""
    wanted = replace(name.clean, corruption=SHIFTED, split=split)
    encoder = table.identity["encoder"]
    fitting = (t for t in find_tables(cache) if holds(t, wanted) and same_encoder(t.identity["encoder"], encoder))
    return next(fitting, None)


def find_run(finished: Sequence[Path], name: str) -> Path:
    """A run by its name, its folder, or its key's first digits. Raises UsageError when none or several fit."""
    wanted = Path(name).name
    fitting = [folder for folder in finished if folder.name == wanted or folder.name.endswith("-" + wanted)]
    if len(fitting) == 1:
        return fitting[0]
    if finished and wanted in [folder.name for folder in finished[0].parent.iterdir()]:
        raise UsageError(
            f"The run {wanted} is not finished: it has no file 'done'. Delete {finished[0].parent / wanted} and run "
            "the same `fercache train` again."
        )
    if not finished:
        raise UsageError(f"There is no run '{name}', since none is finished. Run: fercache train")
    how = "Name one, by its name or by the key at its end; `fercache list runs` has all."
    similar = fitting or [folder for folder in finished if wanted in folder.name]
    if similar:
        raise UsageError(f"'{name}' fits {len(similar)} runs, the latest first: {_latest(similar)}. {how}")
    close = get_close_matches(wanted, [folder.name for folder in finished], n=1, cutoff=0.5)
    meant = f"Did you mean '{close[0]}'? " if close else ""
    raise UsageError(f"No finished run is called '{name}'. {meant}The latest are: {_latest(finished)}. {how}")


def _latest(runs: Sequence[Path]) -> str:
    ordered = sorted(runs, key=lambda folder: folder.stat().st_mtime, reverse=True)
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return ", ".join(folder.name for folder in ordered[:NAMED]) + more


def same_encoder(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether features of both may be used together; every precision agrees with fp32, so none counts."""
    return {**one, "precision": ""} == {**other, "precision": ""}


def find_prompts(cache: Path, table: TableInfo, name: str) -> PromptTable | None:
    """The table of a prompt set in the space of a feature table; None when its encoder knows no text.

    A built-in set and a file are known by what they say now, so another file of the same name is another set; the name
    alone of a file that was embedded means its newest table. Raises UsageError when the encoder has prompt tables, but
    not this one.
    """
    folder = cache / "prompts" / table.provenance["encoder"]
    encoder = table.identity["encoder"]
    paths = sorted((p for p in entries(folder) if p.suffix == ".h5"), key=last_asked, reverse=True)
    fitting = [p for p in map(read_prompts, paths) if p.identity["encoder"].items() <= encoder.items()]
    if not fitting:
        return None
    labels = [found.path.stem.rpartition("-")[0] for found in fitting]
    if name in BUILT_IN or name.endswith(".toml"):
        wanted = as_stored(prompt_set(name))
        same = [found for found in fitting if found.identity["prompts"] == wanted]
    else:
        same = [found for found, label in zip(fitting, labels, strict=True) if label == name]
    if not same:
        changed = set_label(name) in labels
        told = "are not embedded as they are now" if changed else "are not embedded"
        known = "" if changed else f" {nearest(name, set(labels))}"
        raise UsageError(
            f"The prompts '{name}' {told} by {table.provenance['encoder']}.{known} "
            f"Run: {extract_command(table)} --prompts {name}"
        )
    return same[0]
