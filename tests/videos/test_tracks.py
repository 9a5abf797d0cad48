"""Tracks: one number for one face, however it moves."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.videos.tracks import GAP, Box, Look, Tracker

SIDE = 40.0
RATE = 5.0


def box(x: float, y: float, side: float = SIDE) -> Box:
    return (x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def numbers(frames: Sequence[Sequence[Box]], rate: float = RATE) -> list[list[int]]:
    tracker = Tracker()
    return [tracker.link(number / rate, boxes) for number, boxes in enumerate(frames)]


boxes = st.builds(box, st.floats(0, 300), st.floats(0, 300), st.floats(5, 90))
films = st.lists(st.lists(boxes, max_size=5), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(films)
def test_faces_of_a_frame_have_different_tracks_numbered_as_they_appear(frames: list[list[Box]]) -> None:
    given_numbers = numbers(frames)
    assert all(len(set(frame)) == len(frame) == len(seen) for frame, seen in zip(given_numbers, frames, strict=True))
    flat = [number for frame in given_numbers for number in frame]
    assert list(dict.fromkeys(flat)) == list(range(1, len(set(flat)) + 1))


@settings(deadline=None, max_examples=60)
@given(films, st.integers(-1000, 1000), st.integers(-1000, 1000), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_tracks_do_not_depend_on_place_and_resolution(frames: list[list[Box]], x: int, y: int, scale: float) -> None:
    rounded = [[tuple(map(round, each)) for each in frame] for frame in frames]
    moved = [[tuple(np.multiply(np.add(each, (x, y, x, y)), scale)) for each in frame] for frame in rounded]
    assert numbers(moved) == numbers(rounded)  # type: ignore[arg-type]


@st.composite
def walks(draw: st.DrawFn) -> list[list[Box]]:
    """Faces on rows of their own, six sides apart, each at its speed, which changes a little."""
    length = draw(st.integers(2, 20))
    rows = []
    for row in range(draw(st.integers(1, 4))):
        x, speed, path = draw(st.floats(0, 500)), draw(st.floats(-SIDE, SIDE)), []
        for _ in range(length):
            path.append(box(x, 6 * SIDE * row))
            speed = float(np.clip(speed + draw(st.floats(-SIDE / 4, SIDE / 4)), -SIDE, SIDE))
            x += speed
        rows.append(path)
    return [list(frame) for frame in zip(*rows, strict=True)]


@settings(deadline=None, max_examples=60)
@given(walks(), st.randoms())
def test_faces_apart_keep_their_tracks_in_any_order(frames: list[list[Box]], random: np.random.Generator) -> None:
    expected = list(range(1, len(frames[0]) + 1))
    tracker = Tracker()
    assert tracker.link(0.0, frames[0]) == expected
    for number, frame in enumerate(frames[1:], 1):
        order = list(range(len(frame)))
        random.shuffle(order)
        assert tracker.link(number / RATE, [frame[place] for place in order]) == [expected[place] for place in order]


@settings(deadline=None, max_examples=60)
@given(walks(), st.floats(0.0, 3.0))
def test_a_face_keeps_its_track_if_it_is_out_of_sight_for_a_short_time(frames: list[list[Box]], away: float) -> None:
    tracker = Tracker()
    before = tracker.link(0.0, frames[0])
    if away > 0.1:
        assert tracker.link(away / 2, []) == []
    after = tracker.link(away + 0.01, frames[0])
    assert (after == before) == (away + 0.01 <= GAP) and len(after) == len(before)


def test_faces_that_pass_each_other_are_distinguished_by_their_velocity() -> None:
    frames = [[box(30.0 * n, 100), box(400 - 30.0 * n, 112)] for n in range(14)]
    assert numbers(frames) == [[1, 2]] * 14


def test_a_face_that_turns_back_keeps_its_track() -> None:
    places = [*range(0, 200, 30), *range(200, 0, -30)]
    assert numbers([[box(x, 50)] for x in places]) == [[1]] * len(places)


def test_a_cut_to_another_face_at_the_same_place_begins_a_track() -> None:
    one, other = np.array([1, 0], np.float32), np.array([-0.8, 0.6], np.float32)
    tracker = Tracker()
    seen = [tracker.link(n / RATE, [box(50, 50)], [look]) for n, look in enumerate((one, one, other, other))]
    assert seen == [[1], [1], [2], [2]]


def test_appearance_decides_where_places_are_alike() -> None:
    one, other = np.array([1, 0], np.float32), np.array([0.6, 0.8], np.float32)
    looks: list[list[Look]] = [[one, other], [other, one]]
    tracker = Tracker()
    near = [box(50, 50), box(52, 50)]
    assert [tracker.link(n / RATE, near, each) for n, each in enumerate(looks)] == [[1, 2], [2, 1]]


@pytest.mark.parametrize("side", [SIDE * 2.1, SIDE / 2.1])
def test_a_face_of_another_size_is_another(side: float) -> None:
    assert numbers([[box(50, 50)], [box(50, 50, side)]]) == [[1], [2]]


def test_memory_is_that_of_the_faces_in_sight() -> None:
    tracker = Tracker()
    for number in range(200):
        tracker.link(float(number) * 2, [box(5 * SIDE * each, 9 * SIDE * (number % 2)) for each in range(4)])
    assert len(tracker._tracks) == 4 and tracker.link(500.0, [box(0, 0)]) == [801]
