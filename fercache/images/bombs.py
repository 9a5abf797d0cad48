"""Image files made to exhaust memory or time, which decoders notice too late or never.

All checks raise ValueError before any pixel is decoded. `decode` checks image sizes.
"""

import io
import struct
from collections.abc import Iterator

MAX_READS = 10_000
"""Most reads before the pixels."""
BYTES_PER_READ = 1000
"""Bytes of pixels per read: encoders write blocks, seldom smaller than 8 kB."""
MAX_SCANS = 200
"""Most scans of a progressive JPEG: each one, however short, goes through all pixels; encoders write ten."""
MAX_STRIPS = 200_000
"""Most strips of a TIFF: 50 megapixels in tiles of 16 x 16."""
PIXELS_PER_BYTE = 512
"""Most pixels per byte of a JPEG: a block of 64 takes at least one bit."""

ORIENTATION = 274
_STRIP_LISTS = (273, 279, 324, 325)
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a number by its kind; 1 for all others."""
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I"}
_MOST_ENTRIES = 65_535

Entry = tuple[int, int, int, bytes]


def opened(data: bytes) -> io.BytesIO:
    """A stream with a limited number of reads: millions of empty chunks or fill bytes would take minutes.

    Shorter files are not counted: counting costs a quarter of the time of a small image.
    """
    return io.BytesIO(data) if len(data) <= MAX_READS else _CountedReads(data)


def now_pixels(stream: io.BytesIO) -> None:
    """Everything before the pixels has been read; allow as many more reads as the bytes of the pixels need."""
    if isinstance(stream, _CountedReads):
        stream.reads_left = MAX_READS + stream.getbuffer().nbytes // BYTES_PER_READ


class _CountedReads(io.BytesIO):
    reads_left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file. Raises ValueError after too many reads."""
        self.reads_left -= 1
        if self.reads_left < 0:
            raise ValueError("too many parts")
        return super().read(size)


def check_entries(data: bytes) -> None:
    """Refuses a TIFF whose entries claim more bytes than it has (they overlap, and each is copied), or too many strips.

    Anything else passes.
    """
    if data[:2] not in (b"II", b"MM"):
        return
    claimed = 0
    for tag, kind, count, _ in _entries(data):
        claimed += count * _SIZES.get(kind, 1)
        if claimed > len(data):
            raise ValueError("its entries claim more bytes than it has")
        if tag in _STRIP_LISTS and count > MAX_STRIPS:
            raise ValueError("too many strips")


def check_scans(data: bytes) -> None:
    """Refuses a progressive JPEG with too many scans."""
    if data.count(b"\xff\xda") > MAX_SCANS:
        raise ValueError("too many scans")


def check_density(pixels: int, data: bytes) -> None:
    """Refuses a JPEG with more pixels than its bytes can hold."""
    if pixels > PIXELS_PER_BYTE * len(data):
        raise ValueError("truncated")


def orientation(tiff: bytes) -> int | None:
    """The orientation in an image's EXIF data, which is a TIFF; None if it has none.

    Read here because libraries copy every entry, and each may claim all of the bytes.
    """
    tiff = tiff.removeprefix(b"Exif\0\0")
    order = _order(tiff)
    for tag, kind, _, field in _entries(tiff):
        if tag == ORIENTATION and kind in _WHOLE_NUMBERS:
            found: int = struct.unpack_from(f"{order}{_WHOLE_NUMBERS[kind]}", field)[0]
            return found
    return None


def _entries(tiff: bytes) -> Iterator[Entry]:
    """Tag, kind, count and field of the first directory's entries, up to the end of the data."""
    order, is_big = _order(tiff), 43 in tiff[2:4]
    place, offset, number, entry = (8, "Q", "Q", "HHQ8s") if is_big else (4, "I", "H", "HHI4s")
    try:
        (begin,) = struct.unpack_from(order + offset, tiff, place)
        (count,) = struct.unpack_from(order + number, tiff, begin)
    except struct.error:
        return
    begin += struct.calcsize(order + number)
    size = struct.calcsize(order + entry)
    there = min(count, _MOST_ENTRIES, max(0, len(tiff) - begin) // size)
    yield from struct.iter_unpack(order + entry, tiff[begin : begin + there * size])


def _order(tiff: bytes) -> str:
    return "<" if tiff[:2] == b"II" else ">"
