"""Probabilities averaged over time, and changes of expression."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.predicting.changes import Change, Changes
from fercache.predicting.results import UNKNOWN, PredictedFace, PredictedFrame, answered
from fercache.predicting.smoothing import smoothed

NAMES = ("anger", "neutral")


def frame(time: float, shares: dict[int, float]) -> PredictedFrame:
    """The probability of the first expression, by track."""
    faces = (PredictedFace("", {}, box=(0, 0, 9, 9), track=track) for track in shares)
    pairs = zip(faces, shares.values(), strict=True)
    return PredictedFrame("clip", 9, 9, tuple(answered(f, {"anger": p, "neutral": 1 - p}) for f, p in pairs), time=time)


@st.composite
def films(draw: st.DrawFn) -> list[PredictedFrame]:
    steps = draw(st.lists(st.integers(1, 12), max_size=12))
    tracks = st.dictionaries(st.integers(1, 3), st.floats(0, 1), max_size=3)
    return [frame(time / 10, draw(tracks)) for time in np.cumsum([0, *steps]).tolist()]


spans = st.sampled_from([0.0, 0.05, 0.4, 0.75, 2.0])


@settings(deadline=None, max_examples=60)
@given(films(), spans, spans)
def test_every_face_has_the_mean_of_its_track_within_the_span(
    film: list[PredictedFrame], before: float, after: float
) -> None:
    averaged = list(smoothed(film, before, after))
    assert [each.time for each in averaged] == [each.time for each in film]
    for ours, whole in zip(averaged, film, strict=True):
        near = [m for m in film if -before - 1e-6 <= m.time - whole.time <= after + 1e-6]
        assert [face.track for face in ours.faces] == [face.track for face in whole.faces]
        for face in ours.faces:
            same = [f.probabilities["anger"] for m in near for f in m.faces if f.track == face.track]
            assert face.probabilities["anger"] == pytest.approx(np.mean(same))
            assert face.expression == next(iter(face.probabilities)) == max(NAMES, key=face.probabilities.__getitem__)


def test_a_mean_below_the_threshold_is_unknown() -> None:
    film = [frame(n / 5, {1: share}) for n, share in enumerate((0.95, 0.55, 0.95))]
    found = [each.faces[0].expression for each in smoothed(film, 0.0, 0.0, unknown_below=0.8)]
    assert found == ["anger", UNKNOWN, "anger"]
    found = [each.faces[0].expression for each in smoothed(film, 0.2, 0.2, unknown_below=0.8)]
    assert found == [UNKNOWN, "anger", UNKNOWN]


def test_a_frame_is_not_kept_longer_than_necessary() -> None:
    film = [frame(number / 10, {1: 0.5}) for number in range(100)]
    seen: list[float] = []
    watched = (seen.append(each.time) or each for each in film)  # type: ignore[func-returns-value]
    waited = [seen[-1] - each.time for each in smoothed(watched, 1.0, 0.3)]
    assert max(waited) <= 0.3 + 1e-6 and len(waited) == 100


def changes(film: list[PredictedFrame], hold: float = 0.4) -> list[Change]:
    following = Changes(hold)
    return [change for each in film for change in following.update(each)] + following.rest()


def brief(found: list[Change]) -> list[tuple[float, int, str]]:
    return [(round(change.time, 6), change.face.track or 0, change.face.expression) for change in found]


def test_a_change_has_the_time_at_which_it_began() -> None:
    film = [frame(n / 5, {1: 0.9 if n < 10 else 0.2}) for n in range(20)]
    assert brief(changes(film)) == [(0.0, 1, "anger"), (2.0, 1, "neutral")]
    assert changes(film)[1].face.probabilities["neutral"] == pytest.approx(0.8)


def test_a_short_flicker_is_no_change() -> None:
    film = [frame(n / 5, {1: 0.1 if n in (7, 8) else 0.9}) for n in range(20)]
    assert brief(changes(film)) == [(0.0, 1, "anger")]
    assert len(changes(film, hold=0.2)) == 3


def test_tracks_do_not_affect_each_other() -> None:
    film = [frame(n / 5, {1: 0.9, 2: 0.1 if n < 5 else 0.8}) for n in range(20)]
    assert brief(changes(film)) == [(0.0, 1, "anger"), (0.0, 2, "neutral"), (1.0, 2, "anger")]


def test_a_face_in_a_single_frame_is_reported_at_the_end() -> None:
    assert brief(changes([frame(0.0, {1: 0.9}), frame(0.2, {})])) == [(0.0, 1, "anger")]


@settings(deadline=None, max_examples=60)
@given(films())
def test_each_change_of_a_track_is_to_another_expression_and_later(film: list[PredictedFrame]) -> None:
    found = changes(film)
    tracks = {change.face.track for change in found}
    assert tracks == {face.track for each in film for face in each.faces}
    for track in tracks:
        own = [change for change in found if change.face.track == track]
        assert all(a.time < b.time and a.face.expression != b.face.expression for a, b in pairwise(own))
