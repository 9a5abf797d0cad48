"""Tables for a paper: methods x targets, one per encoder, source and metric. `markdown` and `latex` write them.

Our rows are the headline rows of a board. Scores that papers published for the same source and targets are listed below
them, by default those of a single published table: several rarely have the same protocol. They compete with ours only
if no difference between the protocols is known.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from statistics import fmean
from typing import Literal

from fercache.records import WITHOUT_DUPLICATES, Record
from fercache.reporting.boards import Board, is_without_duplicates
from fercache.reporting.export.published_rows import NO_SOURCE, NOT_OURS, PublishedRow, PublishedScore, published_rows
from fercache.reporting.table_rows import COMMON, METRIC_NAMES, MISSING, SELECTIONS, UNSEEN, Cell, Row

NOT_PUBLISHED = "–"
OURS = "ours"
MOST_SETTINGS = 40
"""Number of characters; longer settings of a method are listed below the table."""

Rank = Literal["", "best", "second"]
Faces = Mapping[tuple[str, str], int]
"""The number of scored faces by source and target label; it depends on the expressions of both."""


@dataclass(frozen=True)
class Entry:
    """The text of a cell, percent with one decimal, and its rank in the column."""

    mean: str
    deviation: str = ""
    rank: Rank = ""


@dataclass(frozen=True)
class PaperLine:
    """One method. `protocol` is "ours", "yes" for a published one that equals ours, or "no" with numbers of notes."""

    method: str
    trunk: str
    entries: tuple[Entry, ...]
    protocol: str


@dataclass(frozen=True)
class Block:
    """Our lines, without a title, or those of one reference."""

    title: str
    lines: tuple[PaperLine, ...]


@dataclass(frozen=True)
class PaperColumns:
    """Adjacent columns under a common heading, with a gap on either side."""

    title: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class PaperTable:
    """One table in plain text, which the renderers escape. Lines have an entry per name of `columns`."""

    label: str
    caption: str
    columns: tuple[PaperColumns, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]

    @property
    def compares(self) -> bool:
        """Whether it has published rows, and so a column for their protocol."""
        return len(self.blocks) > 1


@dataclass(frozen=True)
class _Scored:
    """A line before ranking. `departures` are the differences of its protocol from ours.

    `fewer` are the entries with fewer faces than others of their column.
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
        """The means that can be best, MISSING for those that cannot."""
        return [MISSING if i in self.fewer else entry.mean for i, entry in enumerate(self.entries)]


def kept_faces(records: Iterable[Record]) -> dict[tuple[str, str], int]:
    """The number of faces that records were scored on, by source and target label; the largest if methods differ."""
    kept: dict[tuple[str, str], int] = {}
    for record in records:
        place = record.source, record.target_label
        kept[place] = max(record.kept, kept.get(place, 0))
    return kept


def paper_tables(
    found: Sequence[Board], kept: Faces, published: Sequence[PublishedRow] | None = None
) -> list[PaperTable]:
    """One table per board and metric, with the `published` rows that fit.

    By default those of one table of a paper: the one with the most of the board's targets, the paper's first of equals.
    """
    return [_table(board, metric, kept=kept, published=published) for board in found for metric in board.metrics]


def _table(board: Board, metric: str, kept: Faces, published: Sequence[PublishedRow] | None) -> PaperTable:
    settings = _numbered_settings(board)
    rows = [_ours(board, row, metric, settings=settings) for row in board.headline]
    listed = _one_table(board, metric) if published is None else published
    rows += _published(board, metric, kept=kept, rows=listed)
    reasons = dict.fromkeys(reason for row in rows for reason in row.departures)
    numbers = {reason: str(number) for number, reason in enumerate(reasons, 1)}
    titles = dict.fromkeys(row.title for row in rows)
    lines = list(zip(rows, _lines(rows, numbers), strict=True))
    return PaperTable(
        label="tab:" + re.sub(r"[^a-z0-9]+", "-", f"{metric} {board.source} {board.encoder}".lower()).strip("-"),
        caption=_caption(board, metric),
        columns=tuple(_columns(board)),
        blocks=tuple(Block(title, tuple(line for row, line in lines if row.title == title)) for title in titles),
        notes=(
            *_notes(board, kept, rows, numbers=numbers),
            *_absent_note(metric, [row.reference for row in listed], titles),
            *_settings_note(settings),
        ),
    )


def _numbered_settings(board: Board) -> dict[str, str]:
    """S1, S2 ... for the changed settings of the board's methods; none if all are short."""
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


def _columns(board: Board) -> Iterable[PaperColumns]:
    """The groups of columns of `board.shown`, in its order."""
    who = {board.kind(label) for label in board.seen}
    seen = who.pop().capitalize() if len(who) == 1 else "Seen"
    groups = {"Source": board.own, seen: board.seen, "Unseen targets": board.unseen}
    named = {title: tuple(_heading(board, label) for label in labels) for title, labels in groups.items() if labels}
    for title, names in named.items():
        yield PaperColumns(title, (*names, "Mean") if title == "Unseen targets" else names)


def _heading(board: Board, label: str) -> str:
    unique = "‡" if is_without_duplicates(label) else ""
    return label.removesuffix(WITHOUT_DUPLICATES) + board.mark(label) + unique


def _ours(board: Board, row: Row, metric: str, settings: Mapping[str, str]) -> _Scored:
    entries = tuple(_our_entry(row.scores(column)[metric]) for column in board.shown)
    fewer = tuple(i for i, column in enumerate(board.shown) if board.fewer(row, column))
    number = settings.get(row.method.changed_text)
    method = replace(row.method, trunk="", changed=(("settings", number),) if number else row.method.changed)
    return _Scored("", str(method), row.method.trunk or "none", entries=entries, fewer=fewer)


