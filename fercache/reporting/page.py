"""A report: files of its sections beside one page, an HTML file that needs only those for images of faces."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from fercache import registry
from fercache.errors import FercacheError, UsageError
from fercache.identity import file_hash, key_of
from fercache.records import METRICS, WITHOUT_DUPLICATES, Record
from fercache.reporting.boards import Board
from fercache.reporting.drawing import with_own_names
from fercache.reporting.export.figure_files import write_figures
from fercache.reporting.report import Report, ReportRequest
from fercache.reporting.sections import Content, Section, ordered
from fercache.reporting.table_rows import COMMON, METRIC_NAMES, MISSING, SELECTIONS, UNSEEN
from fercache.store.atomic import remove_abandoned, write_json, write_text

FEW = 5
"""Number of names that a line lists."""

PAGE, MADE = "index.html", "report.json"
"""The page, and the file beside it that shows whether the report is up to date."""


class Made(BaseModel):
    """A report's request, the `records_key` of its records, and the SHA-256 of each of its files.

    `sections` are the keys of sections from outside; see `outside_sections`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    baseline: str | None
    about: str
    published: tuple[str, ...] = ()
    records_key: str
    files: dict[str, str]
    sections: dict[str, str] = {}


@dataclass(frozen=True)
class PagePart:
    """A section with its content in one report."""

    id: str
    section: Section
    content: Content

    @property
    def files(self) -> dict[str, list[str]]:
        """The names of its files, by their description; of files in a folder, the pattern."""
        found: dict[str, dict[str, None]] = {}
        for name in self.content.files:
            pattern = self._pattern(name)
            found.setdefault(self.section.files[pattern], {})[pattern if "/" in name else name] = None
        return {text: list(names) for text, names in found.items()}

    def _pattern(self, name: str) -> str:
        pattern = next((each for each in self.section.files if fnmatch(name, each)), None)
        if pattern is None:
            raise FercacheError(f"It writes {name}, which is not in its `files`: {', '.join(self.section.files)}.")
        return pattern


def write_report(
    records: Sequence[Record], folder: Path, cache: Path | None = None, request: ReportRequest | None = None
) -> Path:
    """Writes `index.html`, the files of all sections and `figures/` into `folder`; returns the page.

    Sections that need predictions read them from `cache`. Raises UsageError if there are no records, if two records
    fill the same cell, and for an unknown baseline.
    """
    if not records:
        raise UsageError("There are no records to compare. Run `fercache evaluate` to score the finished runs.")
    stored = sorted(records, key=lambda record: (record.run, record.target_label, record.selection))
    report = Report(folder.name, stored, cache, request=request or ReportRequest())
    _check_distinct(report.records)
    sections = all_sections()
    parts = made_parts(sections, report)
    drawings = _merged(parts, {part.id: part.content.drawings for part in parts})
    texts = _merged(parts, {part.id: part.content.files for part in parts})
    texts |= {PAGE: with_own_names(render(report, parts))}
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder)
    (folder / MADE).unlink(missing_ok=True)  # until everything is written, the report does not count
    for earlier in {path for each in sections.values() for pattern in each.files for path in folder.glob(pattern)}:
        if earlier.relative_to(folder).as_posix() not in texts:
            earlier.unlink()
            if earlier.parent != folder:
                _remove_if_empty(earlier.parent)
    for name, text in texts.items():
        write_text(folder / name, text)
    figures = write_figures(drawings, folder)
    files = {name: file_hash(folder / name) for name in sorted([*texts, *figures])}
    asked = report.request
    made = Made(
        baseline=asked.baseline,
        about=asked.about,
        published=asked.published,
        records_key=records_key(stored),
        files=files,
        sections=outside_sections(),
    )
    write_json(folder / MADE, made.model_dump())
    return folder / PAGE


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def made_before(folder: Path) -> Made | None:
    """How the report in `folder` was made; None if there is none, or one of its files is missing or changed."""
    try:
        made = Made.model_validate_json((folder / MADE).read_bytes())
        whole = all(file_hash(folder / name) == expected for name, expected in made.files.items())
    except (OSError, ValueError):
        return None
    return made if whole else None


def records_key(records: Iterable[Record]) -> str:
    """One key for the content of all records, in any order."""
    return key_of({"records": sorted(record.model_dump_json() for record in records)})


