"""The documentation site: built without a dead link, and read from disk without a network."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.conftest import REPOSITORY
from tests.reporting.test_in_browser import CHROMIUM, QUIET

pytest.importorskip("mkdocs", reason="the documentation site is the extra docs")
pytestmark = pytest.mark.xdist_group("site")

LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(https?:[^"'\s>]*)|<link\b[^>]*\bhref=["']?(https?:[^"'\s>]*)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`make docs`, into another folder."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_MKDOCS_2_WARNING": "1"}
    built = ["-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    for command in (["docs/site/collect.py"], built):
        done = subprocess.run(
            [sys.executable, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_document_is_a_page_that_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert {f"docs/{page.stem}.html" for page in REPOSITORY.glob("docs/*.md")} <= pages.keys()
    assert {name: LOADED.findall(text) for name, text in pages.items() if LOADED.search(text)} == {}
    assert not any("http" in path.read_text(encoding="utf-8") for path in site.rglob("site.css"))
    assert "Does a facial expression model still work" in pages["index.html"]
    assert (
        'id="L1"' in pages["fercache/losses.py.html"]
        and 'href="../fercache/losses.py.html#L' in pages["docs/methods.html"]
    )


def test_the_api_page_has_texts_and_defaults_of_options(site: Path) -> None:
    text = (site / "docs/api.html").read_text(encoding="utf-8")
    request = text.partition('id="fercache.options.extract.ExtractRequest"')[2].partition('EncoderRequest"')[0]
    assert "Dataset to encode" in request and "[default: synthetic, all domains]" in request and "Path" in request


def test_the_search_knows_all_pages_but_code(site: Path) -> None:
    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {"index.html", "docs/faces.html", "docs/api.html", "CONTRIBUTING.html"} <= found
    assert not any(".py" in name for name in found)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH or in FERCACHE_CHROMIUM")
def test_a_reader_searches_from_disk(site: Path) -> None:
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.on("request", lambda request: requests.append(request.url))
        page.goto((site / "docs/methods.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.keyboard.press("f")
        page.keyboard.type("alignment")
        page.locator(".md-search-result__item").first.wait_for()
        browser.close()
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}
