"""Videos and the camera through the command line."""

import csv
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fercache.predicting import predict, predictor
from fercache.videos import camera
from tests.cli.test_wrong_use import refused
from tests.command_line import Run
from tests.predicting.fake_predictor import NAMES, VIOLET, ByColour, RedSquares, scene
from tests.predicting.test_clips import SMILE, STOP, two_faces
from tests.videos.made_clips import write_clip


@pytest.fixture(autouse=True)
def without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "_classifier", lambda *_: ByColour())
    monkeypatch.setattr(predictor, "load_detector", lambda _: RedSquares())
    monkeypatch.setattr(predictor.Predictor, "describe", lambda _: {"model": "fake"})


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("films") / "clip.mp4", two_faces())


@pytest.fixture
def clip(film: Path, tmp_path: Path) -> Path:
    (tmp_path / "clip.mp4").write_bytes(film.read_bytes())
    return Path("clip.mp4")


def lines_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_changes_are_printed_and_every_face_is_in_the_table(run: Run, clip: Path) -> None:
    outcome = run("predict", clip, "--csv", "faces.csv", "--json", "faces.json")
    assert outcome.code == 0, outcome.err
    *changes, counted, _, _ = outcome.out.splitlines()
    assert sorted(line.split(":", 2)[1].split(" ")[0] for line in changes) == ["00.0", "00.0", "01.6", "02.4"]
    assert f"clip.mp4 0:0{SMILE} track 1: happiness 90%  neutral 10%" in changes
    assert f"clip.mp4 0:0{STOP} track 2: neutral 90%  happiness 10%" in changes
    assert counted == "clip.mp4: 2 tracks in 20 frames"
    table = lines_of("faces.csv")
    assert len(table) == 40 and list(table[0])[:4] == ["path", "time", "track", "face"]
    assert [float(row["time"]) for row in table[::2]] == pytest.approx([n / 5 for n in range(20)])
    assert all(sum(float(row[name]) for name in NAMES) == pytest.approx(1, abs=1e-5) for row in table)
    frames = json.loads(Path("faces.json").read_text())["images"]
    assert [(f["time"], {face["track"] for face in f["faces"]}) for f in frames[:2]] == [(0, {1, 2}), (0.2, {1, 2})]


def test_a_drawn_video_is_a_plot_per_track_and_the_frames_that_change(run: Run, clip: Path) -> None:
    outcome = run("predict", clip, "--draw", "out")
    assert outcome.code == 0, outcome.err
    frames = [f"clip.{at}s.faces.jpg" for at in ("0m00.0", f"0m0{SMILE}", f"0m0{STOP}")]
    assert sorted(path.name for path in Path("out").iterdir()) == [*frames, "clip.track-1.png", "clip.track-2.png"]
    for path in Path("out").iterdir():
        with Image.open(path) as image:
            assert min(image.size) >= 200 and np.asarray(image).std() > 20


def test_a_folder_of_images_and_videos_has_one_table(run: Run, clip: Path) -> None:
    folder = Path("files")
    folder.mkdir()
    clip.rename(folder / "b.mp4")
    Image.fromarray(scene([(20, 20, VIOLET)])).save(folder / "a.png")
    (folder / "c.mp4").write_text("Dear diary")
    outcome = run("predict", folder, "--fps", 1, "--csv", "faces.csv")
    assert outcome.code == 3 and "1 of 3 files could not be read" in outcome.err
    found = [(Path(row["path"]).name, row["time"], row["track"], row["unreadable"]) for row in lines_of("faces.csv")]
    video = [("b.mp4", str(time), str(track), "") for time in range(4) for track in (1, 2)]
    assert sorted(found) == sorted([("a.png", "", "", ""), *video, ("c.mp4", "", "", "text, not a video")])


def test_a_video_alone_that_is_none_fails(run: Run) -> None:
    Path("notes.mp4").write_text("Dear diary")
    outcome = run("predict", "notes.mp4")
    assert outcome.code == 1 and "notes.mp4: unreadable, text, not a video" in outcome.out


def test_a_truncated_video_is_read_with_a_warning(run: Run, clip: Path) -> None:
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) * 6 // 10])
    outcome = run("predict", clip)
    assert outcome.code == 0 and "warning: clip.mp4 is truncated" in outcome.err and "2 tracks in" in outcome.out


def test_without_a_detector_the_message_names_the_extra(run: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise predictor.UsageError(name)

    monkeypatch.setattr(predictor, "load_detector", missing)
    refused(run("predict", clip), r"fercache[faces]", "--faces none")
    assert run("predict", clip, "--faces", "none").code == 0


@pytest.mark.parametrize("given", [(), ("clip.mp4", "--webcam")])
def test_files_or_the_camera(run: Run, clip: Path, given: tuple[str, ...]) -> None:
    refused(run("predict", *given), "--webcam", "one or the other")


class FakeCapture:
    """A camera of 25 frames per second whose frames are `images`; its clock moves on with each."""

    def __init__(self, images: Iterator[NDArray[np.uint8]], interrupt_at: int = -1) -> None:
        self.images, self.read, self.released, self.interrupt_at = images, 0, False, interrupt_at
        self.latest: Any = None

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def grab(self) -> bool:
        self.latest = next(self.images, None)
        self.read += 1
        if self.read == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        return self.latest is not None

    def retrieve(self) -> tuple[bool, Any]:
        return True, self.latest[:, :, ::-1]

    def release(self) -> None:
        self.released = True


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> FakeCapture:
    fake = FakeCapture(two_faces())
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: fake)
    monkeypatch.setattr(camera, "time", SimpleNamespace(monotonic=lambda: fake.read / 25))
    return fake


def test_the_camera_prints_changes_until_it_ends(run: Run, capture: FakeCapture) -> None:
    outcome = run("predict", "--webcam", "--csv", "seen.csv")
    assert outcome.code == 0, outcome.err
    assert len([line for line in outcome.out.splitlines() if line.startswith("camera 0:0")]) == 4
    assert {row["track"] for row in lines_of("seen.csv")} == {"1", "2"} and capture.released


def test_an_interrupt_ends_the_camera_and_completes_the_table(run: Run, capture: FakeCapture) -> None:
    capture.interrupt_at = 26
    before = signal.getsignal(signal.SIGINT)
    outcome = run("predict", "--webcam", "--csv", "seen.csv")
    assert outcome.code == 0, outcome.err
    assert capture.read == 26 and len(lines_of("seen.csv")) == 2 * 6
    assert not Path("seen.csv.part").exists() and signal.getsignal(signal.SIGINT) is before


def test_no_camera_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: SimpleNamespace(isOpened=lambda: False))
    refused(run("predict", "--webcam", "--camera", 3), "There is no camera 3", code=1)
