"""From a frame of records to rows: a method's scores under one selection policy, with a cell for each column."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import isnan
from statistics import fmean
from typing import TYPE_CHECKING

from fercache.records import ADJUSTED, MAIN, METRICS
from fercache.reporting.method_names import named
from fercache.reporting.table_rows import BASELINES, SELECTIONS, Cell, Method, Row, Scores

if TYPE_CHECKING:
    import pandas as pd

_Kind = tuple[str, str, str, str]
"""A method's key, head, trunk and readout."""

_Seeds = Sequence[Sequence[float | None] | None]
"""A row of numbers per seed; None for a seed without a record."""

_INTERVAL = {"accuracy": "accuracy_unconditional", "mean_class_recall": "mean_class_recall"}
"""The interval of each metric: of accuracy, the one for faces of any mix of expressions. Older records lack it, and
their intervals were too narrow."""


def method_rows(part: "pd.DataFrame", labels: Sequence[str], first: str) -> Iterable[Row]:
    """One row per method and selection policy of one encoder and source, with a cell per target label, in table order.

    The policy `first` is the headline's.
    """
    names = named(part)
    present = set(part["selection"])
    metrics = (*METRICS, ADJUSTED) if ADJUSTED in part else METRICS
    policies = [first, *(name for name in SELECTIONS if name in present and name != first)]
    limits = [f"{_INTERVAL[metric]}_{end}" for metric in METRICS for end in ("low", "high")]
    columns = ("method_key", "head", "trunk", "readout", "selection", "target_label", "seed", "n", *metrics, *limits)
    of_methods: dict[_Kind, dict[tuple[str, str, int], list[float | None]]] = defaultdict(dict)
    faces: dict[_Kind, dict[str, int]] = defaultdict(dict)
    for key, head, trunk, readout, selection, label, seed, n, *values in zip(
        *(part[name].tolist() for name in columns), strict=True
    ):
        kind = (key, head, trunk, readout)
        of_methods[kind][selection, label, seed] = values
        faces[kind][label] = min(n, faces[kind].get(label, n))
    methods = [
        (Method(key, head, trunk, readout=readout, changed=names[key].changed, common=names[key].common), kind)
        for kind in of_methods
        for key, head, trunk, readout in (kind,)
    ]
    for method, kind in sorted(methods, key=lambda pair: _method_order(pair[0])):
        scores = of_methods[kind]
        seeds, scored = tuple(sorted({seed for _, _, seed in scores})), {selection for selection, _, _ in scores}
        for selection in policies:
            # The oracle selects by the main readout, so it is no bound for others.
            bounds = selection != "oracle" or method.readout == MAIN
            if selection == first or (selection in scored and bounds):
                of_seeds = {label: [scores.get((selection, label, seed)) for seed in seeds] for label in labels}
                cells = {label: _cells(values, metrics) for label, values in of_seeds.items()}
                yield Row(method, selection, seeds, cells=cells, faces=faces[kind])


def _cells(scores: _Seeds, metrics: Sequence[str]) -> Scores:
    """From rows of all metrics, then both limits of each of METRICS, per seed."""
    found = {}
    for i, metric in enumerate(metrics):
        values = _of_all(scores, i)
        place = len(metrics) + 2 * i
        ends = [_of_all(scores, end) for end in (place, place + 1)] if values and metric in METRICS else []
        interval = (fmean(ends[0]), fmean(ends[1])) if ends and all(ends) else None
        found[metric] = Cell(values, interval)
    return found


def _of_all(scores: _Seeds, place: int) -> tuple[float, ...]:
    """One number of all seeds, in percent; empty if a seed lacks it."""
    values = [each[place] for each in scores if each]
    there = [100 * value for value in values if value is not None and not isnan(value)]
    return tuple(there) if len(there) == len(scores) else ()


def _method_order(method: Method) -> tuple[object, ...]:
    rank = BASELINES.index(method.head) if method.head in BASELINES else len(BASELINES)
    return rank, method.head, method.trunk, str(method.changed), method.readout != MAIN, method.readout, method.key
