"""Tables for a paper as GitHub's Markdown."""

import re
from collections.abc import Iterable, Sequence

from fercache.reporting.export.paper_tables import Entry, PaperLine, PaperTable


def markdown(tables: Sequence[PaperTable]) -> str:
    """The tables as GitHub's Markdown: the content of `table.md`."""
    return "\n\n".join("\n".join(_markdown_table(table)) for table in tables) + "\n"


def _markdown_table(table: PaperTable) -> Iterable[str]:
    heading = ["Method", "Trunk"]
    for i, columns in enumerate(table.columns):
        first, *others = map(_markdown_text, columns.names)
        heading += [*([""] if i else []), f"{columns.title}<br>{first}", *others]
    lines = [heading + ["Protocol"] * table.compares]
    for block in table.blocks:
        if block.title:
            lines.append([f"*Published: {_markdown_text(block.title)}*", *[""] * (len(lines[0]) - 1)])
        lines += [_markdown_line(table, line) for line in block.lines]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    yield f"**{_markdown_text(table.caption)}**\n"
    for line in lines:
        yield "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
    yield ""
    yield from (f"- {_markdown_text(note)}" for note in table.notes)


def _markdown_line(table: PaperTable, line: PaperLine) -> list[str]:
    entries = iter(line.entries)
    cells = [_markdown_text(line.method), _markdown_text(line.trunk)]
    for i, columns in enumerate(table.columns):
        cells += [*([""] if i else []), *(_markdown_entry(next(entries)) for _ in columns.names)]
    return cells + [line.protocol] * table.compares


def _markdown_entry(entry: Entry) -> str:
    marked = {"best": f"**{entry.mean}**", "second": f"<u>{entry.mean}</u>"}.get(entry.rank, entry.mean)
    return f"{marked} ±{entry.deviation}" if entry.deviation else marked


def _markdown_text(text: str) -> str:
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_|~$\[\]])", r"\\\1", plain)  # GitHub reads text between dollars as a formula
