"""Keys and commands: the commands that reproduce the report, its files, and the keys of everything in it."""

from collections.abc import Iterable

from fercache.records import Record
from fercache.reporting.commands import commands
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside


def content(report: Report) -> Content:
    """Always shown."""
    records, repeated = report.records, commands(report.stored, report.name, report.request)
    context = {
        "commands": repeated,
        "keys": sorted({key for record in records for key in _keys(record)}),
        "runs": sorted({(record.run, record.keys.get("run", "")) for record in records}),
        "versions": sorted({f"{name} {version}" for record in records for name, version in record.versions.items()}),
    }
    return Content(context, gist=f"{len(repeated)} commands reproduce this report")


def _keys(record: Record) -> Iterable[tuple[str, str, str]]:
    """Everything with a key except runs, as kind, name and key."""
    yield "encoder", record.encoder, record.encoder_key
    names = {"source": record.source, "target": record.target}
    yield from ((kind, names.get(kind, ""), key) for kind, key in record.keys.items() if kind != "run")


plugin = Section(title="Keys and commands", template=beside(__file__), content=content, footer=True, folded=True)
