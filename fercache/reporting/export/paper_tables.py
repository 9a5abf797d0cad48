"""Tables for a paper, as Markdown and as LaTeX: methods x targets, one per encoder, source and metric.

Ours are the headline rows of a board. Scores that papers published for the same source and targets stand below them,
and compete with ours only where nothing is known in which their protocol departs from ours.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from statistics import fmean
from typing import Literal

from fercache.records import WITHOUT_DUPLICATES, Record
from fercache.reporting.boards import Board, is_without_duplicates
from fercache.reporting.export.latex import latex_text
from fercache.reporting.export.published_rows import NO_SOURCE, NOT_OURS, PublishedRow, PublishedScore, published_rows
from fercache.reporting.table_rows import COMMON, METRIC_NAMES, MISSING, SELECTIONS, UNSEEN, Cell, Row

NOT_PUBLISHED = "–"
OURS = "ours"
MOST_SETTINGS = 40
"""Characters: where a method's changed settings are longer, they stand below the table."""

Rank = Literal["", "best", "second"]
Faces = Mapping[tuple[str, str], int]
"""How many faces were scored, by source and target label: it depends on both, for each has its expressions."""


@dataclass(frozen=True)
class Entry:
    """What a cell says: percent with one decimal, and how it ranks in its column."""

    mean: str
    deviation: str = ""
    rank: Rank = ""


@dataclass(frozen=True)
class Line:
    """One method. `protocol` is "ours", "yes" where a published one is as ours, or "no" with the numbers of notes."""

    method: str
    trunk: str
    entries: tuple[Entry, ...]
    protocol: str


@dataclass(frozen=True)
class Block:
    """Lines that belong together: ours, which have no title, or those of one reference."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Columns:
    """Neighbours under a common heading, with a gap on either side."""

    title: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class PaperTable:
    """One table, in plain text: what renders it escapes it. Lines have an entry per name of `columns`."""

    label: str
    caption: str
    columns: tuple[Columns, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]

    @property
    def compares(self) -> bool:
        """Whether published rows stand in it: else there is no column for their protocol."""
        return len(self.blocks) > 1


@dataclass(frozen=True)
class _Scored:
    """A line before anything is ranked. `departures` say in what its protocol is not ours.

    `fewer` are the entries that are about fewer faces than others of their column.
    """

    title: str
    method: str
    trunk: str
    entries: tuple[Entry, ...]
    departures: tuple[str, ...] = ()
    fewer: tuple[int, ...] = ()
    misprint: str = ""

    @property
    def competing(self) -> list[str]:
        """The means that may be best, MISSING for those that may not."""
        return [MISSING if i in self.fewer else entry.mean for i, entry in enumerate(self.entries)]


def kept_faces(records: Iterable[Record]) -> dict[tuple[str, str], int]:
    """The faces that records were scored on, by source and target label: the most, where methods differ."""
    kept: dict[tuple[str, str], int] = {}
    for record in records:
        place = record.source, record.target_label
        kept[place] = max(record.kept, kept.get(place, 0))
    return kept


def paper_tables(
    found: Sequence[Board], kept: Faces, published: Sequence[PublishedRow] | None = None
) -> list[PaperTable]:
    """A table per board and metric, with the published rows that fit, which are the package's own unless given."""
    rows = published_rows() if published is None else published
    return [_table(board, metric, kept, rows) for board in found for metric in board.metrics]


def _table(board: Board, metric: str, kept: Faces, published: Sequence[PublishedRow]) -> PaperTable:
    settings = _numbered_settings(board)
    rows = [_ours(board, row, metric, settings) for row in board.headline]
    rows += _published(board, metric, kept, published)
    reasons = dict.fromkeys(reason for row in rows for reason in row.departures)
    numbers = {reason: str(number) for number, reason in enumerate(reasons, 1)}
    titles = dict.fromkeys(row.title for row in rows)
    lines = list(zip(rows, _lines(rows, numbers), strict=True))
    return PaperTable(
        label="tab:" + re.sub(r"[^a-z0-9]+", "-", f"{metric} {board.source} {board.encoder}".lower()).strip("-"),
        caption=_caption(board, metric),
        columns=tuple(_columns(board)),
        blocks=tuple(Block(title, tuple(line for row, line in lines if row.title == title)) for title in titles),
        notes=(*_notes(board, kept, rows, numbers), *_settings_note(settings)),
    )


def _numbered_settings(board: Board) -> dict[str, str]:
    """S1, S2 ... for the changed settings of the board's methods; none where all are short."""
    described = dict.fromkeys(row.method.changed_text for row in board.headline if row.method.changed)
    if max(map(len, described), default=0) <= MOST_SETTINGS:
        return {}
    return {text: f"S{number}" for number, text in enumerate(described, 1)}


def _settings_note(settings: Mapping[str, str]) -> Iterable[str]:
    if settings:
        yield f"Settings: {'; '.join(f'{number}: {text}' for text, number in settings.items())}."


