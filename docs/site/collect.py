"""Collects the pages of the documentation site in build/pages, in the folders of the repository.

    python docs/site/collect.py

So a link means the same in a file and on the site, and the README is the first page without a copy of its text. Code
and experiments that a page links to become pages with numbered lines.
"""

import re
import shutil
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "build" / "pages"
WRITTEN = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "pipelines/README.md", "docs/*.md")
BESIDE = ("docs/images/*", "docs/site/*.js", "docs/site/*.css")
CODE = re.compile(r"\]\(([^)#:\s]+\.(py|toml))(#L\d+)?\)")
"""A link to a file of code, and to its line."""


def paths(patterns: tuple[str, ...]) -> list[Path]:
    """The files of the repository, from its root."""
    return sorted(path.relative_to(ROOT) for pattern in patterns for path in ROOT.glob(pattern))


def code_of(text: str, page: Path) -> set[Path]:
    """The files of code that a page links to. Those that do not exist are left to the generator, which reports them."""
    linked = {(ROOT / page.parent / found[1]).resolve() for found in CODE.finditer(text)}
    return {path.relative_to(ROOT) for path in linked if path.is_file()}


def with_links_to_pages(text: str) -> str:
    return CODE.sub(r"](\1.md\3)", text)


def as_page(path: Path) -> str:
    """Code with an anchor for each line, as HTML: the generator does not find the anchors of its own numbers."""
    code = (ROOT / path).read_text(encoding="utf-8")
    lines = highlight(code, get_lexer_for_filename(path.name, stripnl=False), HtmlFormatter(nowrap=True)).splitlines()
    numbered = (f'<span id="L{n}"><span data-linenos="{n:4} "></span>{line}</span>' for n, line in enumerate(lines, 1))
    title = f"---\nsearch: {{ exclude: true }}\n---\n\n# {path.as_posix()}\n\n"
    return title + '<div class="highlight"><pre><code>' + "\n".join(numbered) + "\n</code></pre></div>\n"


def collect() -> None:
    """Writes all pages; what an earlier call wrote is removed."""
    shutil.rmtree(PAGES, ignore_errors=True)
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in paths(WRITTEN)}
    pages = {page: with_links_to_pages(text) for page, text in texts.items()}
    for code in sorted(set().union(*(code_of(text, page) for page, text in texts.items()))):
        pages[code.with_name(f"{code.name}.md")] = as_page(code)
    for page, text in pages.items():
        (PAGES / page).parent.mkdir(parents=True, exist_ok=True)
        (PAGES / page).write_text(text, encoding="utf-8")
    for path in paths(BESIDE):
        (PAGES / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, PAGES / path)


if __name__ == "__main__":
    collect()
