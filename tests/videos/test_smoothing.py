"""Probabilities averaged over time, and changes of expression."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercache.images.alignment import FoundFace
from fercache.videos.changes import Change, Changes
from fercache.videos.moments import Moment, Sighting
from fercache.videos.smoothing import smoothed

FACE = FoundFace((0.0, 0.0, 10.0, 10.0))
NAMES = ("anger", "neutral")


def moment(time: float, shares: dict[int, float]) -> Moment:
    """The probability of the first expression, by track."""
    seen = (Sighting(track, FACE, np.array([share, 1 - share], np.float32)) for track, share in shares.items())
    return Moment(time, tuple(seen))


@st.composite
def films(draw: st.DrawFn) -> list[Moment]:
    steps = draw(st.lists(st.integers(1, 12), max_size=12))
    tracks = st.dictionaries(st.integers(1, 3), st.floats(0, 1), max_size=3)
    return [moment(time / 10, draw(tracks)) for time in np.cumsum([0, *steps]).tolist()]


spans = st.sampled_from([0.0, 0.05, 0.4, 0.75, 2.0])


@given(films(), spans, spans)
def test_every_face_has_the_mean_of_its_track_within_the_span(film: list[Moment], before: float, after: float) -> None:
    averaged = list(smoothed(film, before, after))
    assert [each.time for each in averaged] == [each.time for each in film]
    for ours, whole in zip(averaged, film, strict=True):
        near = [m for m in film if -before - 1e-6 <= m.time - whole.time <= after + 1e-6]
        assert [s.track for s in ours.sightings] == [s.track for s in whole.sightings]
        for sighting in ours.sightings:
            same = [s.shares for m in near for s in m.sightings if s.track == sighting.track]
            assert sighting.shares == pytest.approx(np.mean(same, axis=0), abs=1e-5)


def test_a_moment_is_not_kept_longer_than_necessary() -> None:
    film = [moment(number / 10, {1: 0.5}) for number in range(100)]
    seen: list[float] = []
    watched = (seen.append(each.time) or each for each in film)  # type: ignore[func-returns-value]
    waited = [seen[-1] - each.time for each in smoothed(watched, 1.0, 0.3)]
    assert max(waited) <= 0.3 + 1e-6 and len(waited) == 100


def first(sighting: Sighting) -> str:
    return NAMES[int(sighting.shares.argmax())]


def changes(film: list[Moment], hold: float = 0.4) -> list[Change]:
    following = Changes(first, hold)
    return [change for each in film for change in following.update(each)] + following.rest()


def brief(found: list[Change]) -> list[tuple[float, int, str]]:
    return [(round(change.time, 6), change.track, change.expression) for change in found]


def test_a_change_has_the_time_at_which_it_began() -> None:
    film = [moment(n / 5, {1: 0.9 if n < 10 else 0.2}) for n in range(20)]
    assert brief(changes(film)) == [(0.0, 1, "anger"), (2.0, 1, "neutral")]
    assert changes(film)[1].share == pytest.approx(0.8)


def test_a_short_flicker_is_no_change() -> None:
    film = [moment(n / 5, {1: 0.1 if n in (7, 8) else 0.9}) for n in range(20)]
    assert brief(changes(film)) == [(0.0, 1, "anger")]
    assert len(changes(film, hold=0.2)) == 3


def test_tracks_do_not_affect_each_other() -> None:
    film = [moment(n / 5, {1: 0.9, 2: 0.1 if n < 5 else 0.8}) for n in range(20)]
    assert brief(changes(film)) == [(0.0, 1, "anger"), (0.0, 2, "neutral"), (1.0, 2, "anger")]


def test_a_face_in_a_single_frame_is_reported_at_the_end() -> None:
    assert brief(changes([moment(0.0, {1: 0.9}), moment(0.2, {})])) == [(0.0, 1, "anger")]


@given(films())
def test_each_change_of_a_track_is_to_another_expression_and_later(film: list[Moment]) -> None:
    found = changes(film)
    assert {change.track for change in found} == {s.track for m in film for s in m.sightings}
    for track in {change.track for change in found}:
        own = [change for change in found if change.track == track]
        assert all(a.time < b.time and a.expression != b.expression for a, b in pairwise(own))
