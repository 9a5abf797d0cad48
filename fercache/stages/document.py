"""`docs/datasets.md`, written from what the code says of every set, so that it cannot drift."""

import importlib
import inspect
from collections.abc import Iterator, Sequence

from fercache import registry
from fercache.datasets import Dataset, Expected
from fercache.expressions import ALIASES, EXPRESSIONS
from fercache.images.corruptions import KINDS, SEVERITIES
from fercache.records.relations import relatives

HEAD = """\
# Data sets

This page is written by `fercache datasets --markdown` from the code that reads the sets.

A name is `SET[:DOMAIN][+CORRUPTION[:SEVERITY]][@SPLIT]`: `ferplus`, `ferplus@validation`, `folder:office`,
`ferplus+blur:3`. Roots are given once, in `fercache.toml`, or each time with `--root`:

```toml
[datasets]
rafdb = "/data/RAF-DB"
"folder:office" = "/data/office"
```

`fercache datasets` compares what lies there with the counts below, `fercache datasets show SET` says what is missing.
Labels are names everywhere; the numbers of a set exist only in the file that reads it. Images that a list names and
that are not there are reported in one go when extraction starts, and go to the quarantine list beside the table; a set
of which no image is there is an error.
"""


def datasets_document() -> str:
    """The page as Markdown."""
    names = registry.own_names("datasets")
    parts = [HEAD, *_names(), *(part for name in names for part in _set(name)), *_corruptions()]
    return "\n".join(parts)


def _names() -> Iterator[str]:
    yield "## Expressions\n"
    yield "The eight expressions, and what else they may be called in folders and manifests, in any case:\n"
    yield from _table(
        ("expression", "also"),
        [(name, ", ".join(alias for alias in ALIASES[name] if alias != name)) for name in EXPRESSIONS],
    )
    yield "`--classes 7` leaves out contempt. Votes become labels when a table is read (`--votes`): `majority` sets"
    yield "single votes to 0 and keeps an expression that has more than half of what is left; `plurality` keeps the"
    yield "largest; `soft` trains on the shares of the votes for known expressions, and is scored by majority. Faces"
    yield "that are left out are counted by reason, on the screen and in every record; lines of a list that are no"
    yield "faces (AffectNet's numbers 8 to 10, FERPlus's lines without a picture) are counted by `fercache datasets`.\n"


def _set(name: str) -> Iterator[str]:
    dataset: Dataset = registry.load("datasets", name)
    yield f"## {name}\n"
    yield f"{about(dataset)}\n"
    yield f"{inspect.cleandoc(type(dataset).__doc__ or '')}\n"
    yield f"- **Layout:** {dataset.layout}"
    scored = f"`{dataset.target_split}`" if dataset.target_split else "all faces"
    yield f"- **Scored on:** {scored}, unless a split is named"
    if related := relatives(name):
        yield f"- **Not unseen** for what was trained on {_listed(related)}, whose pictures it has or shares"
    yield f"- **Licence:** {dataset.licence}"
    if dataset.homepage:
        yield f"- **Where to ask:** <{dataset.homepage}>"
    if dataset.citation:
        yield f"- **Cite:** {dataset.citation}"
    yield ""
    if dataset.domains:
        yield f"Domains: {', '.join(f'`{name}:{domain}`' for domain in dataset.domains)}.\n"
    yield from _counts(dataset)


def _listed(names: Sequence[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _counts(dataset: Dataset) -> Iterator[str]:
    expected = _expected(dataset)
    if not expected:
        return
    labels = list(dict.fromkeys(label for counts in expected.values() for label in counts if label))
    header = ("images", *(split or "whole set" for split in expected))
    lines = [[label, *(f"{counts[label]:,}" for counts in expected.values())] for label in labels]
    yield from _table(header, [["all", *(f"{total:,}" for total in totals(dataset).values())], *lines])


def _corruptions() -> Iterator[str]:
    yield "## Corruptions\n"
    yield "`SET+CORRUPTION:SEVERITY` is a set with every picture spoilt: a domain gap of real pixels without another"
    yield "download. `+blur` means its five severities, `+all` all thirty. The table holds the split that is scored (or"
    yield "the one that is named), and `compare` puts the scores into a robustness table. A picture is always spoilt"
    yield "alike: what is random comes from a seed made of its pixels.\n"
    yield from _table(
        ("corruption", "what the numbers are", *(f"severity {severity}" for severity in SEVERITIES)),
        [(name, kind.meaning, *(f"{value:g}" for value in kind.parameters)) for name, kind in KINDS.items()],
    )


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    yield from ("| " + " | ".join(line) + " |" for line in lines)
    yield ""


def totals(dataset: Dataset) -> dict[str, int]:
    """Known images of each split ("": of the whole set), of a family's first domain."""
    return {split: counts.get("", sum(counts.values())) for split, counts in _expected(dataset).items()}


def _expected(dataset: Dataset) -> Expected:
    return dataset.expected(None, dataset.domains[0] if dataset.domains else "")


def about(dataset: Dataset) -> str:
    """What a dataset is, in a sentence: the first line of its module, else of its class."""
    module = importlib.import_module(type(dataset).__module__)
    return next(iter((module.__doc__ or type(dataset).__doc__ or "").strip().splitlines()), "")
