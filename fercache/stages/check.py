"""Where every dataset is, and its counts compared with the expected ones."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fercache import registry
from fercache.datasets import Dataset, DatasetName, Finding, check_domain
from fercache.errors import UsageError
from fercache.loading.originals import read_without_labels
from fercache.settings import Settings
from fercache.store.tables import find_tables

NAMED_COUNTS = 6
"""Counts that a warning names."""


@dataclass(frozen=True)
class Checked:
    """A dataset, its root and its findings; without findings, no root is known or `problem` says what is wrong."""

    name: str
    root: Path | None
    findings: Sequence[Finding] = ()
    problem: str = ""


def check_all(settings: Settings) -> Iterator[Checked]:
    """Checks every dataset that needs no root or whose root is known; yields the others without findings."""
    roots = _roots(settings)
    known, unknown = _with_roots(roots)
    for family in registry.names("datasets"):
        dataset = registry.load("datasets", family)
        names = [name for name in known if name.family == family]
        if not dataset.needs_root:
            names = [DatasetName(family, domain) for domain in dataset.domains or ("",)]
        for name in names or [DatasetName(family)]:
            yield _check(settings, dataset, name, root=roots.get(str(name)))
    yield from unknown


def _roots(settings: Settings) -> dict[str, Path]:
    """The roots of datasets: from `fercache.toml`, else those they were extracted from."""
    tables = [table for table in find_tables(settings.cache) if table.provenance.get("root")]
    extracted = {t.identity["dataset"]: Path(t.provenance["root"]) for t in reversed(tables)}
    clean = {name: root for name, root in extracted.items() if DatasetName.parse(name).clean == DatasetName.parse(name)}
    return {name: root for name, root in clean.items() if root.exists()} | settings.datasets


def _with_roots(roots: Mapping[str, Path]) -> tuple[list[DatasetName], list[Checked]]:
    """The datasets whose root is known, and the unknown names in `fercache.toml`."""
    known, unknown = [], []
    for text, root in roots.items():
        try:
            name = DatasetName.parse(text)
            registry.load("datasets", name.family)
            if name != name.clean:
                raise UsageError(f"'{text}' has a root, but roots belong to whole datasets: write '{name.clean}'.")
        except UsageError as error:
            unknown.append(Checked(text, root, problem=str(error)))
        else:
            known.append(name)
    return known, unknown


def check_one(settings: Settings, text: str, root: Path | None = None) -> list[Checked]:
    """Checks a dataset, or each of its domains. Raises UsageError for an unknown name."""
    name = DatasetName.parse(text)
    dataset = registry.load("datasets", name.family)
    domains = dataset.domains if dataset.domains and not name.domain else (name.domain,)
    for domain in domains:
        check_domain(dataset, name.family, domain)
    where = root or _roots(settings).get(str(name.clean))
    return [_check(settings, dataset, DatasetName(name.family, domain), root=where) for domain in domains]


def _check(settings: Settings, dataset: Dataset, name: DatasetName, root: Path | None) -> Checked:
    if dataset.needs_root and root is None:
        return Checked(str(name), None)
    try:
        if read_without_labels(name, find_tables(settings.cache)):
            images = list(dataset.images(root, name.domain))
            return Checked(str(name), root, dataset.findings(images, root, name.domain))
        return Checked(str(name), root, dataset.check(root, name.domain))
    except UsageError as error:
        return Checked(str(name), root, problem=str(error))


def rows(checked: Sequence[Checked]) -> Iterator[dict[str, Any]]:
    """One row per finding, or per dataset without findings, for a CSV file."""
    for one in checked:
        if not one.findings:
            yield {"dataset": one.name, "root": one.root or "", "problem": one.problem or "no root yet"}
        for finding in one.findings:
            yield {
                "dataset": one.name,
                "root": one.root or "",
                "split": finding.split,
                "label": finding.label or "all",
                "expected": "" if finding.expected is None else finding.expected,
                "found": finding.found,
                "agrees": finding.agrees,
            }


def warn_of_other_counts(name: DatasetName, findings: Sequence[Finding]) -> None:
    """Prints one line when the counts of a known dataset, in all or by expression, are not as expected."""
    other = sorted(
        (f for f in findings if not f.agrees), key=lambda f: (bool(f.label), -abs(f.found - (f.expected or 0)))
    )
    if other:
        counts = [f"{f.found:,} of {f.expected:,} {f.split} {f.label or 'images'}".replace("  ", " ") for f in other]
        more = f" and {len(counts) - NAMED_COUNTS} more" if len(counts) > NAMED_COUNTS else ""
        listed = ", ".join(counts[:NAMED_COUNTS]) + more
        print(f"warning: {name.clean} has {listed}; see `fercache datasets show {name.clean}`.", file=sys.stderr)
