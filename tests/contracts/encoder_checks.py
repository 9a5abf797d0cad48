"""What every encoder promises, checked on a few images, on the CPU."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache.encoders import PRECISIONS, Encoder, TextEncoder


def images(count: int = 5) -> list[NDArray[np.uint8]]:
    """Images of different sizes, smooth enough to survive being resized."""
    random = np.random.default_rng(4)
    coarse = random.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return [np.kron(c, np.ones((8 + i, 10 - i, 1), np.uint8)) for i, c in enumerate(coarse)]


def check_identity(encoder: Encoder) -> None:
    identity = encoder.identity()
    assert json.loads(json.dumps(identity)) == identity, "identity is not JSON"
    assert identity["precision"] == encoder.precision in PRECISIONS
    assert encoder.name == encoder.name.lower()
    assert not set(encoder.name) & set("/:\\ "), "the name is not fit for a folder"
    if isinstance(encoder, TextEncoder):
        assert encoder.text_identity().items() <= identity.items(), "text identity is not a part of the identity"


def check_preprocessing(encoder: Encoder) -> None:
    for image in images():
        before = image.copy()
        face = encoder.preprocess(image)
        assert face.shape == (encoder.image_size, encoder.image_size, 3)
        assert face.dtype == np.uint8
        np.testing.assert_array_equal(image, before, "preprocess changed its input")
        np.testing.assert_array_equal(encoder.preprocess(image, encoder.image_size), face)
        assert encoder.preprocess(image, 24).shape == (24, 24, 3)


def check_geometry(encoder: Encoder) -> None:
    geometry, preprocessing = encoder.geometry(), encoder.identity()["preprocessing"]
    assert geometry, "the geometry does not describe how images are cut"
    assert geometry.items() <= preprocessing.items(), "geometry is not a part of the identity's preprocessing"


def check_features(encoder: Encoder) -> None:
    faces = np.stack([encoder.preprocess(image) for image in images()])
    features = encoder.encode_images(faces)
    assert features.shape == (len(faces), encoder.dimension)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features, encoder.encode_images(faces), "the same faces, other features")
    order = np.array([3, 0, 4, 2, 1])
    np.testing.assert_allclose(encoder.encode_images(faces[order]), features[order], rtol=1e-3, atol=1e-3)
    assert features.std(axis=0).max() > 0, "all faces have the same features"
    assert not np.allclose(np.linalg.norm(features, axis=1), 1), "features are normalised"


def check_colours(encoder: Encoder) -> None:
    """Red and blue are distinguished, so images are not grey; the order itself is the preset's test."""
    red = np.zeros((1, encoder.image_size, encoder.image_size, 3), np.uint8)
    red[..., 0] = 220
    assert not np.array_equal(encoder.encode_images(red), encoder.encode_images(red[..., ::-1].copy()))


def check_texts(encoder: Encoder) -> None:
    if not isinstance(encoder, TextEncoder):
        return
    texts = ["a happy face", "an angry face", "a happy face"]
    embedded = encoder.encode_texts(texts)
    assert embedded.shape == (3, encoder.dimension)
    assert embedded.dtype == np.float32
    np.testing.assert_allclose(embedded[0], embedded[2], rtol=1e-5)
    assert not np.allclose(embedded[0], embedded[1])
    assert encoder.encode_texts([]).shape == (0, encoder.dimension)
    assert encoder.logit_scale > 0


def check_settling(encoder: Encoder) -> None:
    faces = [encoder.preprocess(image) for image in images()]
    measured: dict[str, Any] = encoder.settle(faces)
    assert encoder.precision in PRECISIONS
    assert json.loads(json.dumps(measured)) == measured


CHECKS = (
    check_identity,
    check_preprocessing,
    check_geometry,
    check_features,
    check_colours,
    check_texts,
    check_settling,
)
