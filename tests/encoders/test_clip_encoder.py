"""Options of CLIP encoders, and images of other sizes."""

from pathlib import Path

import numpy as np
import pytest

from fercache.encoders.open_clip import OpenClip
from fercache.errors import UsageError
from fercache.options.extract import EncoderRequest
from tests.encoders.open_clip_fixtures import save_folder

FACES = [np.full((32, 32, 3), value, np.uint8) for value in range(0, 240, 6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tmp_path_factory.mktemp("model") / "tiny")


def load(folder: Path, **options: str) -> OpenClip:
    return OpenClip.load(EncoderRequest(name=f"local-dir:{folder}", **{"device": "cpu", **options}))


def test_an_image_of_another_side_is_cut_the_same(folder: Path) -> None:
    encoder = load(folder)
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 255  # the middle is cut out, half black and half white
    for side in (16, 64):
        crop = encoder.preprocess(image, side)
        assert crop.shape == (side, side, 3)
        assert crop[:, : side // 2 - 2].max() == 0 and crop[:, side // 2 + 2 :].min() == 255
    assert np.array_equal(encoder.preprocess(image), encoder.preprocess(image, encoder.image_size))
    assert encoder.geometry().items() <= encoder.identity()["preprocessing"].items()
    assert set(encoder.geometry()) == {"resize_mode", "interpolation", "fill_color", "kernels"}


def test_no_texts_and_one_face(folder: Path) -> None:
    encoder = load(folder)
    assert encoder.encode_texts([]).shape == (0, 16)
    np.testing.assert_allclose(
        encoder.encode_images(np.stack(FACES[:4]))[:1], encoder.encode_images(FACES[0][None]), atol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"precision": "fp16"}, "not native on this"),
        ({"device": "gpu"}, "'gpu' is not a device"),
        ({"preprocessing": "imagenet-224"}, "needs an encoder of 224 pixels; tiny has 32"),
    ],
)
def test_wrong_options(folder: Path, options: dict[str, str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        load(folder, **options)
