"""The size that a header claims is that of the image, and wrong files have none."""

import time
import zlib

import pytest

from fercache.images.decode import decode
from fercache.images.sizes import BOMB, claimed_pixels
from tests.images.test_decode import DAMAGED, EXACT, LOSSY, image, png


@pytest.mark.parametrize("kind", [*EXACT, *LOSSY], ids=lambda kind: kind.__name__)
def test_every_format_says_its_size(kind: object) -> None:
    data = kind(image(4))[0]  # type: ignore[operator]
    height, width, _ = decode(data).shape
    assert claimed_pixels(data) == width * height


def test_bombs_are_larger_than_any_limit() -> None:
    assert claimed_pixels(png(12_000, 12_000, 8, 0, bytes(1000))) == 144_000_000
    assert claimed_pixels(png(60_000, 60_000, 8, 2, bytes(1000))) == BOMB


@pytest.mark.parametrize(("damage", "reason"), DAMAGED)
def test_damaged_files_are_judged_in_bounded_time(damage: object, reason: str) -> None:
    data = damage(image(9))  # type: ignore[operator]
    start = time.thread_time()
    assert claimed_pixels(data) >= 0
    assert time.thread_time() - start < 1


def test_text_has_no_size() -> None:
    assert claimed_pixels(b"") == claimed_pixels(b"text") == claimed_pixels(zlib.compress(b"text")) == 0
