"""Prompts that an encoder does not read as written are reported before they are used."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.encoders import TextEncoder
from fercache.encoders.bundled import Bundled
from fercache.errors import UsageError
from fercache.options.extract import EncoderRequest
from fercache.prompts import BUILT_IN, Prompts, prompt_set, prompts_to_choose_from
from fercache.stages import embed_prompts as prompt_checks

LONG = "a person who looks happy and stands in a dark room with a very bright light " * 12


@pytest.fixture(scope="module")
def bundled() -> TextEncoder:
    return Bundled.load(EncoderRequest(device="cpu"))


def check_prompts(encoder: TextEncoder, prompts: Prompts) -> None:
    prompt_checks.check_prompts(encoder, prompts, prompt_checks.embed(encoder, prompts))


def by_name(*sentences: str) -> dict[str, tuple[str, ...]]:
    return {sentence: (sentence,) for sentence in sentences}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_prompts_are_read_whole(
    bundled: TextEncoder, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check_prompts(bundled, prompt_set(name))
    assert capsys.readouterr().err == ""


def test_prompts_that_differ_after_the_end_are_refused_with_the_word_that_was_cut(bundled: TextEncoder) -> None:
    with pytest.raises(UsageError, match=r"cannot tell .* apart.* too long for bundled: cut at '\w+.*smiles'"):
        check_prompts(bundled, by_name(LONG + "smiles", LONG + "cries"))


def test_a_prompt_that_is_cut_is_warned_of(bundled: TextEncoder, capsys: pytest.CaptureFixture[str]) -> None:
    check_prompts(bundled, by_name("a happy face", "sad " + LONG))
    assert "is too long for bundled: cut at '" in capsys.readouterr().err


@given(words=st.integers(1, 60))
@settings(max_examples=20, deadline=None)
def test_what_is_read_and_what_is_cut_are_the_whole_text(bundled: TextEncoder, words: int) -> None:
    text = " ".join(LONG.split()[:words])
    cut = bundled.cut_from(text)
    assert text.endswith(cut)
    read = text.removesuffix(cut).strip()
    assert (bundled.encode_texts([read]) == bundled.encode_texts([text])).all()
    assert bundled.cut_from(read) == ""


@pytest.mark.parametrize(
    ("sentence", "unknown"),
    [("un visage triste", "un, visage, triste"), ("笑顔", "笑顔"), ("a happy xyzzy", "xyzzy"), ("a happy face", "")],
)
def test_words_that_the_encoder_never_met_are_named(
    bundled: TextEncoder, sentence: str, unknown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check_prompts(bundled, by_name(sentence, "a sad face"))
    assert (f"bundled does not know {unknown}." if unknown else "") in capsys.readouterr().err


def test_prompts_of_unknown_words_alone_are_alike(bundled: TextEncoder) -> None:
    with pytest.raises(UsageError, match="bundled cannot tell 'A happy face' and 'a  HAPPY face' apart"):
        check_prompts(bundled, by_name("A happy face", "a  HAPPY face"))


@pytest.mark.parametrize("sentences", [("a smile",), ("a smile", "a smile")])
def test_one_prompt_would_always_be_certain(
    sentences: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('happy = ["a smile"]\n')
    with pytest.raises(UsageError, match=r"alone would always be 100 %"):
        prompts_to_choose_from(None, sentences)
    with pytest.raises(UsageError, match="'happiness' alone would always be 100 %"):
        prompts_to_choose_from("mine.toml", ())
    with pytest.raises(UsageError, match="give a prompt set or sentences, not both"):
        prompts_to_choose_from("mine.toml", sentences)


def test_a_path_that_exists_is_a_prompt_file(tmp_path: Path) -> None:
    path = tmp_path / "prompts"
    path.write_text('happy = ["a smile"]\nsad = ["tears"]\n')
    assert prompts_to_choose_from(str(path), ()) == {"happiness": ("a smile",), "sadness": ("tears",)}
    path.write_text('happy = ["a smile"]\nsad = [" "]\n')
    with pytest.raises(UsageError, match="'sad' is not a list of sentences"):
        prompts_to_choose_from(str(path), ())
