"""Detections are kept by image and detector; a file that is damaged costs a search, not a wrong face."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.store.detections import FIELDS, KnownDetections, detections_folder, read_detections, write_detections
from fercache.store.verify import verify
from tests.store.damage import damaged, damages

DETECTOR: dict[str, Any] = {"name": "squares", "least_score": 0.5}
numbers = st.floats(-1e6, 1e6) | st.just(np.nan)
faces_of_an_image = st.lists(st.lists(numbers, min_size=FIELDS, max_size=FIELDS), max_size=3).map(
    lambda rows: np.array(rows, np.float64).reshape(-1, FIELDS)
)
detections = st.dictionaries(st.binary(min_size=32, max_size=32), faces_of_an_image, min_size=1, max_size=5)


def made(cache: Path, first: int = 0, count: int = 3) -> dict[bytes, np.ndarray]:
    """Images with 0, 1, 2 ... faces."""
    found = {bytes([first + n]) * 32: np.full((n, FIELDS), n, np.float64) for n in range(count)}
    KnownDetections(cache, DETECTOR).add(found)
    return found


@given(found=detections)
@settings(max_examples=25, deadline=None)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, found: dict[bytes, np.ndarray]) -> None:
    _, read = read_detections(write_detections(tmp_path_factory.mktemp("found"), DETECTOR, found))
    assert list(read) == list(found)
    for image, faces in found.items():
        np.testing.assert_array_equal(read[image], faces, strict=True)


def test_what_is_added_is_known_here_and_to_the_next(tmp_path: Path) -> None:
    known = KnownDetections(tmp_path, DETECTOR)
    assert known.get(bytes(32)) is None
    known.add({bytes(32): np.zeros((0, FIELDS))})
    known.add({})
    found = made(tmp_path, first=1)
    for each in (known, KnownDetections(tmp_path, DETECTOR)):
        faces = each.get(bytes(32))
        assert faces is not None and len(faces) == 0
    second = KnownDetections(tmp_path, DETECTOR)
    for image, faces in found.items():
        np.testing.assert_array_equal(second.get(image), faces)
    assert len(list(detections_folder(tmp_path, DETECTOR).iterdir())) == 2


def test_another_detector_knows_nothing_of_it(tmp_path: Path) -> None:
    made(tmp_path)
    other = DETECTOR | {"least_score": 0.6}
    assert KnownDetections(tmp_path, other).get(bytes(32)) is None
    (file,) = detections_folder(tmp_path, DETECTOR).iterdir()
    detections_folder(tmp_path, other).mkdir()
    file.rename(detections_folder(tmp_path, other) / file.name)  # a folder's name has only eight digits of the key
    assert KnownDetections(tmp_path, other).get(bytes(32)) is None


def test_a_damaged_file_is_reported_and_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made(tmp_path)
    (file,) = detections_folder(tmp_path, DETECTOR).iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + bytes(9))
    with caplog.at_level(logging.WARNING):
        assert KnownDetections(tmp_path, DETECTOR).get(bytes(32)) is None
    assert "Skipped" in caplog.text
    (problem,) = verify(tmp_path)
    assert problem.path == file and "fercache extract" in problem.remedy
    file.write_bytes(whole)
    assert verify(tmp_path) == []


def test_what_a_killed_process_left_is_reported(tmp_path: Path) -> None:
    made(tmp_path)
    left = detections_folder(tmp_path, DETECTOR) / "x.h5.1-abcdef-0.tmp"
    left.write_bytes(b"")
    (problem,) = verify(tmp_path)
    assert problem.path == left


@given(damage=damages)
@settings(max_examples=30, deadline=None)
def test_damage_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, damage: tuple[str, object]) -> None:
    cache = tmp_path_factory.mktemp("damage")
    found = made(cache)
    (file,) = detections_folder(cache, DETECTOR).iterdir()
    file.write_bytes(damaged(file.read_bytes(), damage))
    try:
        _, read = read_detections(file)
    except UsageError as error:
        assert "fercache extract" in str(error)
    else:
        for image, faces in found.items():
            np.testing.assert_array_equal(read[image], faces)
