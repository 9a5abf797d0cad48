from pathlib import Path

import pytest

from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS
from fercache.prompts import BUILT_IN, prompt_set, set_label


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_sets_say_every_expression_differently(name: str) -> None:
    prompts = prompt_set(name)
    assert set(prompts) == set(EXPRESSIONS)
    sentences = [sentence for group in prompts.values() for sentence in group]
    assert len(sentences) == len(set(sentences))


def test_the_papers_sentences() -> None:
    prompts = prompt_set("ke2nt")
    assert prompts["surprise"] == ("a photo of a person making a surprise facial expression.",)
    assert prompts["anger"] == ("a photo of a person making an anger facial expression.",)
    assert prompts["contempt"] == ("a photo of a person making a contempt facial expression.",)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('happy = ["a smile", "a laugh"]\nangry = ["a scowl"]\n')
    assert prompt_set(str(file)) == {"happiness": ("a smile", "a laugh"), "anger": ("a scowl",)}
    assert set_label(str(file)) == "mine"


@pytest.mark.parametrize("text", ["happy = 3", "happy = []", "bored = ['x']", "happy = [", "", "happy = [1]"])
def test_files_of_another_form_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError):
        prompt_set(str(file))


def test_an_expression_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('happy = ["a smile"]\nhappiness = ["a laugh"]\n')
    with pytest.raises(UsageError, match=r"mine\.toml: 'happiness' is happiness, which occurs twice"):
        prompt_set(str(file))


def test_unknown_set_and_absent_file() -> None:
    with pytest.raises(UsageError, match="faces"):
        prompt_set("face")
    with pytest.raises(UsageError, match=r"absent\.toml"):
        prompt_set("absent.toml")
