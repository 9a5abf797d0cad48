"""When a file of the cache was asked for last, as a note beside it says: its own time changes when it is copied."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fercache.errors import FercacheError
from fercache.store.atomic import write_text

NEVER = datetime.min.replace(tzinfo=UTC)


def asked_path(path: Path) -> Path:
    """The note beside `path`."""
    return path.with_suffix(".asked")


def last_asked(path: Path, written: str = "") -> datetime:
    """When `path` was asked for last, or was `written` (ISO 8601, as it says itself), whichever was later."""
    note = ""
    with suppress(OSError, UnicodeDecodeError):
        note = asked_path(path).read_text(encoding="utf-8")
    return max(_parse(note), _parse(written))


def note_asked(path: Path, others: Iterable[datetime] = ()) -> bool:
    """Notes that `path` is asked for now, after all `others`; whether that could be written.

    Without a note it counts from when it was written, so a cache that is only read stays usable.
    """
    now = max([datetime.now(UTC), *(other + timedelta(microseconds=1) for other in others)])
    with suppress(FercacheError):
        write_text(asked_path(path), now.isoformat(timespec="microseconds") + "\n")
        return True
    return False


def _parse(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return NEVER
    return found if found.tzinfo else found.replace(tzinfo=UTC)
