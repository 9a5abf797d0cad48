"""Masks: how a head's channel masks differ between expressions, on its source and on the other targets."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fercache.records import MAIN, MaskRecord, Record, predictions_path
from fercache.reporting import figures
from fercache.reporting.boards import Board, is_without_duplicates
from fercache.reporting.drawing import Drawing
from fercache.reporting.export.figure_files import slug
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.table_rows import Method
from fercache.store.runs import read_predictions

SATURATED = 99
"""The percentile of the deviations that has full colour; the maximum would leave the others pale."""
LEAST = 0.01
"""The smallest deviation that may have full colour: masks that hardly differ must not look different."""


@dataclass(frozen=True)
class MaskFigure:
    """A method's masks under its first seed.

    `panels` are drawings, one per target with predictions; `document` is all of them in one SVG, for the file `file`.
    `tests` are by target label, including targets without a drawing.
    """

    file: str
    board: Board
    method: Method
    seed: int
    tests: dict[str, MaskRecord]
    panels: dict[str, Drawing]
    document: str

    @property
    def described(self) -> str:
        """The tests in numbers."""
        return "; ".join(f"{label} {_described(test)}" for label, test in self.tests.items())

    @property
    def shuffles(self) -> int:
        """The number of label shuffles per test."""
        return min(test.shuffles for test in self.tests.values())

    @property
    def not_drawn(self) -> str:
        """The targets with a test whose predictions are gone."""
        return ", ".join(label for label in self.tests if label not in self.panels)


def content(report: Report) -> Content | None:
    """Shown if records hold tests of masks."""
    found = mask_figures(report.records, report.boards, report.cache) if report.cache else []
    drawings = {
        slug(f"{Path(figure.file).stem}-{label}"): panel for figure in found for label, panel in figure.panels.items()
    }
    files = {figure.file: figure.document for figure in found if figure.panels}
    return Content({"masks": found}, drawings, files) if found else None


def mask_figures(records: Sequence[Record], boards: Sequence[Board], cache: Path) -> list[MaskFigure]:
    """One figure per method whose records hold tests of its masks; the masks are in the predictions in `cache`."""
    tested = [record for record in records if record.mask]
    methods = [(board, row.method) for board in boards for row in board.headline if row.method.readout == MAIN]
    found = [
        _draw(board, method, own, cache=cache)
        for board, method in methods
        if (own := [record for record in tested if _is_of(record, board, method)])
    ]
    names = Counter(figure.file for figure in found)
    return [
        figure if names[figure.file] == 1 else replace(figure, file=_file(figure.board, figure.method, unique=True))
        for figure in found
    ]


def _is_of(record: Record, board: Board, method: Method) -> bool:
    same = (record.encoder_key, record.source, record.method_key) == (board.encoder_key, board.source, method.key)
    shown = record.selection == board.policy and record.target_label in board.columns
    return same and shown and not is_without_duplicates(record.target_label)


def _file(board: Board, method: Method, unique: bool = False) -> str:
    key = f"-{board.encoder_key[:8]}-{method.key[:8]}" if unique else ""
    return f"masks-{slug(method.head)}-{slug(board.source)}{key}.svg"


def _draw(board: Board, method: Method, records: Sequence[Record], cache: Path) -> MaskFigure:
    seed = min(record.seed for record in records)
    of_label = {record.target_label: record for record in records if record.seed == seed}
    shown = {label: of_label[label] for label in board.columns if label in of_label}
    tests = {label: record.mask for label, record in shown.items() if record.mask}
    deviations = {label: each for label, record in shown.items() if (each := _deviation(record, cache)) is not None}
    panels = _panels(board, records[0].classes, tests=tests, deviations=deviations)
    about = f"Masks of {method}, seed {seed}, trained on {board.source} with encoder {board.encoder}."
    document = figures.side_by_side(list(panels.values()), about) if panels else ""
    return MaskFigure(
        file=_file(board, method), board=board, method=method, seed=seed, tests=tests, panels=panels, document=document
    )


def _deviation(record: Record, cache: Path) -> NDArray[np.float32] | None:
    """(L, D): each expression's mean mask minus the mean over the expressions; NaN for those without faces."""
    path = predictions_path(cache / "runs" / record.run, record)
    mean = read_predictions(path).mask_mean if path.is_file() else None
    return None if mean is None else mean - np.nanmean(mean, axis=0)


def _panels(
    board: Board,
    expressions: Sequence[str],
    tests: Mapping[str, MaskRecord],
    deviations: Mapping[str, NDArray[np.float32]],
) -> dict[str, Drawing]:
    """The drawings by target label, on one colour scale, so that they can be compared."""
    if not deviations:
        return {}
    limit = max(float(np.nanpercentile(np.abs(list(deviations.values())), SATURATED)), LEAST)
    drawn = {}
    for label, deviation in deviations.items():
        description = (
            f"On {label} ({board.kind(label)}), each expression's mean mask minus the mean over the expressions, in "
            f"{deviation.shape[1]} channels. Distance between expressions, with shuffled labels, and p: "
            f"{_described(tests[label])}."
        )
        title = f"{label}, {board.kind(label)}"
        drawn[label] = figures.mask_map(deviation, expressions, limit, title=title, description=description)
    return drawn


def _described(test: MaskRecord) -> str:
    return f"{test.distance:.2f} ({test.null:.2f}, p = {test.p:.3g})"


plugin = Section(
    title="Masks", template=beside(__file__), content=content, folded=True, files={"masks-*.svg": "drawings of masks"}
)
