"""The documents point at pages, sections and lines of code that are there, and name all that is public."""

import importlib
import re
from pathlib import Path

import pytest

import fercache
from fercache import contracts
from fercache.records import Record

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("tests/*/*.md")])
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
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


def anchors(page: Path) -> set[str]:
    """As GitHub and the site name them."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_only_to_what_is_there(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize(
    ("page", "modules"),
    [
        ("api.md", {name: f"fercache.{module}" for name, module in fercache.HOME.items()}),
        ("plugin_contracts.md", dict.fromkeys(contracts.__all__, "fercache.contracts")),
    ],
)
def test_the_api_pages_have_all_public_names(page: str, modules: dict[str, str]) -> None:
    listed = re.findall(r"^::: (\S+)\.(\w+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert {f"{module}.{name}" for name, module in modules.items()} <= {".".join(each) for each in listed}
    for module, name in listed:
        assert getattr(importlib.import_module(module), name).__doc__, f"docs/{page}: {module}.{name}"
