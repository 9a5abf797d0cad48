"""Exactly the damaged images are left out, each with a reason, and every other row is right."""

from pathlib import Path

import pytest

from fercache import EncoderRequest
from tests.hostile import images
from tests.hostile.images import judge
from tests.images.test_decode import DAMAGED
from tests.pixel_encoder import PixelEncoder


def test_a_tenth_is_damaged_and_left_out(tmp_path: Path, pixel_encoder: type[PixelEncoder]) -> None:
    verdict = judge(tmp_path, 1_000, EncoderRequest(name="pixels"))
    assert verdict.wrong == []
    assert (verdict.damaged, verdict.right) == (100, 900)
    assert len(DAMAGED) >= 10 and len(verdict.reasons) >= 5


def test_an_image_taken_for_another_is_found(
    tmp_path: Path, pixel_encoder: type[PixelEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = images.write_images

    def with_two_exchanged(root: Path, images: int) -> dict[str, bytes]:
        expected = write(root, images)
        first, second = list(expected)[:2]
        return expected | {first: expected[second], second: expected[first]}

    monkeypatch.setattr(images, "write_images", with_two_exchanged)
    assert len(judge(tmp_path, 30, EncoderRequest(name="pixels")).wrong) == 2
