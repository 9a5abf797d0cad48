"""What all figures have in common: size, style, legend, and output formats.

On a page, text and lines take the page's colours and font, and the background is transparent, so one drawing serves
light and dark mode. Files have a white background.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO, StringIO
from itertools import count, groupby
from math import ceil, dist, floor
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
    body = re.sub(r' transform="rotate\(-0 [^"]*"', "", body)
    body = _CIRCLE.sub(_circle, body)
    body = re.sub(r' (d|x|y|transform|cx|cy|r)="([^"]*)"', _shortened, body)
    view = re.search(r'viewBox="[^"]*"', body)
    plain = re.sub(r"\n\s*", "\n", _without_groups(body[body.index(">") + 1 :]))
    return view[0] if view else "", _styled_once(_joined(plain))


def _shortened(attribute: re.Match[str]) -> str:
    """Rounded to a tenth of a pixel and on one line: less than half the size."""
    name, value = attribute[1], " ".join(attribute[2].split())
    value = re.sub(r"-?\d+\.\d{2,}", lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), value)
    return f' {name}="{value}"'


_CIRCLE = re.compile(r'<path d="M ([-\d.\s]+)((?:C [-\d.\s]+){8})z\s*"')
"""A path as matplotlib draws a dot of its own size: eight curves, each from one point to the next."""


def _circle(path: re.Match[str]) -> str:
    """The start of a `circle` in place of such a path, or the path if it is another shape."""
    start = [float(each) for each in path[1].split()]
    ends = [[float(each) for each in curve.split()[-2:]] for curve in path[2].split("C")[1:]]
    x, y = ((start[i] + ends[3][i]) / 2 for i in (0, 1))
    radius = dist(start, ends[3]) / 2
    if any(abs(dist((x, y), end) - radius) > 0.01 for end in ends):
        return path[0]
    return f'<circle cx="{x}" cy="{y}" r="{radius}"'


def _without_groups(body: str) -> str:
    """Without the groups that have no attribute, which change nothing."""
    kept, is_plain = [], []
    for part in re.split(r"(<g\b[^>]*>|</g>)", body):
        if part.startswith("<g") and not part.endswith("/>"):
            is_plain.append(part == "<g>")
        dropped = part in ("<g>", "<g/>") or (part == "</g>" and is_plain.pop())
        kept += [] if dropped else [part]
    return "".join(kept)


def _joined(body: str) -> str:
    """With neighbouring groups of equal attributes in one; matplotlib draws every dot in a group of its own."""
    found: list[str] = []
    opened: list[str] = []
    closed = ""
    for line in body.split("\n"):
        again = line.startswith("<g ") and line == closed and found[-1] == "</g>"
        if line.startswith("<g "):
            opened.append(line)
        elif line == "</g>":
            closed = opened.pop()
        if again:
            found.pop()
        else:
            found.append(line)
    return "\n".join(found)


_STYLED = re.compile(r'<(?:path|circle|use) [^>]*?((?: clip-path="[^"]*")? style="[^"]*")/>')


def _styled_once(body: str) -> str:
    """With a group around neighbours of one style, which states it once."""
    found: list[str] = []
    for style, lines in groupby(body.split("\n"), lambda line: (styled := _STYLED.fullmatch(line)) and styled[1]):
        alike = list(lines)
        if style and len(alike) > 2:
            found += [f"<g{style}>", *(line.replace(f"{style}/>", "/>") for line in alike), "</g>"]
        else:
            found += alike
    return "\n".join(found)


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
