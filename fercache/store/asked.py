"""When a file of the cache was last requested, by a note beside it: the file's own time changes when it is copied."""

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
    """When `path` was last requested or was `written` (ISO 8601, from the file), whichever was later."""
    note = ""
    with suppress(OSError, UnicodeDecodeError):
        note = asked_path(path).read_text(encoding="utf-8")
    return max(_parse(note), _parse(written))


def note_asked(path: Path, others: Iterable[datetime] = ()) -> bool:
    """Notes that `path` is requested now, after all `others`; returns whether the note could be written.

    Without a note, the time of writing counts, so a read-only cache stays usable.
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
