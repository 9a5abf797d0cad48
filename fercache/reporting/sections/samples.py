"""Samples: how many faces were scored, and how many were left out and why."""

from collections import defaultdict
from collections.abc import Sequence

from fercache.records import Record
from fercache.reporting.commands import collapsed
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside


def content(report: Report) -> Content:
    """Always shown."""
    found = samples(report.records)
    kept, left_out = sum(row[3] for row in found), sum(row[4] for row in found)
    return Content({"samples": found}, gist=f"{kept:,} faces scored, {left_out:,} left out")


def samples(records: Sequence[Record]) -> list[tuple[str, str, str, int, int, str]]:
    """Target, split, vote policy, faces kept and left out, and why. Corrupted targets that agree share a line."""
    targets: dict[tuple[str, str, int, int, str], list[str]] = defaultdict(list)
    for record in records:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(record.dropped.items()))
        left_out = sum(record.dropped.values())
        targets[record.target_split, record.policy, record.kept, left_out, reasons].append(record.target)
    return sorted((name, *counts) for counts, names in targets.items() for name in collapsed(names))


plugin = Section(title="Samples", template=beside(__file__), content=content, folded=True)
