"""The differences between the methods of a table, and what they have in common that is not the default.

A method is described by its head's settings and by the options that it was trained with. Settings are compared among
methods of one head and trunk, because every head has its own defaults; options among all methods of the table. A table
names everything that differs or is not the default, so that it explains all its numbers.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from fercache.records import IMPORTED, MADE, OPTION, SETTING

if TYPE_CHECKING:
    import pandas as pd

Changed = tuple[tuple[str, Any], ...]
"""Names and values of settings and options."""

DEFAULT = "default"
EVERYWHERE: Mapping[str, Any] = {"policy": "majority", "classes": 7, "faces": "all", "labels": DEFAULT}
"""The defaults of `fercache train`."""
USUAL: Mapping[str, Any] = {**EVERYWHERE, "prompts": "faces", "encoder precision": "fp32"}
"""With the defaults of options that not every method has: a head without text has no prompts."""
_ENCODER = (f"{OPTION}weights", f"{OPTION}preprocessing", f"{MADE}weights", f"{MADE}kernels")
"""What encoders of one name may differ in, most likely first; then versions of packages."""
_NOT_OF_ENCODERS = {
    f"{MADE}{name}" for name in ("expressions", "head code", "key version", "prompt set", "source table", "trunk code")
}
_IDENTITY = ("method_key", "encoder", "head", "trunk", "not_default")


@dataclass(frozen=True)
class Named:
    """The settings that a row shows for its method, and those that the table shows once for all methods."""

    changed: Changed
    common: Changed


@dataclass(frozen=True)
class _Method:
    """`not_default` are the settings that are not the head's defaults. `made` are keys of data and code, a last resort.

    Settings and options that are absent, None or not the same for all seeds are left out.
    """

    key: str
    head: str
    trunk: str
    imported: bool
    settings: Mapping[str, Any]
    options: Mapping[str, Any]
    not_default: frozenset[str]
    made: Mapping[str, str]

    @property
    def values(self) -> dict[str, Any]:
        """All settings and options: a setting uses what an option of the same name only stores (crops, recipe)."""
        return {**self.options, **self.settings}


def named(part: "pd.DataFrame") -> dict[str, Named]:
    """The names by method key, for the rows of one table. No two methods of a head and trunk have the same name."""
    columns = [name for name in part.columns if name in _IDENTITY or name.startswith((SETTING, OPTION, MADE))]
    rows_of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for values in part[columns].drop_duplicates().itertuples(index=False, name=None):
        row = dict(zip(columns, values, strict=True))
        rows_of[row["method_key"]].append(row)
    methods = [_method_of(rows) for rows in rows_of.values()]
    differing = _differing_options(methods)
    alike: dict[tuple[str, str], list[_Method]] = defaultdict(list)
    for method in methods:
        alike[method.head, method.trunk].append(method)
    described: dict[str, dict[str, Any]] = {}
    for peers in alike.values():
        settings = _differing_settings(peers)
        described |= {method.key: _described(method, settings, differing) for method in peers}
    common = _common(methods, list(described.values()))
    changed = {key: {name: value for name, value in of.items() if name not in common} for key, of in described.items()}
    for peers in alike.values():
        _separate_twins(peers, changed)
    return {
        method.key: Named(
            tuple(changed[method.key].items()),
            tuple((name, value) for name, value in common.items() if name in method.values),
        )
        for method in methods
    }


def encoder_names(trained: "pd.DataFrame") -> dict[str, str]:
    """The encoder's name in tables by encoder key, all distinct: equal names are followed by what differs."""
    alike: dict[str, dict[str, pd.DataFrame]] = defaultdict(dict)
    for (name, key), rows in trained.groupby(["encoder", "encoder_key"]):
        alike[str(name)][str(key)] = rows
    return {key: text for name, versions in alike.items() for key, text in _versions_named(name, versions).items()}


