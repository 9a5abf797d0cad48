"""Frames: their times, turned upright, and what damage leaves."""

import os
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.images.colours import Unreadable
from fercache.videos import is_video
from fercache.videos.frames import Video
from tests.videos.made_clips import RATE, SIZE, STEP, grey_frames, write_clip

SECONDS = 2


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", grey_frames(SECONDS * RATE))


@settings(max_examples=15, deadline=None)
@given(st.floats(0.3, 60.0))
def test_of_each_interval_the_first_frame(clip: Path, rate: float) -> None:
    numbers = range(SECONDS * RATE)
    first = {int(number / RATE * rate + 1e-6): number for number in reversed(numbers)}
    frames = list(Video(clip).frames(rate))
    assert [frame.time for frame in frames] == pytest.approx([n / RATE for n in sorted(first.values())])
    greys = [float(frame.pixels[-8:, -8:].mean()) for frame in frames]
    assert greys == pytest.approx([STEP * n % 200 for n in sorted(first.values())], abs=3)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx"), ("a.ts", "mpeg2video")]
)
def test_every_format_gives_the_same_times(tmp_path: Path, name: str, codec: str) -> None:
    path = write_clip(tmp_path / name, grey_frames(RATE), codec)
    video = Video(path)
    assert is_video(path) and video.seconds == pytest.approx(1.0, abs=0.05)
    assert [frame.time for frame in video.frames(5)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8], abs=0.002)
    assert not video.warning


@pytest.mark.parametrize(("degrees", "row", "column"), [(0, 0, 0), (90, -1, 0), (180, -1, -1), (-90, 0, -1)])
def test_a_turned_video_is_upright(tmp_path: Path, degrees: int, row: int, column: int) -> None:
    """The bright corner, at the top left of the stored frames, turns counterclockwise."""
    path = write_clip(tmp_path / "turned.mp4", grey_frames(3), degrees=degrees)
    pixels = next(Video(path).frames()).pixels
    assert pixels.shape == ((*SIZE, 3) if degrees in (90, -90) else (SIZE[1], SIZE[0], 3))
    corners = {(r, c): pixels[r, c].mean() for r in (0, -1) for c in (0, -1)}
    assert max(corners, key=lambda place: corners[place]) == (row, column)


def test_pixels_that_are_not_square_become_square(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "wide.mp4", grey_frames(3), shape=Fraction(4, 3))
    assert next(Video(path).frames()).pixels.shape == (64, 128, 3)


def test_frames_of_a_varying_rate_keep_their_times(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "slow.mkv", grey_frames(10), times=lambda number: number * number)
    times = [frame.time for frame in Video(path).frames(1000)]
    assert times == pytest.approx([number * number / RATE for number in range(10)], abs=0.002)


def test_a_truncated_video_gives_the_frames_that_it_has(clip: Path, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    path = tmp_path / "short.mp4"
    path.write_bytes(whole[: len(whole) * 9 // 10])
    video = Video(path)
    times = [frame.time for frame in video.frames(RATE)]
    assert 0 < len(times) < SECONDS * RATE and times == sorted(set(times))
    assert "truncated" in video.warning or "damaged" in video.warning


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_damage_anywhere_costs_frames_and_not_the_program(
    tmp_path_factory: pytest.TempPathFactory, clip: Path, data: st.DataObject
) -> None:
    whole = bytearray(clip.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=30)):
        whole[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "clip.mp4"
    path.write_bytes(whole)
    try:
        times = [frame.time for frame in Video(path).frames(RATE)]
    except Unreadable:
        return
    assert times == sorted(set(times)) and times[0] >= 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "zero bytes"),
        (b"Dear diary,\n" * 99, "text, not a video"),
        (b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n", "text, not a video"),
        (b"ffconcat version 1.0\nfile clip.mp4\n", "text, not a video"),
        (b"\0" * 5000, "not a video of a known format"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 99, "index"),
    ],
)
def test_what_is_no_video_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert is_video(path)
    with pytest.raises(Unreadable, match=reason):
        list(Video(path).frames())


def test_images_and_devices_are_no_videos(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "image.mp4").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "zeros.mp4").symlink_to("/dev/zero")
    assert not [path for path in tmp_path.iterdir() if is_video(path)]
    with pytest.raises(Unreadable, match="not a plain file"):
        Video(tmp_path / "pipe.mp4")


def test_frames_too_large_are_refused_before_they_are_decoded(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fercache.videos.frames.MOST_PIXELS", 96 * 64 - 1)
    with pytest.raises(Unreadable, match="96 x 64 pixels"):
        Video(clip)


def test_without_pyav_the_message_names_the_extra(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"fercache\[faces\]"):
        Video(clip)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", grey_frames(200, (160, 120)))
    frame = 160 * 120 * 3
    tracemalloc.start()
    for each in Video(path).frames(RATE):
        assert isinstance(each.pixels, np.ndarray)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * frame
