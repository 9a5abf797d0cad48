"""Finding tables and prompts in the cache. Of several tables, the one requested last counts."""

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
from fercache.policies import LARGEST
from fercache.prompts import BUILT_IN, as_stored, prompt_set, set_label
from fercache.runtime.progress import say_once
from fercache.store.asked import NEVER, last_asked
from fercache.store.atomic import entries
from fercache.store.prompts import PromptTable, read_prompts
from fercache.store.schema import CLEAN
from fercache.store.tables import FACES, RECIPE, TableInfo, find_tables

DEFAULT_ENCODER = "bundled"


def slug_of(encoder: str) -> str:
    """An `--encoder` value as in folder names; a folder's own name is returned unchanged."""
    return "--".join(re.sub("[^a-z0-9-]+", "-", part) for part in re.split("[/.]", encoder.lower()))


def goes_by(name: str, encoder: str) -> bool:
    """Whether an encoder's `name` is what an `--encoder` value says, with its tag or weights or without them."""
    slug = slug_of(encoder)
    return name == slug or name.startswith(f"{slug}--")


def find_table(cache: Path, dataset: str, encoder: str | None, recipe: str = CLEAN) -> TableInfo:
    """The last requested table of `dataset` by `encoder` (default: the bundled one, else the only one in the cache).

    With a `recipe`, the table with its views. Raises UsageError, with the command that creates it, if there is none,
    and if several encoders fit.
    """
    name = DatasetName.parse(dataset)
    family = registry.load("datasets", name.family)
    check_domain(family, name.family, name.domain)
    cached = find_tables(cache)
    tables = [table for table in cached if holds(table, name)]
    encoders = dict.fromkeys(t.provenance["encoder"] for t in tables)
    fitting = [each for each in encoders if encoder and goes_by(each, encoder)]
    if encoder is None:
        fitting = [DEFAULT_ENCODER] if DEFAULT_ENCODER in encoders else list(encoders)
    if not fitting:
        known = f" It has tables by: {', '.join(encoders)}." if encoders else ""
        root = " --root ROOT" if family.needs_root else ""
        known += _similar(name, cached)
        raise UsageError(
            f"{name.whole} has not been extracted{' with ' + encoder if encoder else ''}.{known} "
            f"Run: {_to_extract(name if name.corruption else name.whole, encoder, cached)}{root}"
        )
    if len(fitting) > 1:
        raise UsageError(f"{dataset} has tables by several encoders. Choose with --encoder: {', '.join(fitting)}.")
    tables = [t for t in tables if t.provenance["encoder"] == fitting[0]]
    tables = tables if recipe == CLEAN else _with_views(tables, recipe)
    return first_of(tables, tables[0], warn=True)


def _to_extract(name: DatasetName, encoder: str | None, tables: Sequence[TableInfo]) -> str:
    """The command that extracts a dataset with an encoder, which may be named as its folder is."""
    alike = (table for table in tables if table.provenance["encoder"] == encoder != DEFAULT_ENCODER)
    if like := next(alike, None):
        return command_to_extract(str(name), EncoderRequest.of(like.provenance["encoder_request"]))
    return f"fercache extract --dataset {name}" + (f" --encoder {encoder}" if encoder else "")


def first_of(tables: Sequence[TableInfo], like: TableInfo, *, warn: bool = False) -> TableInfo:
    """The first (last requested) of the `tables` with the same dataset and encoder as `like`.

    With `warn`, prints one line if others differ from it in more than views.
    """
    same = [t for t in tables if _dataset_and_encoder(t) == _dataset_and_encoder(like)]
    others = [t for t in same if t.clean_key != same[0].clean_key]
    if warn and others:
        _warn_of_others(same[0], others)
    return same[0]


def _dataset_and_encoder(table: TableInfo) -> tuple[Any, ...]:
    identity = table.identity
    return identity["dataset"], identity.get("split"), table.provenance["encoder"]


def _warn_of_others(taken: TableInfo, others: Sequence[TableInfo]) -> None:
    older = ", ".join(f"{table.path.name} ({_when(table)})" for table in others)
    say_once(
        f"note: {taken.identity['dataset']} has different tables by the same encoder: using {taken.path.name}, "
        f"which was requested last ({_when(taken)}), not {older}. To use another one, repeat its "
        f"`fercache extract`; to remove one: fercache cache rm {others[0].path.stem.rpartition('-')[2]}",
    )


