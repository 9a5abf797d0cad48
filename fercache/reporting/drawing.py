"""What all figures have in common: size, style, legend, and output formats.

On a page, text and lines take the page's colours and font, and the background is transparent, so one drawing serves
light and dark mode. Files have a white background.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO, StringIO
from itertools import count
from math import ceil, floor
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 340  # pixels: a phone shows it without shrinking
LINE = 17  # pixels, the height of a line of a legend
SERIES = (
    *("#3b74b9", "#c7792b", "#3f8f6b", "#8a63b3", "#b4495f", "#6f7780", "#2f93a3", "#99852b"),
    *("#b5598f", "#7a5a3c", "#5f7fd6", "#6a9a2f"),
)
"""Colours of the methods, mid-toned to be visible on white and on black."""

INK, FAINT = "#1d2125", "#dfe3e6"
"""Colours of text and of background lines in files; reserved, because the page replaces them by its own colours."""
_PAGE_COLOURS = {INK: "currentColor", FAINT: "var(--rule, #8884)"}
_PNG_DPI = 144  # twice the size of the SVG
_PLAIN = {"Date": None, "Creator": None, "Format": None, "Type": None}

STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "text.usetex": False,
    "svg.hashsalt": "fercache",
    "font.size": 12,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "image.composite_image": False,  # images keep their own resolution
}


@dataclass(frozen=True)
class Drawing:
    """A figure with a description in one sentence. Templates print it as an inline SVG element."""

    figure: Figure
    description: str
    source: str

    @property
    def svg(self) -> str:
        """An SVG element for a page, in the page's colours."""
        return inline(self.source, self.description)

    @property
    def document(self) -> str:
        """A standalone SVG file on white."""
        view, body = _trimmed(self.source)
        size = f'width="{WIDTH}" height="{self.figure.get_figheight() * 72:g}"'
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
            f'{view} {size} font-family="sans-serif"><title>{escape(self.description)}</title>\n'
            f'<rect width="100%" height="100%" fill="#fff"/>{body}'
        )

    @property
    def png(self) -> bytes:
        """A PNG on white, with twice the SVG's width in pixels."""
        stream = BytesIO()
        self.figure.savefig(stream, format="png", dpi=_PNG_DPI, facecolor="white", metadata={"Software": None})
        return stream.getvalue()

    def __html__(self) -> str:
        return self.svg


def drawing(figure: Figure, description: str) -> Drawing:
    """A drawing of the current state of `figure`; call it within the style that it was drawn in."""
    stream = StringIO()
    figure.savefig(stream, format="svg", metadata=_PLAIN)
    return Drawing(figure, description, stream.getvalue())


def inline(svg: str, description: str) -> str:
    """A standalone SVG document of matplotlib's as an element for a page."""
    view, body = _trimmed(svg)
    for of_files, of_page in _PAGE_COLOURS.items():
        body = body.replace(of_files, of_page)
    return f'<svg role="img" class="figure" {view}><title>{escape(description)}</title>{body}'


def with_own_names(page: str) -> str:
    """A page whose figures have parts of different names: matplotlib gives those of all figures the same."""
    places = count(1)
    figure = re.compile(r'<svg [^>]*class="figure".*?</svg>', re.DOTALL)
    return figure.sub(lambda found: _renamed(found[0], next(places)), page)


def _renamed(svg: str, place: int) -> str:
    names = set(re.findall(r' id="([\w.-]+)"', svg))
    own = rf'(id="|#)({"|".join(map(re.escape, names))})\b'
    return re.sub(own, rf"\g<0>-{place}", svg) if names else svg


def _trimmed(svg: str) -> tuple[str, str]:
    """The view box of matplotlib's document, and its content without unnecessary parts."""
    body = svg[svg.index("<svg") :]
    used = set(re.findall(r"#([\w.-]+)[\")]", body))
    body = re.sub(r' id="([\w.-]+)"', lambda match: match[0] if match[1] in used else "", body)
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*;?|<style.*?</style>", "", body, flags=re.DOTALL)
    # An image may have more columns than pixels on the screen: browsers should average them, not drop some.
    body = re.sub(r"image-rendering:[^;\"]*;?", "", body)
    body = re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda match: _rounded(match[0]), body)
    view = re.search(r'viewBox="[^"]*"', body)
    return view[0] if view else "", re.sub(r"\n\s*", "\n", body[body.index(">") + 1 :])


def _rounded(attribute: str) -> str:
    """Rounded to a hundredth of a pixel, which halves the size."""
    return re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), attribute)


def canvas(height: int) -> Figure:
    """A transparent figure, `height` pixels high."""
    return Figure(figsize=(WIDTH / 72, height / 72), dpi=72, facecolor="none")


def axes_within(figure: Figure, across: tuple[int, int], upright: tuple[int, int]) -> Axes:
    """Axes with margins in pixels: `across` (left, right) and `upright` (bottom, top)."""
    (left, right), (bottom, top) = across, upright
    height = figure.get_figheight() * 72
    box = (left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (bottom + top) / height)
    return figure.add_axes(box, facecolor="none")


def legend_height(names: Sequence[str]) -> int:
    """The height of `draw_legend` in pixels."""
    return LINE * sum(len(_lines(name)) for name in names) + 8


def draw_legend(figure: Figure, colour_of: Mapping[str, str], top: int = 0) -> None:
    """Draws one line per name, from `top` pixels below the figure's top; long names take several."""
    height = figure.get_figheight() * 72
    top += 4
    for name, colour in colour_of.items():
        for i, line in enumerate(_lines(name)):
            middle = 1 - (top + LINE / 2) / height
            if i == 0:
                figure.text(2 / WIDTH, middle, "■", color=colour, va="center_baseline")
            figure.text(18 / WIDTH, middle, line, va="center_baseline")
            top += LINE


def _lines(name: str) -> list[str]:
    return wrap(name, 50) or [""]


def colours(count: int) -> list[str]:
    """One colour per method, in the order of every figure."""
    return [SERIES[i % len(SERIES)] for i in range(count)]


def tens_around(values: Sequence[float], step: int = 10) -> tuple[int, int]:
    """The multiples of `step` below and above all values, within 0 to 100."""
    lowest, highest = step * floor(min(values) / step), step * ceil(max(values) / step)
    return max(lowest if lowest < highest else highest - step, 0), min(max(highest, step), 100)
