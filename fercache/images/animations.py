"""Animations: files whose first frame alone is decoded."""

_BEGINNING = 4096
"""Bytes in which a GIF says that it repeats, and a PNG that it moves."""
_MOVES = 2
"""The bit of a WebP file with several frames."""


def is_animation(data: bytes) -> bool:
    """Whether the bytes of an image file are those of a repeating GIF, an animated WebP or an animated PNG."""
    start = data[:_BEGINNING]
    if start.startswith(b"GIF8"):
        return b"NETSCAPE2.0" in start
    if start.startswith(b"\x89PNG"):
        return b"acTL" in start.partition(b"IDAT")[0]
    return start[8:16] == b"WEBPVP8X" and len(start) > 20 and bool(start[20] & _MOVES)
