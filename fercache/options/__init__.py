"""The options of every command: one model per command, one field per option.

The command line, the Python API, experiment files and stored configurations take names, types, limits and help texts
from these fields alone. Nothing here imports torch, so that `--help` is fast.
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from fercache.policies import VotePolicy

DEVICE = "Device to compute on: auto, cuda, mps or cpu."


class Options(BaseModel):
    """Base of all requests: immutable, keywords only, unknown names and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def but(self, **changes: Any) -> Self:
        """A copy with other values of some fields; what was left to its default stays so.

        Raises pydantic's ValidationError as the constructor does.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**given | changes)

    def part(self, model: "type[Options]") -> dict[str, Any]:
        """The values of the fields of another `model` that this one has as well, by name."""
        return {name: getattr(self, name) for name in model.model_fields}


def option(default: Any, text: str, *, flag: str = "", metavar: str = "", shown: str = "", **more: Any) -> Any:
    """A field with its help text.

    `flag` is its name on the command line if not the field's name; `argument=True` makes it a positional argument.
    `repeatable=True` is for a field that is not a tuple, but may be given several times: its validator joins them.
    `plural=True` also takes the flag with an s, for lists: `--target a --target b`, `--targets a,b`.
    `shown` is the default as shown in the help. `more` are limits (`ge`, `le`), and `in_key=False` if another part of a
    run's key covers the field.
    """
    extra: dict[str, Any] = {"flag": flag, "metavar": metavar, "shown": shown}
    extra |= {name: more.pop(name) for name in ("argument", "repeatable", "plural", "in_key") if name in more}
    return Field(default, description=text, json_schema_extra=extra, **more)


class EngineOptions(Options):
    """On how many machines a command computes."""

    engine: Literal["local", "ray"] = option("local", "Compute on this machine or on a Ray cluster.")
    address: str | None = option(
        None, "Address of the Ray cluster. [default: the cluster of this machine, else a new one]"
    )


def device_option() -> Any:
    """`device`, the same for every command."""
    return option("auto", DEVICE)


def encoder_option() -> Any:
    """`encoder`, for commands that read features."""
    return option(None, "Encoder whose features to use. [default: bundled, else the only one in the cache]")


def labels_option() -> Any:
    """`labels`, for commands that read labels."""
    return option(None, "Label file to use, for datasets with several (ferplus: fer2013new, folders).", in_key=False)


def votes_option(text: str) -> Any:
    """`votes`, for commands that read labels."""
    return option(VotePolicy.MAJORITY, text, in_key=False)
