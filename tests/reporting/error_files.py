"""Reads the files of errors as the page's script does."""

import json
from pathlib import Path
from typing import Any


def given(text: str) -> tuple[str, Any]:
    """The name and the data of a file beside the page."""
    body = text.removeprefix("fercache.give(").removesuffix(");\n")
    name, data = json.loads(f"[{body}]")
    return name, data


def error_data(report: Path) -> dict[str, Any]:
    """The data of every target of a report, by the target's label; with one source."""
    read = [given(path.read_text(encoding="utf-8"))[1] for path in sorted((report / "errors").glob("*.js"))]
    return {data["target"]: data for data in read}
