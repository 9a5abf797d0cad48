"""What every encoder promises, checked on a few images, on the CPU."""

import json
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fercache.encoders import PRECISIONS, Encoder, TextEncoder

Check = Callable[[Encoder], Iterator[str]]


def check_encoder(encoder: Encoder) -> list[str]:
    """One sentence for each promise of the contract that the encoder does not keep; [] for a good one.

    Faces are encoded only where it says rightly how: else they would be encoded wrongly as well.
    """
    about_itself = [broken for check in ABOUT_ITSELF for broken in check(encoder)]
    return about_itself or [broken for check in ABOUT_FEATURES for broken in check(encoder)]


def images(count: int = 5) -> list[NDArray[np.uint8]]:
    """Images of different sizes, smooth enough to survive being resized."""
    random = np.random.default_rng(4)
    coarse = random.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return [np.kron(c, np.ones((8 + i, 10 - i, 1), np.uint8)) for i, c in enumerate(coarse)]


def about_identity(encoder: Encoder) -> Iterator[str]:
    """It says all that changes the numbers, as JSON, and the name fits a folder."""
    identity = encoder.identity()
    if json.loads(json.dumps(identity)) != identity:
        yield "has an identity that is not JSON"
    if encoder.precision not in PRECISIONS or identity.get("precision") != encoder.precision:
        yield "has an identity that does not hold its precision"
    if encoder.name != encoder.name.lower() or set(encoder.name) & set("/:\\ "):
        yield f"has a name that is not fit for a folder: {encoder.name!r}"
    if isinstance(encoder, TextEncoder) and not encoder.text_identity().items() <= identity.items():
        yield "has a text identity that is no part of its identity"


def about_preprocessing(encoder: Encoder) -> Iterator[str]:
    """Any image becomes a square of the side that is asked for, and stays as it was."""
    for image in images():
        before = image.copy()
        face = encoder.preprocess(image)
        if face.shape != (encoder.image_size, encoder.image_size, 3) or face.dtype != np.uint8:
            yield f"preprocesses to {face.shape} {face.dtype}, not to a square of {encoder.image_size} pixels in uint8"
            return
        if not np.array_equal(image, before):
            yield "changes the image that it preprocesses"
        if not np.array_equal(encoder.preprocess(image, encoder.image_size), face):
            yield "preprocesses differently when its own side is asked for"
        if encoder.preprocess(image, 24).shape != (24, 24, 3):
            yield "does not preprocess to the side that is asked for"


def about_geometry(encoder: Encoder) -> Iterator[str]:
    """It says how images are cut."""
    geometry = encoder.geometry()
    if not geometry:
        yield "does not say how images are cut"
    if not geometry.items() <= encoder.identity().get("preprocessing", {}).items():
        yield "has a geometry that is no part of its identity's preprocessing"


def about_features(encoder: Encoder) -> Iterator[str]:
    """Raw features of each face, whatever other faces are encoded with it."""
    faces = np.stack([encoder.preprocess(image) for image in images()])
    features = encoder.encode_images(faces)
    if features.shape != (len(faces), encoder.dimension) or features.dtype != np.float32:
        yield f"gives features of {features.shape} {features.dtype}, not ({len(faces)}, {encoder.dimension}) float32"
        return
    if not np.isfinite(features).all():
        yield "gives features that are not finite"
    if not np.array_equal(features, encoder.encode_images(faces)):
        yield "gives other features of the same faces"
    order = np.array([3, 0, 4, 2, 1])
    if not np.allclose(encoder.encode_images(faces[order]), features[order], rtol=1e-3, atol=1e-3):
        yield "gives a face other features when the order of faces changes"
    if not features.std(axis=0).max() > 0:
        yield "gives all faces the same features"
    if np.allclose(np.linalg.norm(features, axis=1), 1):
        yield "normalises its features"


def about_colours(encoder: Encoder) -> Iterator[str]:
    """Red and blue differ, so channels are not averaged; the order itself is the preset's test."""
    red = np.zeros((1, encoder.image_size, encoder.image_size, 3), np.uint8)
    red[..., 0] = 220
    if np.array_equal(encoder.encode_images(red), encoder.encode_images(red[..., ::-1].copy())):
        yield "gives red and blue the same features"


def about_texts(encoder: Encoder) -> Iterator[str]:
    """Texts are embedded one by one, in the space of the images."""
    if not isinstance(encoder, TextEncoder):
        return
    embedded = encoder.encode_texts(["a happy face", "an angry face", "a happy face"])
    if embedded.shape != (3, encoder.dimension) or embedded.dtype != np.float32:
        yield f"embeds three texts as {embedded.shape} {embedded.dtype}, not (3, {encoder.dimension}) float32"
        return
    if not np.allclose(embedded[0], embedded[2], rtol=1e-5):
        yield "embeds the same text differently"
    if np.allclose(embedded[0], embedded[1]):
        yield "embeds different texts alike"
    if encoder.encode_texts([]).shape != (0, encoder.dimension):
        yield "does not embed no texts as (0, D)"
    if not encoder.logit_scale > 0:
        yield "has no positive logit_scale"


def about_settling(encoder: Encoder) -> Iterator[str]:
    """It settles on a precision, and says in JSON what it measured."""
    measured = encoder.settle([encoder.preprocess(image) for image in images()])
    if encoder.precision not in PRECISIONS:
        yield f"settles on a precision {encoder.precision!r}"
    if json.loads(json.dumps(measured)) != measured:
        yield "settles with measurements that are not JSON"


ABOUT_ITSELF: tuple[Check, ...] = (about_identity, about_preprocessing, about_geometry)
ABOUT_FEATURES: tuple[Check, ...] = (about_features, about_colours, about_texts, about_settling)
