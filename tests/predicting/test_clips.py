"""Videos and cameras through a predictor: tracks, times, and what is unreadable."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fercache.options.predict import VideoOptions
from fercache.predicting.changes import Changes
from fercache.predicting.clips import of_frames, of_video
from fercache.predicting.predictor import FIRST_FRAME
from fercache.predicting.results import UNKNOWN, PredictedFrame, PredictedImage
from fercache.predicting.thresholds import Threshold
from fercache.videos import is_video
from fercache.videos.frames import Frame
from tests.predicting.fake_predictor import RED, VIOLET, fake_predictor, scene
from tests.videos.made_clips import RATE, write_clip

USUAL = VideoOptions()
SMILE, STOP = 1.6, 2.4
"""Seconds at which the first face begins to smile and the second one stops."""


def two_faces(seconds: float = 4.0) -> Iterator[Any]:
    for number in range(int(seconds * RATE)):
        time = number / RATE
        one = (4 + 20 * time, 10, VIOLET if time >= SMILE else RED)
        other = (130 - 20 * time, 60, RED if time >= STOP else VIOLET)
        yield scene([one, other])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", two_faces())


def frames_of(images: Any) -> list[PredictedFrame]:
    found = list(images)
    assert all(isinstance(image, PredictedFrame) for image in found)
    return found


@pytest.mark.parametrize(("rate", "smooth"), [(5.0, 0.4), (12.5, 0.4), (5.0, 0.0)])
def test_two_faces_are_two_tracks_that_change_when_they_do(clip: Path, rate: float, smooth: float) -> None:
    frames = frames_of(of_video(fake_predictor(), clip, VideoOptions(fps=rate, smooth=smooth)))
    assert [frame.time for frame in frames] == pytest.approx([n / rate for n in range(len(frames))], abs=1e-3)
    assert len(frames) == 4 * rate and all({f.track for f in frame.faces} == {1, 2} for frame in frames)
    assert not any(frame.warning for frame in frames)
    following = Changes()
    changes = [change for frame in frames for change in following.update(frame)]
    found = sorted((c.face.track or 0, c.face.expression, c.time) for c in changes)
    first = min(frames[0].faces, key=lambda face: face.box or ()).track or 0
    expected = [(first, "neutral", 0.0), (first, "happiness", SMILE)]
    expected += [(3 - first, "happiness", 0.0), (3 - first, "neutral", STOP)]
    for ours, true in zip(found, sorted(expected), strict=True):
        assert ours[:2] == true[:2] and ours[2] == pytest.approx(true[2], abs=1 / rate)


def test_what_is_missing_is_the_warning_of_the_last_frame(clip: Path, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    short = tmp_path / "short.mp4"
    short.write_bytes(whole[: len(whole) * 6 // 10])
    *others, last = frames_of(of_video(fake_predictor(), short, USUAL))
    assert "truncated" in last.warning and not any(frame.warning for frame in others)


def test_an_unreadable_video_is_one_unreadable_image(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("Dear diary")
    assert list(of_video(fake_predictor(), tmp_path / "notes.mp4", USUAL)) == [
        PredictedImage(str(tmp_path / "notes.mp4"), unreadable="text, not a video")
    ]


def test_a_threshold_holds_for_the_mean(clip: Path) -> None:
    predictor = fake_predictor(threshold=Threshold(0.8, "given"))
    expressions = {face.expression for frame in frames_of(of_video(predictor, clip, USUAL)) for face in frame.faces}
    assert expressions == {"happiness", "neutral", UNKNOWN}


def test_without_a_detector_a_frame_is_a_face() -> None:
    frames = [Frame(n / 5, np.full((40, 40, 3), VIOLET, np.uint8)) for n in range(3)]
    found = list(of_frames(fake_predictor(detector=False), frames, name="crops", rate=5))
    assert [[(f.track, f.box, f.expression) for f in each.faces] for each in found] == [
        [(1, (0.0, 0.0, 40.0, 40.0), "happiness")]
    ] * 3


def test_frames_far_apart_still_belong_to_a_track() -> None:
    frames = [Frame(10.0 * n, scene([(20 + n, 20, RED)])) for n in range(3)]
    found = of_frames(fake_predictor(), frames, name="slow", rate=0.1)
    assert [face.track for each in found for face in each.faces] == [1, 1, 1]


def test_a_frame_as_json_has_its_time_and_tracks(clip: Path) -> None:
    frame = next(of_frames(fake_predictor(), [Frame(1.25, scene([(20, 20, RED)]))], name="a.mp4", rate=5))
    found = replace(frame, warning="is short").to_dict()
    assert list(found)[:2] == ["image", "time"] and found["time"] == 1.25 and found["warning"] == "is short"
    assert found["faces"][0]["track"] == 1 and found["faces"][0]["expression"] == "neutral"


def test_frames_are_read_as_they_are_needed() -> None:
    """A queue of some frames, whatever the length."""
    read: list[int] = []

    def film() -> Iterator[Frame]:
        for number in range(200):
            read.append(number)
            yield Frame(number / 5, scene([(20, 20, RED)]))

    for number, _ in enumerate(of_frames(fake_predictor(), film(), name="long", rate=5)):
        assert len(read) - number <= 8


def test_an_animation_is_an_image_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.fromarray(scene([(20, 20, colour)])) for colour in (VIOLET, RED)]
    frames[0].save(path, save_all=True, append_images=frames[1:], loop=0)
    found, same, still = fake_predictor()([path, path.read_bytes(), np.asarray(frames[0])])
    assert found.warning == same.warning == FIRST_FRAME and not still.warning
    assert found.faces[0].expression == "happiness" and not is_video(path)
