"""Which image files move."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fercache.images.animations import is_animation
from fercache.images.decode import decode


def written(format: str, frames: int) -> bytes:
    stream = BytesIO()
    first, *others = [Image.fromarray(np.full((30, 30, 3), 40 * number, np.uint8)) for number in range(1, frames + 1)]
    if others:
        first.save(stream, format, save_all=True, append_images=others, duration=50, loop=0)
    else:
        first.save(stream, format)
    return stream.getvalue()


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_files_with_several_frames_move_and_their_first_is_decoded(format: str) -> None:
    assert is_animation(written(format, 3)) and not is_animation(written(format, 1))
    assert abs(decode(written(format, 3)).mean() - 40) < 3


@pytest.mark.parametrize("data", [b"", b"RIFF", b"GIF8", b"RIFF0000WEBPVP8X", written("JPEG", 1), written("BMP", 1)])
def test_other_files_do_not(data: bytes) -> None:
    assert not is_animation(data)
