"""Click options made from the fields of a request, and output shared by several commands."""

import re
import shlex
import shutil
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import EnumType
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import annotated_types
import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from fercache.errors import UsageError, first_problem
from fercache.options import DEVICE, Options

if TYPE_CHECKING:
    from fercache.records import Record


def takes(model: type[Options]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates a command: it gets `request`, a `model` made from its options, besides its own options.

    Wrong values raise UsageError, which names the option.
    """
    fields = list(_fields(model))

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def call(**given: Any) -> None:
            values = {place: given.pop(parameter) for place, parameter, _ in fields if parameter in given}
            command(request=_request(model, values), **given)

        call.__doc__ = command.__doc__
        # click shows parameters in reverse: the command's own come after those of the model.
        call.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
        decorated: Callable[..., None] = call
        for _, parameter, field in reversed(fields):
            decorated = _click_option(parameter, field)(decorated)
        return decorated

    return decorate


def _fields(model: type[Options], place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, FieldInfo]]:
    """Every field, including nested models': its place, its click parameter, and the field. Inherited ones last."""
    own = [name for name in model.model_fields if name in model.__annotations__]
    for name in dict.fromkeys((*own, *model.model_fields)):
        field = model.model_fields[name]
        if isinstance(field.annotation, type) and issubclass(field.annotation, Options):
            yield from _fields(field.annotation, (*place, name))
        else:
            yield (*place, name), _extra(field, "flag").replace("-", "_") or name, field


def _extra(field: FieldInfo, name: str) -> Any:
    extra = field.json_schema_extra
    return extra.get(name, "") if isinstance(extra, dict) else ""


def _click_option(parameter: str, field: FieldInfo) -> Callable[[Callable[..., None]], Callable[..., None]]:
    kind, repeatable = _click_type(field)
    if _extra(field, "argument"):
        required = field.is_required()
        return click.argument(parameter, nargs=-1 if repeatable else 1, required=required, type=kind)
    flag = f"--{parameter.replace('_', '-')}"
    if field.annotation is bool:
        both = f"{flag}/--no-{flag.removeprefix('--')}"
        return click.option(
            both if field.default else flag, parameter, is_flag=True, default=field.default, help=field.description
        )
    shown = _extra(field, "shown") or not (repeatable or field.is_required() or field.default in (None, (), ""))
    return click.option(
        *([flag, f"{flag}s"] if _extra(field, "plural") else [flag]),
        parameter,
        default=None,
        multiple=repeatable,
        required=field.is_required(),
        type=kind,
        metavar=_extra(field, "metavar") or None,
        help=_help(field, shown),
    )


def _help(field: FieldInfo, shown: str | bool) -> str:
    default = f" [default: {field.default if shown is True else shown}]" if shown else ""
    return f"{field.description}{default}"


def _click_type(field: FieldInfo) -> tuple[Any, bool]:
    """The click type of a field, and whether its option is repeatable."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not types.NoneType]
    optional = get_origin(field.annotation) in (Union, types.UnionType)
    kind: Any = kinds[0] if optional else field.annotation
    limits = {type(each): each for each in field.metadata}
    reads_text = any(type(each).__name__ == "BeforeValidator" for each in field.metadata)
    if get_origin(kind) is tuple and not reads_text:
        return _scalar(get_args(kind)[0], limits), True
    if reads_text:  # the field's own validator parses the text
        return str, bool(_extra(field, "repeatable"))
    return _scalar(kind, limits), bool(_extra(field, "repeatable"))


def _scalar(kind: Any, limits: Mapping[Any, Any]) -> Any:
    least, most = limits.get(annotated_types.Ge), limits.get(annotated_types.Le)
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if isinstance(kind, EnumType):
        return click.Choice([str(member) for member in list[Any](kind)])
    if kind is Path:
        return click.Path(path_type=Path)
    if kind is int and (least or most):
        return click.IntRange(least.ge if least else None, most.le if most else None)
    return kind if kind in (int, float, str) else str


def _request(model: type[Options], values: Mapping[tuple[str, ...], Any]) -> Options:
    """The request; fields without a given option keep their default."""
    nested: dict[str, Any] = {}
    for place, value in values.items():
        if value not in (None, ()):
            inner = nested
            for name in place[:-1]:
                inner = inner.setdefault(name, {})
            inner[place[-1]] = value
    try:
        return model(**nested)
    except ValidationError as error:
        problem = first_problem(error)
        flags = {place: parameter for place, parameter, _ in _fields(model)}
        given = next((flags[place] for place in flags if place == problem.place[: len(place)]), problem.name)
        flag = given.replace("_", "-")
        raise UsageError(f"--{flag} {_typed(problem.given)}: {problem.message}.") from None


def _typed(given: Any) -> str:
    return " ".join(map(str, given)) if isinstance(given, tuple | list) else str(given)


def renamed(old: str, new: str, **more: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A hidden option `old` of earlier versions that sets `new`, with a note on standard error."""

    def note(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value not in (None, ()):
            click.echo(f"note: --{old} is now --{new}; the old name will be removed in the next release.", err=True)
            ctx.params[new.replace("-", "_")] = value

    return click.option(f"--{old}", hidden=True, expose_value=False, callback=note, **more)


def device_option(command: Callable[..., None]) -> Callable[..., None]:
    """`--device`, for commands whose request is not made of options alone."""
    return click.option("--device", default="auto", help=f"{DEVICE} [default: auto]")(command)


def next_command(command: str, **options: str | None) -> str:
    """The line with the next command, with those options that have a value."""
    given = [word for name, value in options.items() if value for word in (f"--{name}", value)]
    return f"next: {shlex.join(['fercache', command, *given])}"


def left_out(dropped: Mapping[str, int]) -> str:
    """The end of a sentence: how many faces were left out and why; empty if none."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(dropped.items()) if count)
    return f"; left out: {reasons}" if reasons else ""


def scores_text(accuracy: float, mean_class_recall: float, faces: int) -> str:
    """The scores (fractions) of a number of faces as one line shows them."""
    return f"accuracy {accuracy:.1%}, mean class recall {mean_class_recall:.1%}, {faces:,} faces"


def show_report(page: Path, records: Sequence["Record"], class_mix: Mapping[str, float] | None = None) -> None:
    """Prints the report's table and the paths of its files."""
    from fercache.records import frame
    from fercache.reporting.boards import mix_notes
    from fercache.reporting.leave_one_out import as_one_source
    from fercache.reporting.screen import BEST, screen_table

    scores, width = frame(as_one_source(records), class_mix), terminal_width()
    in_bold = re.compile(rf"{re.escape(BEST)}\d+\.\d")
    click.echo(in_bold.sub(lambda best: click.style(best[0], bold=True), screen_table(scores, width)))
    for note in mix_notes(scores, class_mix) if class_mix else []:
        echo_folded(note)
    files = ("results.csv", "summary.csv", "ranks.csv", "robustness.csv", "differences.csv", "table.md", "table.tex")
    there = [str(path) for file in files if (path := page.parent / file).is_file()]
    echo_folded(f"table: {', '.join(there)}")
    click.echo(f"page:  {page}")


def terminal_width() -> int:
    """Columns of the terminal; WIDTH where the output is no terminal."""
    from fercache.reporting.columns import WIDTH

    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH


def echo_folded(text: str, **style: Any) -> None:
    """Prints a text in lines as wide as the terminal, the indent of its first line before all, those after it more."""
    from fercache.reporting.columns import GAP, folded

    indent = " " * (len(text) - len(text.lstrip()))
    for line in folded(text, terminal_width(), indent + GAP):
        click.secho(line, **style)
