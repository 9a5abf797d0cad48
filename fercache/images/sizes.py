"""The number of pixels of an image file, from its header."""

from PIL import Image

from fercache.images import bombs
from fercache.images.decode import FORMATS

BOMB = 1_000_000_000
"""Stands for the pixels of a file that Pillow refuses to open because they are too many."""


def claimed_pixels(data: bytes) -> int:
    """The width times the height that a file's header claims; 0 for what is no image or is damaged.

    Decodes no pixel, in bounded time. What has a size may still be unreadable.
    """
    try:
        bombs.check_entries(data)
        with bombs.opened(data) as stream, Image.open(stream, formats=FORMATS) as image:
            return image.width * image.height
    except Image.DecompressionBombError:
        return BOMB
    except Exception:  # decoders raise nearly everything on damaged data
        return 0
