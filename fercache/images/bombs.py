"""Picture files made to use up memory or time: what decoders do not notice, or not before it is too late.

Everything here raises ValueError, before any pixel is decoded. Sizes of pictures are `decode`'s business.
"""

import io
import struct
from collections.abc import Iterator

MAX_READS = 10_000
"""Small pieces in which a decoder may read what precedes the pixels."""
BYTES_PER_READ = 1000
"""Of the pixels: encoders part them into blocks, seldom smaller than 8 kB."""
MAX_SCANS = 200
"""Of a progressive JPEG: each, however short, goes through all pixels; encoders write ten."""
MAX_STRIPS = 200_000
"""Of a TIFF: 50 megapixels in tiles of 16 x 16."""
PIXELS_PER_BYTE = 512
"""Of a JPEG at most: a block of 64 takes at least one bit."""

ORIENTATION = 274
_STRIP_LISTS = (273, 279, 324, 325)
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a number by its kind; of the others it is 1."""
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I"}
_MOST_ENTRIES = 65_535

Entry = tuple[int, int, int, bytes]


def opened(data: bytes) -> io.BytesIO:
    """Bytes that may be read in so many pieces only: millions of empty chunks or fill bytes would take minutes.

    What has fewer bytes than that is not counted, which would take a quarter of the time of a small picture.
    """
    return io.BytesIO(data) if len(data) <= MAX_READS else _CountedReads(data)


def now_pixels(stream: io.BytesIO) -> None:
    """What precedes the pixels has been read; they may take as many more pieces as their bytes warrant."""
    if isinstance(stream, _CountedReads):
        stream.reads_left = MAX_READS + stream.getbuffer().nbytes // BYTES_PER_READ


class _CountedReads(io.BytesIO):
    reads_left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file. Raises ValueError when it was read too often."""
        self.reads_left -= 1
        if self.reads_left < 0:
            raise ValueError("too many parts")
        return super().read(size)


def check_entries(data: bytes) -> None:
    """Refuses a TIFF whose entries claim more bytes than it has (they overlap, and each is copied), or endless strips.

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
    """Refuses a progressive JPEG that goes through its pixels over and over."""
    if data.count(b"\xff\xda") > MAX_SCANS:
        raise ValueError("too many scans")


def check_density(pixels: int, data: bytes) -> None:
    """Refuses a JPEG of more pixels than its bytes can hold."""
    if pixels > PIXELS_PER_BYTE * len(data):
        raise ValueError("truncated")


def orientation(tiff: bytes) -> int | None:
    """How a picture lies, by its EXIF, which is a TIFF; None where that says nothing.

    Read here, because libraries copy every entry on the way, and each may claim all of the bytes.
    """
    tiff = tiff.removeprefix(b"Exif\0\0")
    order = _order(tiff)
    for tag, kind, _, field in _entries(tiff):
        if tag == ORIENTATION and kind in _WHOLE_NUMBERS:
            found: int = struct.unpack_from(f"{order}{_WHOLE_NUMBERS[kind]}", field)[0]
            return found
    return None


def _entries(tiff: bytes) -> Iterator[Entry]:
    """Tag, kind, count and field of the first directory's entries, as far as they are there."""
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
