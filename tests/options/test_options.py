"""Options are defined once: names, limits and help texts of the command line follow from the fields."""

import importlib
from pathlib import Path
from typing import Annotated, Any

import click
import pytest
from click.testing import CliRunner
from pydantic import Field, ValidationError

from fercache.cli import COMMANDS, cli
from fercache.cli.options import renamed, takes
from fercache.errors import UsageError
from fercache.options import Options, option
from fercache.options.compare import CompareRequest
from fercache.options.extract import EncoderRequest, ExtractRequest
from fercache.options.predict import PredictRequest
from fercache.options.train import LearningOptions, TrainRequest
from fercache.policies import SelectionPolicy, VotePolicy


class Nested(Options):
    side: int = option(3, "Side.", ge=1)


class Sample(Options):
    names: tuple[str, ...] = option((), "Names.", flag="name")
    policies: tuple[SelectionPolicy, ...] = option((), "Policies.", flag="policy")
    votes: VotePolicy = option(VotePolicy.MAJORITY, "Votes.")
    count: Annotated[int, Field(le=9)] = option(4, "Count.", ge=2)
    folder: Path | None = option(None, "Folder.")
    fast: bool = option(False, "Fast.")
    safe: bool = option(True, "Safe.")
    nested: Nested = Nested()


def request_of(*words: str) -> Sample:
    found: list[Sample] = []

    @click.command()
    @takes(Sample)
    @renamed("many", "count", type=int)
    def command(request: Sample) -> None:
        found.append(request)

    result = CliRunner().invoke(command, list(words), standalone_mode=False)
    if result.exception:
        raise result.exception
    return found[0]


def test_without_options_a_request_is_the_default() -> None:
    assert request_of() == Sample()


def test_every_kind_of_field_is_an_option() -> None:
    words = "--name a --name b --policy last --votes soft --count 5 --folder x --fast --no-safe --side 7"
    assert request_of(*words.split()) == Sample(
        names=("a", "b"),
        policies=(SelectionPolicy.LAST,),
        votes=VotePolicy.SOFT,
        count=5,
        folder=Path("x"),
        fast=True,
        safe=False,
        nested=Nested(side=7),
    )


@pytest.mark.parametrize("words", ["--count 1", "--count 10", "--side 0", "--votes most", "--policy best", "--name"])
def test_limits_and_choices_hold_on_the_command_line(words: str) -> None:
    with pytest.raises(click.UsageError):
        request_of(*words.split())


def test_limits_and_unknown_names_hold_in_python() -> None:
    for wrong in ({"count": 1}, {"count": 10}, {"votes": "most"}, {"other": 1}):
        with pytest.raises(ValidationError):
            Sample(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Sample().but(count=1)


def test_an_option_of_an_earlier_version_works_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    assert request_of("--many", "6").count == 6


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text_that_is_a_sentence(name: str) -> None:
    plain = importlib.import_module(f"fercache.cli.{name.replace('-', '_')}").command
    commands = [plain, *plain.commands.values()] if isinstance(plain, click.Group) else [plain]
    for command in commands:
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                text = (parameter.help or "").partition(" [default")[0]
                assert text, f"{name} {parameter.opts}"
                assert text.endswith((".", "...", ")")), f"{name} {parameter.opts}: {text}"


def test_values_that_only_a_reader_can_refuse_name_their_option() -> None:
    for words, message in (
        (["train", "--seeds", "4-0"], "--seeds 4-0: write one seed"),
        (["train", "--set", "epochs"], "--set epochs: write NAME=VALUE"),
        (["compare", "--class-mix", "happiness=2"], "--class-mix happiness=2: .*share between 0 and 1"),
        (["compare", "--class-mix", "joie=1"], "'joie' is not an expression"),
    ):
        with pytest.raises(UsageError, match=message):
            cli.main(words, standalone_mode=False)


def test_seeds_settings_and_sources_are_read_alike_everywhere() -> None:
    assert TrainRequest(seeds="0-2,7", set=("learning-rate=1e-3",), source=("rafdb", "sfew")) == TrainRequest(  # type: ignore[arg-type]
        seeds=(0, 1, 2, 7), set={"learning_rate": "1e-3"}, source="rafdb & sfew"
    )
    assert CompareRequest(class_mix="happy=0.4,neutral=0.6").class_mix == {"happiness": 0.4, "neutral": 0.6}  # type: ignore[arg-type]


def test_the_key_has_what_no_other_part_of_it_covers() -> None:
    class More(LearningOptions):
        pass

    assert TrainRequest(faces=100, classes=8, votes="soft", keep_validation_copies=True).identity() == {}  # type: ignore[arg-type]
    field = option(0.0, "A new option.")
    LearningOptions.model_fields["smoothing"] = field
    try:
        changed: Any = TrainRequest()
        object.__setattr__(changed, "smoothing", 0.1)
        assert changed.identity() == {"smoothing": 0.1}
    finally:
        del LearningOptions.model_fields["smoothing"]


def test_sentences_of_an_earlier_version_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    old = PredictRequest(paths=(Path("x"),), prompts=("a smile", "a frown"))  # type: ignore[arg-type]
    assert (old.prompts, old.sentences) == (None, ("a smile", "a frown"))
    assert "--sentence" in capsys.readouterr().err
    assert PredictRequest(paths=(Path("x"),), prompts=("ke2nt",)).prompts == "ke2nt"  # type: ignore[arg-type]


def test_an_encoder_request_is_stored_and_read(tmp_path: Path) -> None:
    asked = EncoderRequest(name="timm/x", weights=tmp_path / "w.pt", device="cuda", precision="bf16")
    assert EncoderRequest.of(asked.stored(), device="cuda", precision="bf16") == asked
    assert ExtractRequest(encoder=asked).encoder.stored()["weights"] == str(tmp_path / "w.pt")
