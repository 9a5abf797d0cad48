"""The contract of encoders, checked on a few images."""

import json
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fercache.encoders import PRECISIONS, Encoder, TextEncoder

Check = Callable[[Encoder], Iterator[str]]


def check_encoder(encoder: Encoder) -> list[str]:
    """One sentence per broken promise of the encoder; [] if it keeps all of them.

    Encodes faces only if the encoder's description and preprocessing are correct.
    """
    about_itself = [broken for check in ABOUT_ITSELF for broken in check(encoder)]
    return about_itself or [broken for check in ABOUT_FEATURES for broken in check(encoder)]


def images(count: int = 5) -> list[NDArray[np.uint8]]:
    """Images of different sizes, smooth enough to survive resizing."""
    random = np.random.default_rng(4)
    coarse = random.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return [np.kron(c, np.ones((8 + i, 10 - i, 1), np.uint8)) for i, c in enumerate(coarse)]


def about_identity(encoder: Encoder) -> Iterator[str]:
    """The identity is JSON and complete, and the name fits a folder."""
    identity = encoder.identity()
    if json.loads(json.dumps(identity)) != identity:
        yield "has an identity that is not JSON"
    if encoder.precision not in PRECISIONS or identity.get("precision") != encoder.precision:
        yield "has an identity without its precision"
    if encoder.name != encoder.name.lower() or set(encoder.name) & set("/:\\ "):
        yield f"has a name that does not fit a folder: {encoder.name!r}"
    if isinstance(encoder, TextEncoder) and not encoder.text_identity().items() <= identity.items():
        yield "has a text identity that is not part of its identity"


def about_preprocessing(encoder: Encoder) -> Iterator[str]:
    """Any image becomes a square of the requested side, and is not changed itself."""
    for image in images():
        before = image.copy()
        face = encoder.preprocess(image)
        if face.shape != (encoder.image_size, encoder.image_size, 3) or face.dtype != np.uint8:
            yield f"preprocesses to {face.shape} {face.dtype}, expected a uint8 square of {encoder.image_size} pixels"
            return
        if not np.array_equal(image, before):
            yield "changes the image that it preprocesses"
        if not np.array_equal(encoder.preprocess(image, encoder.image_size), face):
            yield "preprocesses differently when its own side is requested"
        if encoder.preprocess(image, 24).shape != (24, 24, 3):
            yield "does not preprocess to the requested side"


def about_geometry(encoder: Encoder) -> Iterator[str]:
    """The geometry describes how images are cut."""
    geometry = encoder.geometry()
    if not geometry:
        yield "has an empty geometry"
    if not geometry.items() <= encoder.identity().get("preprocessing", {}).items():
        yield "has a geometry that is not part of its identity's preprocessing"


def about_features(encoder: Encoder) -> Iterator[str]:
    """Features are raw, and do not depend on the other faces of the batch."""
    faces = np.stack([encoder.preprocess(image) for image in images()])
    features = encoder.encode_images(faces)
    if features.shape != (len(faces), encoder.dimension) or features.dtype != np.float32:
        expected = f"({len(faces)}, {encoder.dimension}) float32"
        yield f"returns features of {features.shape} {features.dtype}, expected {expected}"
        return
    if not np.isfinite(features).all():
        yield "returns features that are not finite"
    if not np.array_equal(features, encoder.encode_images(faces)):
        yield "returns different features for the same faces"
    order = np.array([3, 0, 4, 2, 1])
    if not np.allclose(encoder.encode_images(faces[order]), features[order], rtol=1e-3, atol=1e-3):
        yield "returns different features when the order of faces changes"
    if not features.std(axis=0).max() > 0:
        yield "returns the same features for all faces"
    if np.allclose(np.linalg.norm(features, axis=1), 1):
        yield "normalises its features"


def about_colours(encoder: Encoder) -> Iterator[str]:
    """Red and blue differ, so channels are not averaged; the channel order is not checked."""
    red = np.zeros((1, encoder.image_size, encoder.image_size, 3), np.uint8)
    red[..., 0] = 220
    if np.array_equal(encoder.encode_images(red), encoder.encode_images(red[..., ::-1].copy())):
        yield "returns the same features for red and blue"


def about_texts(encoder: Encoder) -> Iterator[str]:
    """Texts are embedded one by one, in the space of the images."""
    if not isinstance(encoder, TextEncoder):
        return
    embedded = encoder.encode_texts(["a happy face", "an angry face", "a happy face"])
    if embedded.shape != (3, encoder.dimension) or embedded.dtype != np.float32:
        yield f"embeds three texts as {embedded.shape} {embedded.dtype}, expected (3, {encoder.dimension}) float32"
        return
    if not np.allclose(embedded[0], embedded[2], rtol=1e-5):
        yield "embeds the same text differently"
    if np.allclose(embedded[0], embedded[1]):
        yield "embeds different texts identically"
    if encoder.encode_texts([]).shape != (0, encoder.dimension):
        yield "does not embed an empty list as (0, D)"
    if not encoder.logit_scale > 0:
        yield "has no positive logit_scale"


def about_settling(encoder: Encoder) -> Iterator[str]:
    """`settle` chooses a precision and returns its measurements as JSON."""
    measured = encoder.settle([encoder.preprocess(image) for image in images()])
    if encoder.precision not in PRECISIONS:
        yield f"settles on an unknown precision {encoder.precision!r}"
    if json.loads(json.dumps(measured)) != measured:
        yield "returns measurements that are not JSON"


ABOUT_ITSELF: tuple[Check, ...] = (about_identity, about_preprocessing, about_geometry)
ABOUT_FEATURES: tuple[Check, ...] = (about_features, about_colours, about_texts, about_settling)
