"""A report: tables as CSV, figures as files, and the page, one self-contained HTML file.

Everything is drawn from records, but for what needs the predictions: masks, maps, errors, paired differences.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict

from fercache.csv_cells import csv_text
from fercache.errors import UsageError
from fercache.identity import file_hash, key_of
from fercache.images.corruptions import KINDS
from fercache.records import METRICS, WITHOUT_DUPLICATES, Record, frame
from fercache.reporting import tables
from fercache.reporting.boards import boards
from fercache.reporting.commands import collapsed, commands
from fercache.reporting.drawing import Drawing, with_own_names
from fercache.reporting.errors import Pictures
from fercache.reporting.extras import Extras, find_extras
from fercache.reporting.figure_files import named_drawings, write_figures
from fercache.reporting.left_out import as_one_source
from fercache.reporting.masks import MaskFigure, mask_drawings, mask_figures
from fercache.reporting.panels import FEWEST, worst
from fercache.reporting.robustness import CLEAN, DROP, MEAN, robustness
from fercache.reporting.rows import COMMON, METRIC_NAMES, MISSING, SELECTIONS, SHORT_NAMES, UNSEEN
from fercache.reporting.sections import BoardView, RobustnessView, board_view, robustness_view
from fercache.scoring.intervals import FEWEST_FACES
from fercache.store.atomic import remove_abandoned, write_json, write_text

FEW = 5
"""Names that a line lists."""

PAGE, MADE = "index.html", "report.json"
"""The latter is beside the page: by which one sees whether it is still what an experiment asks for."""


class Made(BaseModel):
    """What a report was asked for, the `records_key` of what it shows, and the SHA-256 of every file of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    baseline: str | None
    about: str
    records_key: str
    files: dict[str, str]


@dataclass(frozen=True)
class ReportRequest:
    """What a report shows beside the scores.

    `pictures` gives the faces that the page may show, with `thumbnails` real ones as well; `baseline`, a head or a run,
    is what all other methods are tested against; `about` is shown at the top; `class_mix`, shares by expression that
    add up to 1, is the mix of the adjusted accuracy.
    """

    pictures: Pictures | None = None
    baseline: str | None = None
    about: str = ""
    thumbnails: bool = False
    class_mix: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Page:
    """All that the page shows of `records`. `commands` are what writes the report `name` again.

    `mix_notes` say what the adjusted accuracy is of.
    """

    records: Sequence[Record]
    boards: Sequence[BoardView]
    robustness: Sequence[RobustnessView]
    masks: Sequence[MaskFigure]
    extras: Extras
    commands: Sequence[str]
    name: str
    about: str
    mix_notes: Sequence[str] = ()

    @property
    def drawings(self) -> dict[str, Drawing]:
        """Its figures by the names of their files."""
        return named_drawings(self.boards, self.robustness) | mask_drawings(self.masks) | self.extras.drawings


