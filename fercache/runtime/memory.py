"""The memory that features may take; what does not fit is read from disk."""

import os
import re

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SHARE = 3
"""By default, features take at most this part of the machine's memory."""
UNKNOWN = 16 * 2**30
"""The assumed memory of a machine that does not say how much it has."""

_limit: int | None = None


def limit_features(bytes_: int | None) -> None:
    """Sets the limit for this process; None: a third of the machine's memory."""
    global _limit
    _limit = bytes_


def limit() -> int:
    """The bytes that features may take."""
    return _machine() // SHARE if _limit is None else _limit


def fits(bytes_: int) -> bool:
    """Whether features of this size may be in memory."""
    return bytes_ <= limit()


def parse_size(text: str) -> int:
    """Bytes, from text such as `2 GB`, `500MB` or `1.5G`. Raises ValueError for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError("write a size such as '2 GB' or '500 MB'")
    return int(float(found[1]) * UNITS[found[2].upper()])


def _machine() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return UNKNOWN