def _versions_named(name: str, versions: "Mapping[str, pd.DataFrame]") -> dict[str, str]:
    if len(versions) == 1:
        return dict.fromkeys(versions, name)
    differing: dict[str, list[str]] = {key: [] for key in versions}
    present = list(map(str, next(iter(versions.values()))))
    columns = dict.fromkeys([*_ENCODER, *(column for column in present if column.startswith(MADE))])
    for column in (column for column in columns if column in present and column not in _NOT_OF_ENCODERS):
        values = {key: "/".join(sorted(set(rows[column].dropna().map(str)))) for key, rows in versions.items()}
        if len(set(values.values())) > 1:
            for key, value in values.items():
                differing[key].append(f"{column.partition('.')[2]} {PurePath(value).name or 'default'}")
        if len(set(map(tuple, differing.values()))) == len(versions):
            return {key: f"{name} ({', '.join(parts)})" for key, parts in differing.items()}
    return {key: f"{name} ({', '.join([*parts, f'key {key[:8]}'])})" for key, parts in differing.items()}


def _method_of(rows: Sequence[Mapping[str, Any]]) -> _Method:
    """One method from the distinct rows of its records."""
    first = rows[0]
    imported = first["encoder"] == IMPORTED
    return _Method(
        key=first["method_key"],
        head=first["head"],
        trunk=first["trunk"],
        imported=imported,
        settings=dict(_constant(rows, SETTING)),
        options={**({} if imported else EVERYWHERE), **dict(_constant(rows, OPTION))},
        not_default=frozenset(first["not_default"].split(",")),
        made={
            name.removeprefix(MADE): "/".join(sorted({str(row[name]) for row in rows if _is_there(row[name])}))
            for name in first
            if name.startswith(MADE)
        },
    )


def _constant(rows: Sequence[Mapping[str, Any]], prefix: str) -> Iterable[tuple[str, Any]]:
    """The values that are the same in all rows of a method; imported seeds, for example, may have different files."""
    for column in (column for column in rows[0] if column.startswith(prefix)):
        value = rows[0][column]
        if all(_is_there(row[column]) and str(row[column]) == str(value) for row in rows):
            yield column.removeprefix(prefix), _plain(value)


def _is_there(value: Any) -> bool:
    return value is not None and value == value  # a gap in a column is NaN


def _plain(value: Any) -> Any:
    """A value as a reader writes it: 30 for 30.0 or "30", and a file's name without its folder."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return int(value) if value.isdecimal() else PurePath(value).name if value.startswith("/") else value
    return value


def _differing_settings(peers: Sequence[_Method]) -> list[str]:
    """The settings that differ among methods of one head and trunk; an absent one differs from every value."""
    names = dict.fromkeys(name for method in peers for name in method.settings)
    return [name for name in names if len({str(method.settings.get(name)) for method in peers}) > 1]


def _differing_options(methods: Sequence[_Method]) -> set[str]:
    """The options that differ among the methods that have them."""
    texts: dict[str, set[str]] = defaultdict(set)
    for method in methods:
        for name, value in method.options.items():
            texts[name].add(str(value))
    return {name for name, found in texts.items() if len(found) > 1}


def _described(method: _Method, settings: Sequence[str], options: set[str]) -> dict[str, Any]:
    """The differing `settings` of methods of its kind, the differing `options` of all, and what is not the default."""
    own = [name for name in method.settings if name in method.not_default]
    described = {name: method.settings.get(name, DEFAULT) for name in dict.fromkeys([*settings, *own])}
    for name, value in method.options.items():
        if name not in method.settings and (name in options or value != USUAL.get(name)):
            described[name] = value
    return described


def _common(methods: Sequence[_Method], described: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The described values on which all methods that have them agree, if those are several heads or all methods."""
    trained = [method for method in methods if not method.imported]
    found = {}
    for name in dict.fromkeys(name for each in described for name in each):
        having = [method for method in methods if name in method.values]
        everywhere = len({method.head for method in having}) > 1 or len(having) == len(trained)
        values = [method.values[name] for method in having] + [each[name] for each in described if name in each]
        if everywhere and len(set(map(str, values))) == 1:
            found[name] = values[0]
    return found


def _separate_twins(peers: Sequence[_Method], changed: Mapping[str, dict[str, Any]]) -> None:
    """Adds keys of data and code, else method keys, to methods of a head and trunk that still look the same."""
    for name in (*dict.fromkeys(name for method in peers for name in method.made), "key"):
        twins: dict[str, list[_Method]] = defaultdict(list)
        for method in peers:
            twins[str({other: str(value) for other, value in changed[method.key].items()})].append(method)
        for group in twins.values():
            texts = [method.key[:8] if name == "key" else method.made.get(name, "") for method in group]
            if len(set(texts)) > 1:
                for method, text in zip(group, texts, strict=True):
                    changed[method.key][name] = text
