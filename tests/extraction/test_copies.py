"""Which faces are copied, how, and that each copy is the image it should be."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.datasets import FaceImage
from fercache.extraction.copies import CHANGES, encode_copies
from fercache.store.copies import copies_path, read_copies
from tests.images.test_decode import image
from tests.pixel_encoder import PixelEncoder


def faces(count: int, unreadable: Sequence[int] = ()) -> list[FaceImage]:
    return [
        FaceImage(str(number), lambda number=number: b"" if number in unreadable else image(number))
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "copied"), [(0, 0), (1, 0), (99, 0), (100, 1), (199, 1), (200, 2), (6400, 64), (9999, 64)]
)
def test_one_face_in_a_hundred_and_no_more_than_64(count: int, copied: int) -> None:
    found = encode_copies(faces(count), PixelEncoder())
    assert (0 if found is None else len(found.original)) == copied


def test_five_changes_of_the_same_faces() -> None:
    encoder = PixelEncoder()
    found = encode_copies(faces(300), encoder)
    assert found is not None
    assert list(found.changed) == ["jpeg 90", "jpeg 75", "enlarged", "reduced", "mirrored"]
    for row, number in enumerate((0, 149, 299)):
        pixels = image(number)
        for kind, features in {"": found.original, **found.changed}.items():
            shown = CHANGES[kind](pixels) if kind else pixels
            encoded = encoder.encode_images(encoder.preprocess(shown)[None])[0]
            np.testing.assert_array_equal(features[row], encoded)


def test_changes_keep_the_image_and_alter_its_pixels() -> None:
    pixels = image(1)
    height, width, _ = pixels.shape
    sizes = {name: change(pixels).shape[:2] for name, change in CHANGES.items()}
    same = (height, width)
    assert sizes == {
        "jpeg 90": same,
        "jpeg 75": same,
        "enlarged": (2 * height, 2 * width),
        "reduced": (21, 15),
        "mirrored": same,
    }
    for name, change in CHANGES.items():
        changed = change(pixels)
        assert not np.array_equal(changed, pixels)
        back = np.asarray(Image.fromarray(changed if name != "mirrored" else changed[:, ::-1]).resize((width, height)))
        assert np.abs(back.astype(int) - pixels).mean() < 5, name


def test_what_cannot_be_read_is_left_out() -> None:
    found = encode_copies(faces(200, unreadable=[0]), PixelEncoder())
    assert found is not None
    assert len(found.original) == 1
    assert encode_copies(faces(200, unreadable=[0, 199]), PixelEncoder()) is None


def test_extraction_keeps_them_beside_the_table(tmp_path: Path, pixel_encoder: type[PixelEncoder]) -> None:
    folder = tmp_path / "faces" / "happy"
    folder.mkdir(parents=True)
    settings = Settings(cache=tmp_path / "cache")
    request = ExtractRequest(dataset="folder:mine", root=tmp_path / "faces", encoder=EncoderRequest(name="pixels"))
    for number in range(99):
        Image.fromarray(image(number)).save(folder / f"{number:03}.png")
    assert not copies_path(extract(settings, request)).exists()
    Image.fromarray(image(99)).save(folder / "099.png")
    path = copies_path(extract(settings, request))
    assert len(read_copies(path).original) == 1
    before = path.read_bytes(), pixel_encoder.encoded
    extract(settings, request)
    assert (path.read_bytes(), pixel_encoder.encoded) == before
    path.unlink()
    extract(settings, request)
    assert path.read_bytes() == before[0], "tables of earlier versions get theirs afterwards"
