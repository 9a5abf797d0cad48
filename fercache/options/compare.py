"""Options of `fercache compare`."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from fercache.errors import UsageError
from fercache.expressions import canonical
from fercache.options import Options, option
from fercache.policies import SelectionPolicy


def _read_class_mix(given: Any) -> Any:
    """`happiness=0.4,neutral=0.6` -> shares by expression."""
    if not isinstance(given, str):
        return given
    mix: dict[str, float] = {}
    for pair in given.split(","):
        name, _, share = pair.partition("=")
        try:
            expression = canonical(name)
            mix[expression] = float(share) if expression not in mix else -1
        except UsageError as error:
            raise ValueError(str(error)) from None
        except ValueError:
            mix[expression] = -1
        if not 0 <= mix[expression] <= 1:
            raise ValueError(
                f"{pair.strip()}: write each expression once, with its share between 0 and 1, "
                "e.g. happiness=0.4,neutral=0.6"
            )
    if abs(sum(mix.values()) - 1) > 0.005:
        raise ValueError(
            f"shares must add up to 1, found {sum(mix.values()):.4g}. Expressions that are not listed have share 0"
        )
    return mix


def _read_names(given: Any) -> Any:
    """`a,b` and `a`, `b` -> names, each once."""
    if not isinstance(given, tuple | list) or not all(isinstance(text, str) for text in given):
        return given
    names = [name.strip() for text in given for name in text.split(",")]
    if not all(names):
        raise ValueError("write names, separated by commas")
    return tuple(dict.fromkeys(names))


Names = Annotated[tuple[str, ...], BeforeValidator(_read_names)]
"""Several names; each text may hold several, separated by commas."""


def _names_option(text: str, flag: str) -> Any:
    return option(
        (), f"{text}; repeatable, or separated by commas.", flag=flag, metavar="NAME,...", repeatable=True, plural=True
    )


class CompareRequest(Options):
    """Which records to compare, in which report; empty filters mean all.

    `targets` are target labels, datasets with or without a split, or groups: `synthetic`, `ferplus+blur`,
    `ferplus+all`. `baseline` is a head or a run.
    """

    runs: tuple[str, ...] = option((), "Runs to compare.", argument=True)
    name: str = option("latest", "Folder in reports/.")
    baseline: str | None = option(None, "Head or run to test all other methods against, face by face.")
    sources: Names = _names_option("Only runs trained on these sources", "source")
    targets: Names = _names_option("Only scores on these targets, NAME[@SPLIT]", "target")
    heads: Names = _names_option("Only runs of these heads", "head")
    selections: tuple[SelectionPolicy, ...] = option(
        (), "Only scores of this selection policy; repeatable.", flag="selection"
    )
    about: str = option("", "Text at the top of the page.")
    class_mix: Annotated[Mapping[str, float] | None, BeforeValidator(_read_class_mix)] = option(
        None,
        "Also show accuracy under this class mix, e.g. happiness=0.4,neutral=0.6.",
        metavar="NAME=SHARE,...",
    )
    published: Names = option(
        (),
        "Published results in the tables for papers: of tables (cafe:1,exp-clip), a whole paper (cafe), or none.",
        metavar="NAME,...",
        shown="the one with the most of the targets",
        repeatable=True,
    )
    thumbnails: bool = option(False, "Also show images of real people; synthetic faces are always shown.")