def _caption(board: Board, metric: str) -> str:
    seeds = sorted({len(row.seeds) for row in board.headline} - {1})
    over = f"Mean ± standard deviation over {' or '.join(map(str, seeds))} seeds; without ±, one seed."
    policy = board.policy
    common = f" {COMMON}: {board.common_text}." if board.common_text else ""
    return (
        f"{METRIC_NAMES[metric].capitalize()} in percent, trained on {board.source}, encoder {board.encoder}. "
        f"{over if seeds else 'One seed.'} Selection policy: {policy} ({SELECTIONS[policy]}).{common}"
    )


def _columns(board: Board) -> Iterable[Columns]:
    """Over `board.shown`, in its order."""
    who = {board.kind(label) for label in board.seen}
    seen = who.pop().capitalize() if len(who) == 1 else "Seen"
    groups = {"Source": board.own, seen: board.seen, "Unseen targets": board.unseen}
    named = {title: tuple(_heading(board, label) for label in labels) for title, labels in groups.items() if labels}
    for title, names in named.items():
        yield Columns(title, (*names, "Mean") if title == "Unseen targets" else names)


def _heading(board: Board, label: str) -> str:
    unique = "‡" if is_without_duplicates(label) else ""
    return label.removesuffix(WITHOUT_DUPLICATES) + board.mark(label) + unique


def _ours(board: Board, row: Row, metric: str, settings: Mapping[str, str]) -> _Scored:
    entries = tuple(_our_entry(row.scores(column)[metric]) for column in board.shown)
    fewer = tuple(i for i, column in enumerate(board.shown) if board.fewer(row, column))
    number = settings.get(row.method.changed_text)
    method = replace(row.method, trunk="", changed=(("settings", number),) if number else row.method.changed)
    return _Scored("", str(method), row.method.trunk or "none", entries, fewer=fewer)


def _our_entry(cell: Cell) -> Entry:
    if cell.mean is None:
        return Entry(MISSING)
    return Entry(f"{cell.mean:.1f}", "" if cell.deviation is None else f"{cell.deviation:.1f}")


def _published(board: Board, metric: str, kept: Faces, rows: Sequence[PublishedRow]) -> Iterable[_Scored]:
    """The rows with that metric, the board's source or none, and a score on one of the board's targets."""
    for row in rows:
        if row.metric == metric and row.source in (board.source, NO_SOURCE):
            scores = {column: score for score in row.scores if (column := _column(board, score.target))}
            if scores:
                percents = {column: score.percent for column, score in scores.items()}
                percents |= _mean(board, percents)
                entries = tuple(_published_entry(percents.get(column)) for column in board.shown)
                departures = tuple(_departures(board, scores, kept))
                yield _Scored(row.reference, row.method, row.trunk, entries, departures, misprint=row.misprint)


def _published_entry(percent: float | None) -> Entry:
    if percent is None:
        return Entry(NOT_PUBLISHED)
    # Papers print two decimals, and a reader who drops one of them rounds half of a tenth up.
    return Entry(str(Decimal(str(percent)).quantize(Decimal("0.1"), ROUND_HALF_UP)))


def _column(board: Board, target: str) -> str | None:
    """Where a published score stands: under its very faces, else under another split of the same set."""
    return next((name for name in (target, target.partition("@")[0]) if name in board.columns), None)


def _mean(board: Board, percents: Mapping[str, float]) -> dict[str, float]:
    """By the mean's column, the mean over the targets that count in ours; nothing where one is missing."""
    complete = board.counted and all(label in percents for label in board.counted)
    return {UNSEEN: fmean(percents[label] for label in board.counted)} if complete else {}


def _departures(board: Board, scores: Mapping[str, PublishedScore], kept: Faces) -> Iterable[str]:
    in_order = [(column, scores[column]) for column in board.columns if column in scores]
    yield from dict.fromkeys(reason for _, score in in_order for reason in score.departs)
    for column, score in in_order:
        ours = kept.get((board.source, column), 0)
        if score.target != column:
            yield f"{column}: {_count(score.faces)} of {score.target}, ours {ours:,} of another split"
        elif score.faces is not None and score.faces != ours:
            yield f"{column}: {_count(score.faces)}, ours {ours:,}"
    if unknown := [column for column, score in in_order if score.faces is None]:
        yield f"number of test faces not known: {', '.join(unknown)}"


def _count(faces: int | None) -> str:
    return "faces" if faces is None else f"{faces:,} faces"


def _lines(rows: Sequence[_Scored], numbers: Mapping[str, str]) -> Iterable[Line]:
    competing = [row.competing for row in rows if not row.departures]
    leading = [_leading(column) for column in zip(*competing, strict=True)]
    for row in rows:
        entries = row.entries
        if not row.departures:
            pairs = zip(entries, row.competing, leading, strict=True)
            entries = tuple(replace(entry, rank=leads.get(mean, "")) for entry, mean, leads in pairs)
        noted = ", ".join(numbers[reason] for reason in row.departures)
        protocol = (f"no ({noted})" if noted else "yes") if row.title else OURS
        yield Line(row.method, row.trunk, entries, protocol)


