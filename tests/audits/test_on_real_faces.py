"""The audits on FERPlus."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fercache import registry
from fercache.audits.duplicates import SearchedFaces, find_pairs
from fercache.audits.label_permutation import compare_labels
from fercache.datasets import FaceImage
from fercache.encoders import Encoder
from fercache.expressions import EXPRESSIONS
from fercache.identity import pixel_hash
from fercache.images.decode import decode
from fercache.options.extract import EncoderRequest
from fercache.votes import voted_labels

SEVEN = EXPRESSIONS[:7]
PHOTOGRAPHS, DRAWINGS = 80, 70
"""Faces per expression."""
ANGER, DISGUST = SEVEN.index("anger"), SEVEN.index("disgust")

Labelled = tuple[NDArray[np.floating], NDArray[np.int64]]


def photographs(root: Path) -> list[tuple[FaceImage, str]]:
    """Those with a majority, by the official rules."""
    dataset = registry.load("datasets", "ferplus")
    faces = list(dataset.faces(root))
    votes = np.array([face.votes for face in faces], np.int16)
    labels = voted_labels(SEVEN, votes, dataset.vote_columns, label_file="fer2013new")
    return [(face, SEVEN[k]) for face, k in zip(faces, labels.index.tolist(), strict=True) if k >= 0]


def drawings() -> list[tuple[FaceImage, str]]:
    faces = registry.load("datasets", "synthetic").faces(None, "studio")
    return [(face, face.label) for face in islice(faces, 2 * DRAWINGS * len(SEVEN)) if face.label]


def encoded(encoder: Encoder, labelled: Iterable[tuple[FaceImage, str]], per_expression: int) -> Labelled:
    chosen: dict[str, list[FaceImage]] = {name: [] for name in SEVEN}
    for face, label in labelled:
        if len(chosen[label]) < per_expression:
            chosen[label].append(face)
    images = [encoder.preprocess(decode(face.read())) for faces in chosen.values() for face in faces]
    batches = [encoder.encode_images(np.stack(images[i : i + 64])) for i in range(0, len(images), 64)]
    index = np.arange(len(SEVEN)).repeat([len(faces) for faces in chosen.values()])
    return np.concatenate(batches), index


def swapped(labelled: Labelled) -> Labelled:
    features, index = labelled
    return features, np.where(index == ANGER, DISGUST, np.where(index == DISGUST, ANGER, index))


def some(labelled: Labelled, random: np.random.Generator) -> Labelled:
    """Six faces of ten."""
    features, index = labelled
    rows = random.permutation(len(index))[: len(index) * 6 // 10]
    return features[rows], index[rows]


def test_swapped_labels_are_named_and_correct_ones_raise_no_alarm(ferplus_root: Path) -> None:
    encoder = registry.encoder_family("bundled").load(EncoderRequest(precision="fp32", device="cpu"))
    real = encoded(encoder, photographs(ferplus_root), PHOTOGRAPHS)
    drawn = encoded(encoder, drawings(), DRAWINGS)
    assert len(real[0]) + len(drawn[0]) == (PHOTOGRAPHS + DRAWINGS) * len(SEVEN)
    for left, right in ((swapped(real), drawn), (real, swapped(drawn))):
        verdict = compare_labels(left, right, SEVEN)
        assert verdict is not None
        assert set(verdict.permuted) == {("anger", "disgust"), ("disgust", "anger")}
    random = np.random.default_rng(0)
    for seed in range(50):
        verdict = compare_labels(some(real, random), some(drawn, random), SEVEN, seed)
        assert verdict is not None
        assert verdict.permuted == ()


def test_known_images_of_train_are_in_the_other_folders_as_well(ferplus_root: Path) -> None:
    def faces(folder: str) -> SearchedFaces:
        paths = sorted((ferplus_root / folder).glob("*.png"))
        hashes = b"".join(pixel_hash(np.asarray(Image.open(path))[:, :, None]) for path in paths)
        count = len(paths)
        pixels = np.frombuffer(hashes, np.uint8).reshape(count, 32)
        return SearchedFaces(np.zeros((count, 2), np.float32), pixels, np.full(count, "", object))

    train = faces("FER2013Train")
    for folder, known in (("FER2013Valid", 279), ("FER2013Test", 288)):
        pairs = find_pairs(train, faces(folder))
        assert pairs.identical.all()
        assert len(set(pairs.right)) == known
