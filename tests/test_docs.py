"""The documents point at lines of code that are there."""

import re
from pathlib import Path

import pytest

from fercache.records import Record

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\[`(\w+)`\]\(\.\./([\w/.]+)#L(\d+)\)")


def links() -> list[tuple[str, str, str]]:
    return LINK.findall((ROOT / "docs" / "methods.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "file", "line"), links())
def test_a_link_to_a_line_of_code_points_at_the_definition(name: str, file: str, line: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = next(number for number, code in enumerate(text, 1) if re.match(rf"(def|class) {name}\b", code))
    assert int(line) == found, f"docs/methods.md: {file}#L{found} is where {name} is"


def test_every_equation_has_a_link() -> None:
    assert len(links()) >= 15


def test_every_field_of_a_record_is_described() -> None:
    text = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    described = set(re.findall(r"`([\w ]+)`", text))
    assert {field.alias or name for name, field in Record.model_fields.items()} <= described
