"""Records as a data frame."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

from fercache.records.fields import ADJUSTED, INTERVALS, MADE, MAIN, METRICS, OPTION, SETTING
from fercache.records.record import Record
from fercache.scoring.intervals import few_faces
from fercache.scoring.metrics import adjusted_accuracy

if TYPE_CHECKING:
    import pandas as pd


def frame(records: Iterable[Record], class_mix: Mapping[str, float] | None = None) -> "pd.DataFrame":
    """A row per run, target, selection and readout. Scores are fractions.

    Settings are columns `setting.<name>`, options `option.<name>`, and data and code of the run `made.<name>`. With a
    `class_mix`, shares by expression, there is a column ADJUSTED: the accuracy with that mix of expressions.
    """
    import pandas as pd

    return pd.DataFrame([row for record in records for row in _rows(record, class_mix)])


def _rows(record: Record, class_mix: Mapping[str, float] | None) -> Iterable[Mapping[str, object]]:
    for readout, scores in record.scores.items():
        intervals = record.intervals if readout == MAIN else {}
        row: dict[str, object] = {
            "encoder": record.encoder,
            "source": record.source,
            "head": record.head,
            "trunk": record.trunk,
            "readout": readout,
            "seed": record.seed,
            "target": record.target,
            "target_split": record.target_split,
            "target_label": record.target_label,
            "policy": record.policy,
            "without_duplicates": record.without_duplicates,
            "sees": record.sees,
            "method_sees": record.method_sees,
            "adaptation": record.adaptation.name if record.adaptation else "",
            "declined": record.adaptation.declined if record.adaptation else "",
            "selection": record.selection,
            "snapshot": record.snapshot,
            "n": scores.n,
        }
        row |= {metric: getattr(scores, metric) for metric in METRICS}
        if class_mix:
            mix = np.array([class_mix.get(name, 0.0) for name in record.classes])
            row[ADJUSTED] = adjusted_accuracy(np.array(scores.confusion), mix)
        for name in INTERVALS:
            row |= dict(zip((f"{name}_low", f"{name}_high"), intervals.get(name, (None, None)), strict=True))
        calibration = record.calibration if readout == MAIN else None
        row |= {
            "few_faces": ", ".join(few_faces(scores.support)),
            "ece": calibration and calibration.ece,
            "ece_low": calibration and calibration.interval and calibration.interval[0],
            "ece_high": calibration and calibration.interval and calibration.interval[1],
            "temperature": record.temperature if readout == MAIN else None,
            "ece_calibrated": record.calibrated.ece if record.calibrated and readout == MAIN else None,
            "macro_f1": scores.macro_f1,
            "mask_distance": record.mask and record.mask.distance,
            "mask_null": record.mask and record.mask.null,
            "mask_p": record.mask and record.mask.p,
            "dropped": sum(record.dropped.values()),
            "duplicates": record.duplicates,
            "seen_by_encoder": record.seen_by_encoder,
            "seen_by_head": not record.is_own and any(each.by == "source" for each in record.seen),
            "seen": "; ".join(record.why_seen),
            "norm_ratio": record.drift and record.drift.norm_ratio,
            "frechet": record.drift and record.drift.frechet,
            "frechet_floor": record.drift and record.drift.frechet_floor,
            "a_distance": record.drift and record.drift.a_distance,
            "a_distance_floor": record.drift and record.drift.a_distance_floor,
            "device": record.device,
            "seconds": record.seconds,
            "run": record.run,
            "method_key": record.method_key,
            "encoder_key": record.encoder_key,
            "not_default": ",".join(record.not_default),
        }
        row |= {f"recall.{name}": value for name, value in scores.recall.items()}
        row |= {f"{SETTING}{name}": _scalar(value) for name, value in record.settings.items()}
        row |= {f"{OPTION}{name}": value for name, value in _options(record).items()}
        row |= {f"{MADE}{name}": value for name, value in _made_with(record).items()}
        yield row


_FIELDS = {"encoder", "file", "model", "seed", "selection", "target"}
"""Options that repeat a field of the record, or say where a file was."""


def _options(record: Record) -> Mapping[str, str]:
    """Options that may distinguish methods; the source's only if it says more than the field: a split."""
    extracted = dict(record.options.get("extract", {}))
    if "precision" in extracted:  # training has its own
        extracted["encoder precision"] = extracted.pop("precision")
    others = (group for stage, group in record.options.items() if stage != "extract")
    options = {name: value for group in (extracted, *others) for name, value in group.items() if name not in _FIELDS}
    if "keep-validation-copies" in options:  # a flag
        options["validation copies"] = options.pop("keep-validation-copies") or "kept"
    if record.few is not None:  # the list's path would say less
        options["few"] = str(record.few)
    adapted = {"adapt": record.adaptation.name} if record.adaptation else {}
    return adapted | {name: value for name, value in options.items() if (name, value) != ("source", record.source)}


def _made_with(record: Record) -> Mapping[str, str]:
    """In what runs of equal options may differ."""
    called = {"prompts": "prompt set", "source": "source table", "weights": "weights", "kernels": "kernels"}
    called |= {name: name for name in ("encoder code", "head code", "trunk code")}
    keys = {name: record.keys[key][:8] for key, name in called.items() if key in record.keys}
    version = {"key version": str(record.key_version)}
    return {"expressions": "+".join(record.classes), **version, **keys, **record.versions}


def _scalar(value: JsonValue) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value
