"""Files that are wrong in a way of their own are read, or refused in our words: some of what `__main__` tries."""

import pytest

from tests.hostile import files
from tests.hostile.files import KINDS, wrong


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_read_or_refused_in_our_words(kind: str) -> None:
    assert list(wrong(kind, range(100, 160))) == []


def test_an_exception_that_is_not_ours_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "load_recipe", lambda text: {}["nothing"])
    assert any("KeyError" in line for line in wrong("recipes", range(3)))
