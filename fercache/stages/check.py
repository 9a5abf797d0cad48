"""Where every set lies, and what is found there against what is known of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fercache import registry
from fercache.datasets import Dataset, DatasetName, Finding, check_domain
from fercache.errors import UsageError
from fercache.settings import Settings


@dataclass(frozen=True)
class Checked:
    """A set, its root, and its findings; or why there are none: no root is known, or it is none of the set's."""

    name: str
    root: Path | None
    findings: Sequence[Finding] = ()
    problem: str = ""


def check_all(settings: Settings) -> Iterator[Checked]:
    """Every set that needs no root, every one that `fercache.toml` has a root of, and the others, without findings."""
    known, unknown = _with_roots(settings)
    for family in registry.names("datasets"):
        dataset = registry.load("datasets", family)
        names = [name for name in known if name.family == family]
        if not dataset.needs_root:
            names = [DatasetName(family, domain) for domain in dataset.domains or ("",)]
        for name in names or [DatasetName(family)]:
            yield _check(dataset, name, settings.root_of(str(name)))
    yield from unknown


def _with_roots(settings: Settings) -> tuple[list[DatasetName], list[Checked]]:
    """The sets that `fercache.toml` has a root of, and what it calls a set that is none."""
    known, unknown = [], []
    for text, root in settings.datasets.items():
        try:
            name = DatasetName.parse(text)
            registry.load("datasets", name.family)
        except UsageError as error:
            unknown.append(Checked(text, root, problem=str(error)))
        else:
            known.append(name)
    return known, unknown


def check_one(settings: Settings, text: str, root: Path | None = None) -> list[Checked]:
    """A set, or each domain of it. Raises UsageError for a name that is not known."""
    name = DatasetName.parse(text)
    dataset = registry.load("datasets", name.family)
    domains = dataset.domains if dataset.domains and not name.domain else (name.domain,)
    for domain in domains:
        check_domain(dataset, name.family, domain)
    where = root or settings.root_of(str(name.clean))
    return [_check(dataset, DatasetName(name.family, domain), where) for domain in domains]


def _check(dataset: Dataset, name: DatasetName, root: Path | None) -> Checked:
    if dataset.needs_root and root is None:
        return Checked(str(name), None)
    try:
        return Checked(str(name), root, dataset.check(root, name.domain))
    except UsageError as error:
        return Checked(str(name), root, problem=str(error))


def rows(checked: Sequence[Checked]) -> Iterator[dict[str, Any]]:
    """One row per finding, for a CSV file."""
    for one in checked:
        for finding in one.findings:
            yield {
                "set": one.name,
                "root": one.root or "",
                "split": finding.split,
                "label": finding.label or "all",
                "expected": "" if finding.expected is None else finding.expected,
                "found": finding.found,
                "agrees": finding.agrees,
            }
