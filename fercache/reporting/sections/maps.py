"""Maps of faces before and after the head: which expressions the encoder separates, and which the head does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from fercache.expressions import EXPRESSIONS
from fercache.reporting.boards import Board
from fercache.reporting.drawing import FAINT, INK, LINE, STYLE, WIDTH, Drawing, axes_within, canvas, drawing
from fercache.reporting.export.figure_files import board_slugs, slug
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.sections._face_images import FaceFiles, face_files, script
from fercache.reporting.sections._map_faces import NEIGHBOURS, Layout, Placed, Sampled, report_places
from fercache.reporting.table_rows import Method
from fercache.runtime.progress import shortened

HUES = dict(
    zip(
        EXPRESSIONS,
        ("#3cc2dc", "#a022bb", "#0c8419", "#eea214", "#6d97f8", "#fb064d", "#7f7f7f", "#f28e9a"),
        strict=True,
    )
)
"""Distinct on white and on black, also for people with red-green colour blindness."""
SIZE, LEGEND_SIZE = 3.0, 7.0
"""Sizes of markers in pixels."""
OTHERS = 200
"""Faces of other domains behind those of a domain: enough to show where they are."""
MARGIN = 4


@dataclass(frozen=True)
class Map:
    """A drawing of N faces, `points` (N, 2) in its pixels, and a sentence on how similar neighbours are."""

    drawing: Drawing
    points: NDArray[np.float64]
    described: str


@dataclass(frozen=True)
class FeatureMap:
    """The maps of a board's leading method with its first seed, on `faces` faces of all its targets.

    `file` tells the page's script which faces they are.
    """

    board: Board
    method: Method
    seed: int
    faces: int
    file: str
    before: Map
    after: Map


def content(report: Report) -> Content | None:
    """Shown if the predictions of a leading method hold features."""
    placed = report.once(report_places)
    if not placed:
        return None
    slugs = board_slugs(each.board for each in placed)
    faces = report.once(face_files)
    found: list[FeatureMap] = []
    drawings: dict[str, Drawing] = {}
    files: dict[str, str] = {}
    for each in placed:
        name = slugs[each.board.encoder_key, each.board.source]
        drawn = drawn_map(each, f"maps/{slug(name)}.js")
        found.append(drawn)
        drawings |= {slug(f"map-before-{name}"): drawn.before.drawing, slug(f"map-after-{name}"): drawn.after.drawing}
        files[drawn.file] = map_file(drawn, each.sampled, faces)
    return Content({"maps": found}, drawings, files, gist="features before and after the head, a map per domain")


def drawn_map(placed: Placed, file: str) -> FeatureMap:
    """The maps before and after the head."""
    sampled = placed.sampled
    about = f"{placed.method}, trained on {placed.board.source}: t-SNE of {len(sampled.domain):,} faces"
    return FeatureMap(
        board=placed.board,
        method=placed.method,
        seed=placed.seed,
        faces=len(sampled.domain),
        file=file,
        before=draw_map(sampled, placed.before, f"{about} by their features before the head."),
        after=draw_map(sampled, placed.after, f"{about} by the head’s outputs."),
    )


def map_file(drawn: FeatureMap, sampled: Sampled, faces: FaceFiles) -> str:
    """The text of the map's file: the faces, and their places on both drawings."""
    places = [faces.places(target) for target in sampled.targets]
    ids = [str(id) for id in sampled.id]
    data = {
        "expressions": sampled.expressions,
        "domains": sampled.domains,
        "images": [faces.described(target) for target in sampled.targets],
        "id": ids,
        "domain": sampled.domain.tolist(),
        "truth": sampled.expression.tolist(),
        "predicted": sampled.predicted.tolist(),
        "image": [places[domain].get(id, -1) for id, domain in zip(ids, sampled.domain, strict=True)],
        "before": drawn.before.points.round(1).tolist(),
        "after": drawn.after.points.round(1).tolist(),
    }
    return script(drawn.file, data)


