"""The files of a page's figures, as SVG and PNG."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from fercache.reporting.boards import MethodTable
from fercache.reporting.drawing import Drawing
from fercache.store.atomic import write_bytes, write_text

Content = TypeVar("Content")


def figure_names(contents: Iterable[tuple[tuple[str, ...], Content]]) -> dict[str, Content]:
    """Figures, or other contents, by file name: the joined parts, with a number if two names would be the same."""
    named: dict[str, Content] = {}
    taken: Counter[str] = Counter()
    for parts, content in contents:
        name = "-".join(slug(part) for part in parts)
        taken[name] += 1
        named[name if taken[name] == 1 else f"{name}-{taken[name]}"] = content
    return named


def board_slugs(tables: Iterable[MethodTable]) -> dict[tuple[str, str], str]:
    """A name per encoder key and source: the source, preceded by the encoder if there are several."""
    names = {(table.encoder_key, table.source): table.encoder for table in tables}
    several = len({key for key, _ in names}) > 1
    return {(key, source): f"{encoder}-{source}" if several else source for (key, source), encoder in names.items()}


def slug(text: str) -> str:
    """`text` as a part of a file name."""
    return re.sub(r"[^\w.]+", "-", text).strip("-")


def write_figures(drawings: Mapping[str, Drawing], report: Path) -> list[str]:
    """Writes the drawings as SVG and PNG to `figures/`; returns their names. Removes an earlier report's figures."""
    folder = report / "figures"
    names = {f"{name}{suffix}" for name in drawings for suffix in (".svg", ".png")}
    for old in (*folder.glob("*.svg"), *folder.glob("*.png")):
        if old.name not in names:
            old.unlink()
    if not drawings:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        return []
    folder.mkdir(exist_ok=True)
    for name, drawing in drawings.items():
        write_text(folder / f"{name}.svg", drawing.document)
        write_bytes(folder / f"{name}.png", drawing.png)
    return [f"figures/{name}" for name in sorted(names)]
