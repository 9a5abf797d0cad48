"""Precision `auto`: the one of an earlier table of the same faces, else the encoder measures it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fercache.datasets import DatasetName
from fercache.encoders import PRECISIONS, Encoder
from fercache.errors import UsageError
from fercache.identity import key_of
from fercache.runtime.precisions import reduced_precisions
from fercache.store.tables import clean_key_of, find_tables, parts_folder, table_path


def keep_precision(cache: Path, name: DatasetName, identity: Mapping[str, Any], encoder: Encoder) -> bool:
    """Gives the encoder the precision of a finished or unfinished table of the same faces; False if there is none.

    `identity` is the table's, in any precision; augmented views make no difference. Raises UsageError if faces are left
    to encode and this device does not support that precision.
    """
    finished = {table.clean_key for table in find_tables(cache)}
    for precision in PRECISIONS:
        same = {**identity, "encoder": identity["encoder"] | {"precision": precision}}
        table = table_path(cache, encoder.name, name.slug, key=key_of(same))
        if clean_key_of(same) in finished or parts_folder(table).exists():
            if not table.exists() and precision not in ("fp32", *reduced_precisions(encoder.device)):
                raise UsageError(
                    f"{name} has a table in {precision}, which {encoder.device} does not support. Extract it on a "
                    "device that does, or with --precision fp32 for another table."
                )
            encoder.precision = precision
            return True
    return False