def draw_map(sampled: Sampled, layout: Layout, what: str) -> Map:
    """A small map for each domain, coloured by expression, before faces of the others. `what` begins the description.

    All have the same limits, so that equal places are equal features.
    """
    columns = min(2, len(sampled.domains))
    side = WIDTH // columns
    legend = LINE * ceil(len(sampled.expressions) / 4) + 2 * MARGIN
    height = legend + ceil(len(sampled.domains) / columns) * (LINE + side)
    points = np.zeros((len(sampled.domain), 2))
    described = _described(sampled, layout)
    with mpl.rc_context(STYLE):
        figure = canvas(height)
        _draw_legend(figure, sampled.expressions)
        for domain, name in enumerate(sampled.domains):
            row, column = divmod(domain, columns)
            left, top = column * side, legend + row * (LINE + side)
            figure.text((left + MARGIN) / WIDTH, 1 - (top + LINE / 2) / height, shortened(name), va="center_baseline")
            right, bottom = WIDTH - left - side, height - top - LINE - side
            axes = axes_within(figure, (left + MARGIN, right + MARGIN), (bottom + MARGIN, top + LINE + MARGIN))
            _draw_domain(axes, sampled, layout.places, domain=domain)
            here = sampled.domain == domain
            points[here] = axes.transData.transform(layout.places[here])
        drawn = drawing(figure, f"{what} {described}")
    points[:, 1] = height - points[:, 1]
    return Map(replace(drawn, source=_compact(drawn.source)), points, described)


def _draw_domain(axes: Axes, sampled: Sampled, places: NDArray[np.float32], *, domain: int) -> None:
    low, high = places.min(axis=0), places.max(axis=0)
    middle, reach = (low + high) / 2, 0.52 * float((high - low).max()) or 1.0
    axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
    axes.set_axis_off()
    others = np.flatnonzero(sampled.domain != domain)
    some = others[np.linspace(0, len(others) - 1, min(OTHERS, len(others))).astype(int)]
    axes.plot(*places[some].T, color=FAINT, **_marker(SIZE))
    for expression, name in enumerate(sampled.expressions):
        at = places[(sampled.domain == domain) & (sampled.expression == expression)]
        axes.plot(*at.T, color=HUES[name], alpha=0.8, **_marker(SIZE))


def _draw_legend(figure: Figure, expressions: Sequence[str]) -> None:
    """Expressions in four columns."""
    height = figure.get_figheight() * 72
    for i, name in enumerate(expressions):
        line, column = divmod(i, 4)
        left, middle = column * WIDTH / 4, 1 - (MARGIN + LINE * (line + 0.5)) / height
        figure.add_artist(Line2D([(left + 6) / WIDTH], [middle], color=HUES[name], **_marker(LEGEND_SIZE)))
        figure.text((left + 16) / WIDTH, middle, name, color=INK, va="center_baseline")


def _marker(size: float) -> dict[str, Any]:
    return {"linestyle": "none", "marker": "o", "markersize": size, "markeredgewidth": 0}


def _described(sampled: Sampled, layout: Layout) -> str:
    """How similar neighbours are, in numbers, for readers who cannot see the drawing."""
    alike = [f"{100 * _alike(labels, layout.neighbours):.0f} %" for labels in (sampled.expression, sampled.domain)]
    chance = [f"{100 * _by_chance(labels):.0f} %" for labels in (sampled.expression, sampled.domain)]
    return (
        f"Of a face’s {NEIGHBOURS} nearest neighbours, {alike[0]} show its expression (by chance {chance[0]}) and "
        f"{alike[1]} are of its domain (by chance {chance[1]})."
    )


def _alike(labels: NDArray[np.int64], neighbours: NDArray[np.int16]) -> float:
    return float((labels[neighbours] == labels[:, None]).mean())


def _by_chance(labels: NDArray[np.int64]) -> float:
    return float(((np.bincount(labels) / len(labels)) ** 2).sum())


_SERIES = re.compile(
    r'(?:<defs>\s*<path id="\w+"(?P<marker>[^>]*)/>\s*</defs>\s*)?'  # once for all maps
    r'<g[^>]*>(?P<faces>(?:\s*<use [^>]*/>)*?\s*<use xlink:href="#(?P<id>\w+)"[^>]*(?P<style>style="[^"]*")/>)\s*</g>'
)
_PLACE = re.compile(r'x="([\d.-]+)" y="([\d.-]+)"')


def _compact(svg: str) -> str:
    """Matplotlib's SVG with each series of faces as one path with markers, which is a tenth of the size."""
    return _SERIES.sub(_as_path, svg)


def _as_path(series: re.Match[str]) -> str:
    id, style = series["id"], series["style"]
    points = " ".join(f"{float(x):.1f} {float(y):.1f}" for x, y in _PLACE.findall(series["faces"]))
    everywhere = " ".join(f'marker-{place}="url(#{id})"' for place in ("start", "mid", "end"))
    path = f'<path d="M{points}" fill="none" {everywhere}/>'
    if series["marker"] is None:
        return path
    marker = f"<path{series['marker']} {style}/>"
    return f'<marker id="{id}" markerUnits="userSpaceOnUse" overflow="visible">{marker}</marker>{path}'


plugin = Section(
    title="Maps",
    heading="Maps of features",
    template=beside(__file__),
    content=content,
    folded=True,
    files={"maps/*.js": "the faces on the maps, for the page"},
)