def _check_distinct(records: Sequence[Record]) -> None:
    runs: dict[tuple[str, int, str, str], str] = {}
    for record in records:
        cell = (record.method_key, record.seed, record.target_label, record.selection)
        if cell in runs:
            raise UsageError(
                f"{runs[cell]} and {record.run} both have the score of one method and seed on {record.target_label} "
                f"({record.selection}). Name the runs to compare: fercache compare RUN ..."
            )
        runs[cell] = record.run


def all_sections() -> dict[str, Section]:
    """All sections, in the order of the page. Raises FercacheError for a plugin that is not a section."""
    found = {name: registry.load("report_sections", name) for name in registry.names("report_sections")}
    for name, section in found.items():
        if not isinstance(section, Section):
            raise FercacheError(
                f"The `plugin` of the report section '{name}' is a {type(section).__name__}, expected a "
                "fercache.reporting.sections.Section."
            )
    return {name: found[name] for name in ordered(found)}


def outside_sections() -> dict[str, str]:
    """The key of the code and template of each section from outside, by name."""
    found: dict[str, str] = {}
    for name in registry.names("report_sections"):
        if origin := registry.origin("report_sections", name):
            template = registry.load("report_sections", name).template
            found[name] = key_of({"code": origin.identity, "template": template})
    return found


def made_parts(sections: Mapping[str, Section], report: Report) -> list[PagePart]:
    """The sections that have content, in the order of the page."""
    parts = []
    for name, section in sections.items():
        with _failures_of(name, section):
            content = section.content(report)
            if content is not None:
                parts.append(PagePart(name, section, content))
                parts[-1].files  # noqa: B018 - raises for a file without a description
    return parts


@contextmanager
def _failures_of(name: str, section: Section) -> Iterator[None]:
    """Names the section in the errors of plugins; errors of built-in sections keep their traceback."""
    try:
        yield
    except Exception as error:
        if section.is_own:
            raise
        raise FercacheError(
            f"The report section '{name}' fails with {type(error).__name__}: {error} "
            f"Fix {section.file}, or remove that plugin; no report was written."
        ) from error


def _merged(parts: Sequence[PagePart], by_part: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The files of all parts, by name. Raises FercacheError if two parts have a file of the same name."""
    owners: dict[str, PagePart] = {}
    for part in parts:
        for name in by_part[part.id]:
            other = owners.setdefault(name, part)
            if other is not part:
                raise FercacheError(
                    f"The report sections '{other.id}' ({other.section.file}) and '{part.id}' ({part.section.file}) "
                    f"both write the file {name}: rename one of them."
                )
    return {name: made for of_part in by_part.values() for name, made in of_part.items()}


def environment() -> Environment:
    """The environment of the page's templates. All of them have these globals, and can import from `macros.html`."""
    found = Environment(
        loader=PackageLoader("fercache.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.globals |= {
        "metrics": METRICS,
        "metric_names": METRIC_NAMES,
        "selections": SELECTIONS,
        "missing": MISSING,
        "unseen": UNSEEN,
        "common": COMMON,
        "without_duplicates": WITHOUT_DUPLICATES,
        "mean_first": mean_first,
    }
    return found


def mean_first(board: Board) -> tuple[str, ...]:
    """The columns of a board in tables of the page: the mean, which must not scroll out of sight, and the targets."""
    return (*((UNSEEN,) if board.unseen else ()), *board.columns)


def render(report: Report, parts: Sequence[PagePart]) -> str:
    """The page's HTML. Every section's template also has `report` and all `parts`."""
    templates = environment()
    records = {(record.run, record.target_label, record.selection) for record in report.records}
    bodies = {}
    for part in parts:
        with _failures_of(part.id, part.section):
            template = templates.from_string(part.section.template)
            body = template.render(part.content.context, report=report, parts=parts)
            bodies[part.id] = Markup(body.rstrip("\n") + "\n")
    return templates.get_template("page.html").render(
        name=report.name,
        about=report.request.about,
        sources=_few(record.source for record in report.records),
        targets=_few(record.target for record in report.records),
        records=len(records),
        parts=parts,
        bodies=bodies,
    )


def _few(names: Iterable[str]) -> list[str]:
    """The names, each once; the first FEW and the number of others if there are many."""
    found = sorted(set(names))
    return found if len(found) <= FEW + 1 else [*found[:FEW], f"{len(found) - FEW} more"]