def _leading(means: Sequence[str]) -> dict[str, Rank]:
    """Ranks by what is printed, so that whatever looks alike ranks alike; none where there is nothing to compare."""
    scored = [mean for mean in means if mean not in (MISSING, NOT_PUBLISHED)]
    ranks: tuple[Rank, ...] = ("best", "second") if len(scored) > 1 else ()
    return dict(zip(sorted(set(scored), key=float, reverse=True), ranks, strict=False))


def _notes(board: Board, kept: Faces, rows: Sequence[_Scored], numbers: Mapping[str, str]) -> Iterable[str]:
    missing = {entry.mean for row in rows for entry in row.entries}
    yield "Bold: best of a column; underlined: second best" + (", among rows of our protocol." if numbers else ".")
    if board.scored_on_fewer:
        yield f"Not compared: {'; '.join(board.scored_on_fewer)}."
    if board.unseen:
        yield f"Mean: {board.mean_note}."
    if board.seen_notes:
        yield f"Seen by encoder (†) or head (§), so not unseen and in no mean: {'; '.join(board.seen_notes)}."
    if unique := list(filter(is_without_duplicates, board.columns)):
        counts = "in the mean where the set with them is seen" if {*unique} & {*board.counted} else "in no mean"
        yield f"‡: without the faces whose picture the source has; counts {counts}."
    if MISSING in missing:
        yield f"{MISSING}: not scored for every seed."
    if NOT_PUBLISHED in missing:
        yield f"{NOT_PUBLISHED}: not published."
    faces = ", ".join(f"{_heading(board, name)} {kept.get((board.source, name), 0):,}" for name in board.columns)
    yield f"Faces we scored: {faces}."
    if numbers:
        listed = "; ".join(f"({number}) {reason}" for reason, number in numbers.items())
        yield f"Published protocols that are not ours: {listed}."
    if any(row.title for row in rows):
        yield NOT_OURS
    if misprints := [row.misprint for row in rows if row.misprint]:
        yield f"Means are computed from the scores: {'; '.join(misprints)}."


def markdown(tables: Sequence[PaperTable]) -> str:
    """The tables as GitHub's Markdown: what `table.md` holds."""
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


def _markdown_line(table: PaperTable, line: Line) -> list[str]:
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
    return re.sub(r"([\\`*_|~$\[\]])", r"\\\1", plain)  # GitHub takes what is between dollars for a formula


def latex(tables: Sequence[PaperTable]) -> str:
    """The tables as LaTeX, each a float over both columns: what `table.tex` holds, to be `\\input`."""
    texts = ["% Needs \\usepackage{booktabs}.", *("\n".join(_latex_table(table)) for table in tables)]
    return "\n\n".join(texts) + "\n"


def _latex_table(table: PaperTable) -> Iterable[str]:
    gap = r"@{\hspace{1em}}"
    width = 2 + sum(len(columns.names) for columns in table.columns) + table.compares
    groups = [gap + "l" * len(columns.names) for columns in table.columns]
    yield "\\begin{table*}[t]\n\\centering\\footnotesize\n\\setlength{\\tabcolsep}{3pt}"
    yield f"\\caption{{{latex_text(table.caption)}}}\n\\label{{{table.label}}}"
    yield f"\\begin{{tabular}}{{@{{}}ll{''.join(groups)}{(gap + 'l') * table.compares}@{{}}}}\n\\toprule"
    yield from _latex_heading(table)
    for i, block in enumerate(table.blocks):
        yield "\\midrule" if i < 2 else "\\addlinespace"
        if block.title:
            yield f"\\multicolumn{{{width}}}{{@{{}}l}}{{\\emph{{Published: {latex_text(block.title)}}}}} \\\\"
        for line in block.lines:
            cells = [latex_text(line.method), latex_text(line.trunk), *map(_latex_entry, line.entries)]
            yield " & ".join(cells + [line.protocol] * table.compares) + r" \\"
    yield "\\bottomrule\n\\end{tabular}\n\\par\\smallskip"
    yield f"\\parbox{{\\textwidth}}{{\\raggedright\\scriptsize {latex_text(' '.join(table.notes))}}}\n\\end{{table*}}"


def _latex_heading(table: PaperTable) -> Iterable[str]:
    top, rules, names, start = ["", ""], [], ["Method", "Trunk"], 3
    for columns in table.columns:
        end = start + len(columns.names)
        top.append(f"\\multicolumn{{{end - start}}}{{c}}{{{columns.title}}}")
        rules.append(f"\\cmidrule(lr){{{start}-{end - 1}}}")
        names += map(latex_text, columns.names)
        start = end
    yield " & ".join(top + [""] * table.compares) + r" \\"
    yield " ".join(rules)
    yield " & ".join(names + ["Protocol"] * table.compares) + r" \\"


def _latex_entry(entry: Entry) -> str:
    text = latex_text(entry.mean)
    marked = {"best": f"\\textbf{{{text}}}", "second": f"\\underline{{{text}}}"}.get(entry.rank, text)
    return f"{marked}\\,{{\\scriptsize$\\pm${entry.deviation}}}" if entry.deviation else marked