def _our_entry(cell: Cell) -> Entry:
    if cell.mean is None:
        return Entry(MISSING)
    return Entry(f"{cell.mean:.1f}", "" if cell.deviation is None else f"{cell.deviation:.1f}")


def _published(board: Board, metric: str, kept: Faces, rows: Sequence[PublishedRow]) -> Iterable[_Scored]:
    """The published rows that have scores for the board; see `_scores_on`."""
    for row in rows:
        if scores := _scores_on(board, metric, row):
            percents = {column: score.percent for column, score in scores.items()}
            percents |= _mean(board, percents)
            entries = tuple(_published_entry(percents.get(column)) for column in board.shown)
            yield _Scored(
                title=row.reference,
                method=row.method,
                trunk=row.trunk,
                entries=entries,
                departures=tuple(_departures(board, scores, kept)),
                misprint=row.misprint,
            )


def _scores_on(board: Board, metric: str, row: PublishedRow) -> dict[str, PublishedScore]:
    """The scores of a published row by column of the board; none for another metric, or another source than none."""
    if row.metric != metric or row.source not in (board.source, NO_SOURCE):
        return {}
    return {column: score for score in row.scores if (column := _column(board, score.target))}


def _one_table(board: Board, metric: str) -> list[PublishedRow]:
    """The rows of the published table with the most of the board's targets, of equals the first in the file."""
    covered: dict[str, set[str]] = defaultdict(set)
    for row in published_rows():
        covered[row.reference].update(_scores_on(board, metric, row))
    most = max(covered, key=lambda reference: len(covered[reference]))
    return [row for row in published_rows() if row.reference == most and _scores_on(board, metric, row)]


def _absent_note(metric: str, asked: Iterable[str], titles: Iterable[str]) -> Iterable[str]:
    """Names the published tables without a row here."""
    if absent := [reference for reference in dict.fromkeys(asked) if reference not in titles]:
        yield f"No {METRIC_NAMES[metric]} from this source on these targets: {', '.join(absent)}."


def _published_entry(percent: float | None) -> Entry:
    if percent is None:
        return Entry(NOT_PUBLISHED)
    # Papers print two decimals; readers round half of a tenth up.
    return Entry(str(Decimal(str(percent)).quantize(Decimal("0.1"), ROUND_HALF_UP)))


def _column(board: Board, target: str) -> str | None:
    """The column of a published score: the one with exactly its faces, else another split of the same dataset."""
    return next((name for name in (target, target.partition("@")[0]) if name in board.columns), None)


def _mean(board: Board, percents: Mapping[str, float]) -> dict[str, float]:
    """The mean over the targets of our mean, by its column; empty if one is missing."""
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


def _lines(rows: Sequence[_Scored], numbers: Mapping[str, str]) -> Iterable[PaperLine]:
    competing = [row.competing for row in rows if not row.departures]
    leading = [_leading(column) for column in zip(*competing, strict=True)]
    for row in rows:
        entries = row.entries
        if not row.departures:
            pairs = zip(entries, row.competing, leading, strict=True)
            entries = tuple(replace(entry, rank=leads.get(mean, "")) for entry, mean, leads in pairs)
        noted = ", ".join(numbers[reason] for reason in row.departures)
        protocol = (f"no ({noted})" if noted else "yes") if row.title else OURS
        yield PaperLine(row.method, row.trunk, entries=entries, protocol=protocol)


def _leading(means: Sequence[str]) -> dict[str, Rank]:
    """Ranks by the printed text, so that equal numbers have equal ranks; none if there is nothing to compare."""
    scored = [mean for mean in means if mean not in (MISSING, NOT_PUBLISHED)]
    ranks: tuple[Rank, ...] = ("best", "second") if len(scored) > 1 else ()
    return dict(zip(sorted(set(scored), key=float, reverse=True), ranks, strict=False))


def _notes(board: Board, kept: Faces, rows: Sequence[_Scored], numbers: Mapping[str, str]) -> Iterable[str]:
    missing = {entry.mean for row in rows for entry in row.entries}
    yield "Bold: best in a column; underlined: second best" + (", among rows of our protocol." if numbers else ".")
    if board.scored_on_fewer:
        yield f"Not compared: {'; '.join(board.scored_on_fewer)}."
    if board.unseen:
        yield f"Mean: {board.mean_note}."
    if board.seen_notes:
        yield f"Seen by encoder (†) or head (§), so not unseen and in no mean: {'; '.join(board.seen_notes)}."
    if unique := list(filter(is_without_duplicates, board.columns)):
        counts = "in the mean where the dataset with them is seen" if {*unique} & {*board.counted} else "in no mean"
        yield f"‡: without the faces whose image the source has; counts {counts}."
    if MISSING in missing:
        yield f"{MISSING}: not scored for every seed."
    if NOT_PUBLISHED in missing:
        yield f"{NOT_PUBLISHED}: not published."
    faces = ", ".join(f"{_heading(board, name)} {kept.get((board.source, name), 0):,}" for name in board.columns)
    yield f"Faces we scored: {faces}."
    if numbers:
        listed = "; ".join(f"({number}) {reason}" for reason, number in numbers.items())
        yield f"Published protocols that differ from ours: {listed}."
    if any(row.title for row in rows):
        yield NOT_OURS
    if misprints := [row.misprint for row in rows if row.misprint]:
        yield f"Means are computed from the scores: {'; '.join(misprints)}."
