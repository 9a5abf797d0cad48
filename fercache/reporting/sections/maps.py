"""Maps of faces before and after the head: which expressions the encoder separates, and which the head does.

A map is a t-SNE, which takes seconds: positions are kept in `cache/maps/`, by a key of everything that affects them.
"""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from textwrap import shorten
from typing import Any
from zipfile import BadZipFile

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from fercache.errors import FercacheError
from fercache.expressions import EXPRESSIONS
from fercache.identity import key_of, seed_from
from fercache.records import MAIN, Record, predictions_path
from fercache.reporting.boards import Board
from fercache.reporting.drawing import INK, LINE, STYLE, WIDTH, Drawing, axes_within, canvas, drawing
from fercache.reporting.export.figure_files import board_slugs, slug
from fercache.reporting.report import Report
from fercache.reporting.sections import Content, Section, beside
from fercache.reporting.sections._leader import leader
from fercache.reporting.table_rows import Method
from fercache.runtime.progress import progress
from fercache.store.atomic import replacing
from fercache.store.runs import read_predictions

MOST = 1500
"""The largest number of faces on a map, shared evenly by the targets: still legible, and placed in ten seconds."""
LEAST = 50
"""The smallest number of faces for a map."""
COMPONENTS, PERPLEXITY, SEED = 50, 30, 0
NEIGHBOURS = 10
VERSION = 1
"""Version of the placement; another one recreates all maps."""

HUES = dict(
    zip(
        EXPRESSIONS,
        ("#3cc2dc", "#a022bb", "#0c8419", "#eea214", "#6d97f8", "#fb064d", "#7f7f7f", "#f28e9a"),
        strict=True,
    )
)
"""Distinct on white and on black, also for people with red-green colour blindness."""
MARKERS = "o^sDvXP*<>pd"
"""One per domain; from the thirteenth on they repeat, larger."""
SIZE, LEGEND_SIZE = 3.4, 7.0
"""Sizes of markers in pixels."""
SQUARE = MARKERS.index("s")
SHORT = 20  # letters of a domain's name that leave room for another one beside it


_DAMAGED = (OSError, ValueError, KeyError, EOFError, BadZipFile)
"""Errors of reading a missing or damaged map."""


@dataclass(frozen=True)
class Sampled:
    """N faces of several domains, before and after the head: `expression` and `domain` (N,) index their names."""

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    expression: NDArray[np.int64]
    domain: NDArray[np.int64]
    expressions: tuple[str, ...]
    domains: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """The places of N faces, (N, 2), and the rows of their nearest neighbours before placement, (N, K)."""

    places: NDArray[np.float32]
    neighbours: NDArray[np.int16]


@dataclass(frozen=True)
class Map:
    """A drawing of faces, and a sentence on how similar neighbours are."""

    drawing: Drawing
    described: str


@dataclass(frozen=True)
class FeatureMap:
    """The maps of a board's leading method with its first seed, on `faces` faces of all its targets."""

    board: Board
    method: Method
    seed: int
    faces: int
    before: Map
    after: Map


def content(report: Report) -> Content | None:
    """Shown if the predictions of a leading method hold features."""
    found = feature_maps(report.records, report.boards, report.cache) if report.cache else []
    slugs = board_slugs(each.board for each in found)
    drawings = {
        slug(f"map-{side}-{slugs[each.board.encoder_key, each.board.source]}"): placed.drawing
        for each in found
        for side, placed in (("before", each.before), ("after", each.after))
    }
    return Content({"maps": found}, drawings) if found else None


def feature_maps(records: Sequence[Record], boards: Sequence[Board], cache: Path) -> list[FeatureMap]:
    """One pair of maps per board whose leading method has features in its predictions."""
    with progress("maps of features", len(boards), "board") as bar:
        found = []
        for board in boards:
            found.append(_map_of(board, records, cache))
            bar.update()
    return [each for each in found if each]


def _map_of(board: Board, records: Sequence[Record], cache: Path) -> FeatureMap | None:
    leading = leader(board, records)
    if leading is None:
        return None
    every = [record for some in leading.records.values() for record in some]
    seed = min(record.seed for record in every)
    sampled = sample([record for record in every if record.seed == seed], cache)
    if sampled is None:
        return None
    before, after = draw_maps(sampled, f"{leading.method}, trained on {board.source}", cache)
    return FeatureMap(board, leading.method, seed, faces=len(sampled.domain), before=before, after=after)


