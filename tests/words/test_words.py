"""One word for one thing, and none that a reader would stumble over."""

import re

import pytest

from tests.words import ROOT, messages

NEVER = ("told", "spoilt", "nobody", "anybody", "somebody", "whoever", "anew", "astray", "mend", "mended", "mends")
"""Words of an earlier style. A thing has one name: an image, a dataset, a corrupted file, a synthetic face."""
STORED = {
    f"fercache/encoders/bundled/{name}"
    for name in ("card.json", "card-1.json", "card-2.json", "card-general.json", "wordings.py", "scores.py")
}
"""Sentences that the bundled encoder was trained or is scored on."""


def readable() -> list[str]:
    paths = [*ROOT.glob("fercache/**/*"), *ROOT.glob("docs/*.md"), *ROOT.glob("pipelines/*"), *ROOT.glob("*.md")]
    kinds = {".py", ".html", ".js", ".md", ".toml", ".json"}
    return sorted({str(path.relative_to(ROOT)) for path in paths if path.suffix in kinds and path.is_file()} - STORED)


def test_messages_are_found() -> None:
    texts = [text for _, text in messages()]
    assert len(texts) > 300 and any("is not a setting of" in text for text in texts)


@pytest.mark.parametrize("word", NEVER)
def test_words_of_an_earlier_style_are_gone(word: str) -> None:
    pattern = re.compile(rf"(?<![\w-]){word}(?![\w-])", re.IGNORECASE)
    found = {file: pattern.findall((ROOT / file).read_text(encoding="utf-8")) for file in readable()}
    assert {file for file, there in found.items() if there} == set()


def test_messages_speak_of_images_and_datasets() -> None:
    wrong = re.compile(r"\bpictures?\b|\bdata sets?\b|\bdrawn faces\b", re.IGNORECASE)
    assert [(place, text) for place, text in messages() if wrong.search(text)] == []
