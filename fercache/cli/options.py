"""Options that several commands share."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fercache.errors import UsageError
from fercache.expressions import canonical
from fercache.identity import seed_range

if TYPE_CHECKING:
    from fercache.records import Record

Command = TypeVar("Command", bound=Callable[..., Any])


def encoder_options(command: Command) -> Command:
    """--encoder, --weights, --preprocessing, --device, --precision."""
    for option in reversed(
        (
            click.option(
                "--encoder", default="bundled", show_default=True, help="bundled, or open_clip's name, or timm/MODEL."
            ),
            click.option("--weights", type=click.Path(path_type=Path), help="A checkpoint file for that architecture."),
            click.option(
                "--preprocessing",
                type=click.Choice(["clip", "imagenet-224"]),
                default="clip",
                show_default=True,
                help="The model's own, or the papers' code's.",
            ),
            device_option,
            click.option(
                "--precision",
                type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
                default="auto",
                show_default=True,
                help="auto: the fastest that agrees with fp32.",
            ),
        )
    ):
        command = option(command)
    return command


def device_option(command: Command) -> Command:
    """--device."""
    return click.option("--device", default="auto", show_default=True, help="auto, cuda, mps or cpu.")(command)


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0-4`, `7`, `0,2,5` -> seeds. Raises UsageError for anything else, and for more than anybody trains."""
    try:
        seeds: list[int] = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            seeds += seed_range(int(first), int(last or first))
    except ValueError:
        seeds = []
    if not seeds:
        raise UsageError(f"--seeds {text}: write one seed (7), a range (0-4), or a list (0,2,5).")
    return tuple(dict.fromkeys(seeds))


def parse_settings(pairs: tuple[str, ...]) -> dict[str, str]:
    """`("learning_rate=1e-3",)` -> names and values. Raises UsageError for a pair without `=`."""
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"--set {pair}: write NAME=VALUE, e.g. --set learning_rate=1e-3.")
    return {name.strip().replace("-", "_"): value.strip() for name, _, value in (p.partition("=") for p in pairs)}


def parse_class_mix(text: str) -> dict[str, float]:
    """`happiness=0.4,neutral=0.6` -> shares by expression. Raises UsageError unless they add up to 1."""
    mix: dict[str, float] = {}
    for pair in text.split(","):
        name, _, share = pair.partition("=")
        expression = canonical(name)
        try:
            mix[expression] = float(share) if expression not in mix else -1
        except ValueError:
            mix[expression] = -1
        if not 0 <= mix[expression] <= 1:
            raise UsageError(
                f"--class-mix {pair.strip()}: write each expression once, with its share between 0 and 1, e.g. "
                "--class-mix happiness=0.4,neutral=0.6"
            )
    if abs(sum(mix.values()) - 1) > 0.005:
        raise UsageError(
            f"--class-mix {text}: shares must add up to 1, found {sum(mix.values()):.4g}. Expressions that are not "
            "named have none."
        )
    return mix


def next_command(command: str, **options: str | None) -> str:
    """The line that says what to type next, with those options that have a value."""
    given = [word for name, value in options.items() if value for word in (f"--{name}", value)]
    return f"next: {shlex.join(['fercache', command, *given])}"


def left_out(dropped: Mapping[str, int]) -> str:
    """The end of a sentence that says how many faces were left out and why, empty where none was."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(dropped.items()) if count)
    return f"; left out: {reasons}" if reasons else ""


def show_report(page: Path, records: Sequence["Record"], class_mix: Mapping[str, float] | None = None) -> None:
    """The report's table, and where its files are."""
    from fercache.records import frame
    from fercache.reporting.boards import mix_notes
    from fercache.reporting.leave_one_out import as_one_source
    from fercache.reporting.screen import screen_table

    scores = frame(as_one_source(records), class_mix)
    click.echo(screen_table(scores))
    for note in mix_notes(scores, class_mix) if class_mix else []:
        click.echo(note)
    files = ("results.csv", "summary.csv", "ranks.csv", "robustness.csv", "differences.csv", "table.md", "table.tex")
    there = [str(path) for file in files if (path := page.parent / file).is_file()]
    click.echo(f"table: {', '.join(there)}\npage:  {page}")