def sample(records: Sequence[Record], cache: Path) -> Sampled | None:
    """Faces of one run's targets, sampled evenly with a fixed seed; None if they are too few, or all the same."""
    predicted = {record.target_label: path for record in records if (path := _path(record, cache)).is_file()}
    # In an order that does not depend on the source, so that boards of one encoder share the map before the head.
    read = {label: read_predictions(path) for label, path in sorted(predicted.items())}
    read = {label: predictions for label, predictions in read.items() if predictions.features.size}
    rows = {label: _chosen(each.truth[each.sample], MOST // len(read), label) for label, each in read.items()}
    if sum(map(len, rows.values())) < LEAST:
        return None
    of_label = [(each, rows[label]) for label, each in read.items()]
    sampled = Sampled(
        before=np.concatenate([each.features[chosen] for each, chosen in of_label]).astype(np.float32),
        after=np.concatenate([each.logits[MAIN][each.sample[chosen]] for each, chosen in of_label]),
        expression=np.concatenate([each.truth[each.sample[chosen]] for each, chosen in of_label]),
        domain=np.repeat(np.arange(len(read)), [len(chosen) for _, chosen in of_label]),
        expressions=of_label[0][0].expressions,
        domains=tuple(read),
    )
    return sampled if _differ(sampled.before) and _differ(sampled.after) else None


def _differ(vectors: NDArray[np.float32]) -> bool:
    """Whether the vectors are finite and differ; scikit-learn crashes otherwise."""
    return bool(np.isfinite(vectors).all() and np.ptp(vectors, axis=0).any())


def _path(record: Record, cache: Path) -> Path:
    return predictions_path(cache / "runs" / record.run, record)


def _chosen(truth: NDArray[np.int64], count: int, label: str) -> NDArray[np.int64]:
    """`count` rows, or all if there are fewer, stratified by expression."""
    shuffled = np.random.default_rng(seed_from("map", label)).permutation(len(truth))
    grouped = shuffled[np.argsort(truth[shuffled], kind="stable")]
    evenly = np.linspace(0, len(truth) - 1, min(count, len(truth))).round().astype(np.int64)
    return np.sort(grouped[evenly])


def draw_maps(sampled: Sampled, method: str, cache: Path) -> tuple[Map, Map]:
    """The maps before and after the head of `method`."""
    spread = sampled.after.std(axis=0)
    standardised = (sampled.after - sampled.after.mean(axis=0)) / np.where(spread > 0, spread, 1)
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(partial(place, cache=cache), (sampled.before, standardised))
    about = f"{method}: t-SNE of {len(sampled.domain):,} faces"
    return (
        draw_map(sampled, before, f"{about} by their features before the head."),
        draw_map(sampled, after, f"{about} by the head’s outputs."),
    )


def place(vectors: NDArray[np.float32], cache: Path) -> Layout:
    """The t-SNE of vectors (N, D), computed once and kept in `cache`."""
    what = {
        "vectors": sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest(),
        "shape": list(vectors.shape),
        "settings": [COMPONENTS, PERPLEXITY, SEED, NEIGHBOURS, VERSION],
    }
    path = cache / "maps" / f"{key_of(what)[:16]}.npz"
    with suppress(*_DAMAGED), np.load(path) as kept:
        return Layout(kept["places"], kept["neighbours"])
    layout = _place(vectors)
    with suppress(FercacheError), replacing(path) as temporary, temporary.open("wb") as stream:
        # If it cannot be written, the map is computed again next time.
        np.savez(stream, places=layout.places, neighbours=layout.neighbours)
    return layout


def _place(vectors: NDArray[np.float32]) -> Layout:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # more threads are hardly faster, and many times slower on a busy machine
        if vectors.shape[1] > COMPONENTS:
            vectors = PCA(min(COMPONENTS, len(vectors)), random_state=SEED).fit_transform(vectors)
        perplexity = min(PERPLEXITY, (len(vectors) - 1) // 3)
        places = TSNE(init="pca", perplexity=perplexity, random_state=SEED).fit_transform(vectors)
        neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(vectors).kneighbors(return_distance=False)
    return Layout(places.astype(np.float32), neighbours.astype(np.int16))


def draw_map(sampled: Sampled, layout: Layout, what: str) -> Map:
    """The faces, coloured by expression, with a marker per domain. The description begins with `what`."""
    described = _described(sampled, layout)
    with mpl.rc_context(STYLE):
        legend = _legend(sampled)
        height = LINE * (1 + max(entry.line for entry in legend)) + 12
        figure = canvas(WIDTH + height)
        for entry in legend:
            _draw_entry(figure, entry)
        axes = axes_within(figure, (4, 4), (4, height))
        axes.set_axis_off()
        axes.set_aspect("equal", adjustable="datalim")
        for domain in range(len(sampled.domains)):
            for expression, name in enumerate(sampled.expressions):
                at = layout.places[(sampled.domain == domain) & (sampled.expression == expression)]
                axes.plot(*at.T, color=HUES[name], alpha=0.75, **_marker(domain, SIZE))
        drawn = drawing(figure, f"{what} {described}")
    return Map(replace(drawn, source=_compact(drawn.source)), described)


@dataclass(frozen=True)
class _Entry:
    """An entry of the legend, `left` pixels from the left edge."""

    left: float
    line: int
    text: str
    colour: str
    marker: Mapping[str, Any]


def _legend(sampled: Sampled) -> list[_Entry]:
    """Expressions in four columns; below them domains, in two columns if all names are short."""
    expressions = [
        _Entry(column * WIDTH / 4, line, name, colour=HUES[name], marker=_marker(SQUARE, LEGEND_SIZE))
        for i, name in enumerate(sampled.expressions)
        for line, column in [divmod(i, 4)]
    ]
    first = expressions[-1].line + 1
    columns = 2 if max(map(len, sampled.domains)) <= SHORT else 1
    domains = [
        _Entry(column * WIDTH / 2, first + line, text, colour=INK, marker=_marker(i, LEGEND_SIZE))
        for i, name in enumerate(sampled.domains)
        for text in [shorten(name, 48, placeholder=" …")]
        for line, column in [divmod(i, columns)]
    ]
    return expressions + domains


def _draw_entry(figure: Figure, entry: _Entry) -> None:
    middle = 1 - (4 + LINE * (entry.line + 0.5)) / (figure.get_figheight() * 72)
    at = ([(entry.left + 6) / WIDTH], [middle])
    figure.add_artist(Line2D(*at, color=entry.colour, **entry.marker))
    figure.text((entry.left + 16) / WIDTH, middle, entry.text, va="center_baseline")


def _marker(domain: int, size: float) -> dict[str, Any]:
    """The matplotlib style for the faces of a domain."""
    larger, place = divmod(domain, len(MARKERS))
    return {"linestyle": "none", "marker": MARKERS[place], "markersize": size * (1 + larger / 2), "markeredgewidth": 0}


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
    r'<defs>\s*<path id="(\w+)"([^>]*)/>\s*</defs>\s*'
    r'<g[^>]*>((?:\s*<use [^>]*/>)*?\s*<use [^>]*(style="[^"]*")/>)\s*</g>'
)
_PLACE = re.compile(r'x="([\d.-]+)" y="([\d.-]+)"')


def _compact(svg: str) -> str:
    """Matplotlib's SVG with each series of faces as one path with markers, which is a tenth of the size."""
    return _SERIES.sub(_as_path, svg)


def _as_path(series: re.Match[str]) -> str:
    id, marker, faces, style = series.groups()
    points = " ".join(f"{float(x):.1f} {float(y):.1f}" for x, y in _PLACE.findall(faces))
    everywhere = " ".join(f'marker-{place}="url(#{id})"' for place in ("start", "mid", "end"))
    return (
        f'<marker id="{id}" markerUnits="userSpaceOnUse" overflow="visible"><path{marker} {style}/></marker>'
        f'<path d="M{points}" fill="none" {everywhere}/>'
    )


plugin = Section(title="Maps", heading="Maps of features", template=beside(__file__), content=content)