def _when(table: TableInfo) -> str:
    return "no date" if table.asked == NEVER else f"{table.asked:%Y-%m-%d %H:%M:%S}"


def _with_views(tables: Sequence[TableInfo], recipe: str) -> list[TableInfo]:
    of_recipe = [table for table in tables if table.identity.get(RECIPE, {}).get("name") == recipe]
    if not of_recipe:
        has = sorted({table.identity[RECIPE]["name"] for table in tables if RECIPE in table.identity})
        known = f" It has views of: {', '.join(has)}." if has else ""
        known += "" if recipe in RECIPES else " Name your own recipe by the name in its file."
        asked = recipe if recipe in RECIPES else "FILE"
        raise UsageError(
            f"{tables[0].identity['dataset']} has no views of the recipe '{recipe}'.{known} "
            f"Add them; only new images are encoded: {extract_command(tables[0])} --views 4 --recipe {asked}"
        )
    return of_recipe


def extract_command(table: TableInfo, encoder: str | None = None) -> str:
    """The command that extracts a table's faces, with its encoder or another."""
    asked = EncoderRequest(name=encoder) if encoder else EncoderRequest.of(table.provenance["encoder_request"])
    words = [command_to_extract(table.identity["dataset"], asked, table.provenance)]
    return " ".join(words + (["--unlabelled"] if table.unlabelled else []))


def command_to_extract(dataset: str, encoder: EncoderRequest, made: Mapping[str, Any] | None = None) -> str:
    """The command that extracts a dataset with an encoder; `made` is the provenance of a table of it."""
    before = {name: (made or {}).get(name) for name in ("root", FACES, "which")}
    given = {"dataset": dataset, **before, "encoder": encoder.name}
    given |= {"weights": str(encoder.weights or ""), "preprocessing": encoder.preprocessing}
    usual = {"which": LARGEST, "encoder": DEFAULT_ENCODER, "preprocessing": OWN}
    options = ((name, value) for name, value in given.items() if value and value != usual.get(name))
    return shlex.join(["fercache", "extract", *(word for name, value in options for word in (f"--{name}", value))])


def _similar(name: DatasetName, tables: Sequence[TableInfo]) -> str:
    """`Did you mean`, if the cache has a dataset with a similar name."""
    close = get_close_matches(str(name.whole), {table.identity["dataset"] for table in tables}, n=1)
    return f" Did you mean '{close[0]}'?" if close and close[0] != str(name.whole) else ""


def holds(table: TableInfo, name: DatasetName) -> bool:
    """Whether a table is of the dataset and may have the split; a corrupted dataset's table may hold one split only."""
    split = table.identity.get("split")
    return table.identity["dataset"] == str(name.whole) and (not split or name.split in ("", split))


def find_shifted(cache: Path, table: TableInfo, name: DatasetName, split: str) -> TableInfo | None:
    """The table of a dataset's `split` in the shifted images that `source-shifted` selects by, or None."""
    wanted = replace(name.clean, corruption=SHIFTED, split=split)
    encoder = table.identity["encoder"]
    fitting = (t for t in find_tables(cache) if holds(t, wanted) and same_encoder(t.identity["encoder"], encoder))
    return next(fitting, None)


def same_encoder(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether features of both may be used together; precision does not count, since all agree with fp32."""
    return {**one, "precision": ""} == {**other, "precision": ""}


def find_prompts(cache: Path, table: TableInfo, name: str) -> PromptTable | None:
    """The prompt set's table by the encoder of a feature table; None if that encoder has no prompt tables.

    Built-in sets and files are compared by their current content; the bare name of a file means its newest table.
    Raises UsageError if the encoder has prompt tables, but not this one.
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
        state = "have changed since they were embedded" if changed else "are not embedded"
        known = "" if changed else f" {nearest(name, set(labels))}"
        raise UsageError(
            f"The prompts '{name}' {state} by {table.provenance['encoder']}.{known} "
            f"Run: {extract_command(table)} --prompts {name}"
        )
    return same[0]