def write_report(
    records: Sequence[Record], folder: Path, cache: Path | None = None, request: ReportRequest | None = None
) -> Path:
    """Writes tables as CSV, `index.html` and `figures/` into `folder`; returns the page.

    `summary.csv` is of targets that are not corrupted, `robustness.csv` of those that are: without any, the file is not
    there. With the `cache` that holds the records' predictions, `masks-<head>-<source>.svg` shows the masks of a head
    that has them. Raises UsageError when there is nothing to report, when two records fill the same cell, or when
    there is no such baseline.
    """
    asked = request or ReportRequest()
    if not records:
        raise UsageError("There are no records to compare. Type `fercache evaluate` to score the finished runs.")
    stored = sorted(records, key=lambda record: (record.run, record.target_label, record.selection))
    records = as_one_source(stored)
    _check_distinct(records)
    scores = frame(records, asked.class_mix)
    found, corrupted = boards(scores), robustness(scores)
    extras = find_extras(records, found, cache, asked.pictures, asked.baseline)
    page = Page(
        records=records,
        boards=[board_view(each, records, extras.errors.get((each.encoder_key, each.source))) for each in found],
        robustness=[robustness_view(table, found) for table in corrupted],
        masks=mask_figures(records, found, cache) if cache else [],
        extras=extras,
        commands=_commands(stored, folder.name, asked),
        name=folder.name,
        about=asked.about,
        mix_notes=tables.mix_notes(scores, asked.class_mix) if asked.class_mix else [],
    )
    texts = dict.fromkeys(path.name for path in folder.glob("masks-*.svg"))  # an earlier report's
    texts |= {figure.file: figure.document for figure in page.masks if figure.panels}
    texts |= {
        "results.csv": csv_text(tables.results(scores if records == stored else frame(stored, asked.class_mix))),
        "summary.csv": csv_text(tables.summary(scores)) if found else None,
        "robustness.csv": csv_text(tables.robustness_rows(scores)) if corrupted else None,
        PAGE: with_own_names(render(page)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder)
    (folder / MADE).unlink(missing_ok=True)  # until all is written, this is no report
    for name, text in (texts | extras.files).items():
        if text is None:
            (folder / name).unlink(missing_ok=True)
        else:
            write_text(folder / name, text)
    figures = write_figures(page.drawings, folder)
    present = [name for name, text in (texts | extras.files).items() if text is not None]
    files = {name: file_hash(folder / name) for name in sorted([*present, *figures])}
    made = Made(baseline=asked.baseline, about=asked.about, records_key=records_key(stored), files=files)
    write_json(folder / MADE, made.model_dump())
    return folder / PAGE


def _commands(stored: Sequence[Record], name: str, asked: ReportRequest) -> list[str]:
    thumbnails, mix = asked.thumbnails, asked.class_mix
    return commands(stored, name, asked.baseline, about=asked.about, thumbnails=thumbnails, class_mix=mix)


def made_before(folder: Path) -> Made | None:
    """What the report in `folder` was made of; None where there is none, or a file of it is gone, cut or changed."""
    try:
        made = Made.model_validate_json((folder / MADE).read_bytes())
        whole = all(file_hash(folder / name) == expected for name, expected in made.files.items())
    except (OSError, ValueError):
        return None
    return made if whole else None


def records_key(records: Iterable[Record]) -> str:
    """One key for all that records say, in whatever order."""
    return key_of({"records": sorted(record.model_dump_json() for record in records)})


def _check_distinct(records: Sequence[Record]) -> None:
    runs: dict[tuple[str, int, str, str], str] = {}
    for record in records:
        cell = (record.method_key, record.seed, record.target_label, record.selection)
        if cell in runs:
            raise UsageError(
                f"{runs[cell]} and {record.run} both hold the same method's and seed's score on {record.target_label} "
                f"({record.selection}). Name the runs to compare: fercache compare RUN ..."
            )
        runs[cell] = record.run


def environment() -> Environment:
    """Of the page's templates."""
    return Environment(
        loader=PackageLoader("fercache.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(page: Page) -> str:
    """The page's HTML."""
    records, boards = page.records, page.boards
    return (
        environment()
        .get_template("page.html")
        .render(
            name=page.name,
            about=page.about,
            sources=_few(record.source for record in records),
            targets=_few(record.target for record in records),
            records=len({(r.run, r.target_label, r.selection) for r in records}),
            boards=boards,
            robustness=page.robustness,
            masks=page.masks,
            extras=page.extras,
            choices=_choices(boards),
            figures=bool(page.drawings),
            kinds={kind: KINDS[kind] for kind in KINDS if any(kind in v.table.severities for v in page.robustness)},
            samples=_samples(records),
            keys=sorted({key for record in records for key in _keys(record)}),
            runs=sorted({(record.run, record.keys.get("run", "")) for record in records}),
            versions=sorted({f"{name} {version}" for record in records for name, version in record.versions.items()}),
            commands=page.commands,
            selections=SELECTIONS,
            metrics=METRICS,
            metric_names=METRIC_NAMES,
            short_names=SHORT_NAMES,
            mix_notes=page.mix_notes,
            missing=MISSING,
            common=COMMON,
            unseen=UNSEEN,
            without_duplicates=WITHOUT_DUPLICATES,
            unique=any(record.without_duplicates for record in records),
            clean=CLEAN,
            mean=MEAN,
            drop=DROP,
            spans=tables.spans,
            worst=worst,
            fewest=FEWEST,
            fewest_faces=FEWEST_FACES,
        )
    )


def _few(names: Iterable[str]) -> list[str]:
    """Each once; of many the first, and how many more, so that a line stays one."""
    found = sorted(set(names))
    return found if len(found) <= FEW + 1 else [*found[:FEW], f"{len(found) - FEW} more"]


def _choices(boards: Sequence[BoardView]) -> dict[str, list[str]]:
    """What the headline can be filtered by, where there is something to choose; the policy shown first stands first."""
    methods = [row.method for view in boards for row in view.board.rows]
    policies = dict.fromkeys(view.board.policy for view in boards)
    policies |= {name: None for name in SELECTIONS if any(name in view.board.selections for view in boards)}
    choices = {
        "head": list(dict.fromkeys(method.head for method in methods)),
        "trunk": list(dict.fromkeys(method.trunk for method in methods)),
        "policy": list(policies),
    }
    return {name: options for name, options in choices.items() if len(options) > 1}


def _samples(records: Sequence[Record]) -> list[tuple[str, str, str, int, int, str]]:
    """Target, split, label policy, faces kept and left out, and why. Corrupted targets that agree share a line."""
    targets: dict[tuple[str, str, int, int, str], list[str]] = defaultdict(list)
    for record in records:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(record.dropped.items()))
        left_out = sum(record.dropped.values())
        targets[record.target_split, record.policy, record.kept, left_out, reasons].append(record.target)
    return sorted((name, *counts) for counts, names in targets.items() for name in collapsed(names))


def _keys(record: Record) -> Iterable[tuple[str, str, str]]:
    """What has a key, by kind and name; runs are listed apart."""
    yield "encoder", record.encoder, record.encoder_key
    names = {"source": record.source, "target": record.target}
    yield from ((kind, names.get(kind, ""), key) for kind, key in record.keys.items() if kind != "run")
