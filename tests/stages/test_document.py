"""docs/datasets.md matches the code."""

import pytest

from fercache import registry
from fercache.expressions import EXPRESSIONS
from fercache.images.corruptions import KINDS
from fercache.stages.document import datasets_document
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "datasets.md"


def test_the_page_matches_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == datasets_document(), (
        f"{PAGE} does not match the code. Run: fercache datasets --markdown > docs/datasets.md"
    )


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_every_dataset_is_described(name: str) -> None:
    dataset = registry.load("datasets", name)
    _, _, rest = datasets_document().partition(f"\n## {name}\n")
    section, _, _ = rest.partition("\n## ")
    for fact in (dataset.layout, dataset.licence, dataset.homepage, dataset.citation):
        assert fact in section
    scored = f"`{dataset.target_split}`" if dataset.target_split else "all faces"
    assert f"**Scored on:** {scored}" in section
    for domain in dataset.domains or ():
        assert f"`{name}:{domain}`" in section
    for split, counts in dataset.expected(None, (dataset.domains or ("",))[0]).items():
        assert (split or "whole dataset") in section
        assert all(f"{count:,}" in section for count in counts.values())


def test_expressions_and_corruptions_are_all_there() -> None:
    page = datasets_document()
    assert all(f"| {name} | " in page for name in (*EXPRESSIONS, *KINDS))


def test_tables_are_tables() -> None:
    """Every line of a table has as many cells as its header."""
    width = 0
    for line in datasets_document().splitlines():
        cells = line.count("|") if line.startswith("|") else 0
        assert not (width and cells) or cells == width, line
        width = cells
