"""One JSON file per run, target and selection: what was scored, how, and everything that it takes to repeat it."""

from fercache.records.fields import (
    ADJUSTED,
    ALL,
    DUPLICATE,
    IMPORTED,
    INTERVALS,
    MADE,
    MAIN,
    METRICS,
    OPTION,
    SCHEMA,
    SETTING,
    WITHOUT_DUPLICATES,
    AbstentionRecord,
    CalibrationRecord,
    GroupRecord,
    MaskRecord,
    ScoresRecord,
)
from fercache.records.files import find_records, predictions_path, read_record, record_files, record_path, write_record
from fercache.records.frame import frame
from fercache.records.record import Record

__all__ = [
    "ADJUSTED",
    "ALL",
    "DUPLICATE",
    "IMPORTED",
    "INTERVALS",
    "MADE",
    "MAIN",
    "METRICS",
    "OPTION",
    "SCHEMA",
    "SETTING",
    "WITHOUT_DUPLICATES",
    "AbstentionRecord",
    "CalibrationRecord",
    "GroupRecord",
    "MaskRecord",
    "Record",
    "ScoresRecord",
    "find_records",
    "frame",
    "predictions_path",
    "read_record",
    "record_files",
    "record_path",
    "write_record",
]
