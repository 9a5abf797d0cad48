from collections.abc import Callable
from pathlib import Path

import pytest

from fercache.contracts import Miniature
from fercache.datasets import FaceImage, Finding
from fercache.datasets.ckplus import plugin
from fercache.errors import UsageError
from tests.datasets.miniatures.ckplus import FRAMES, cropped, frames, official
from tests.datasets.miniatures.images import write

ORDER = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
EMOTION = Path("Emotion", "S005", "001", "S005_001_00000005_emotion.txt")
LANDMARKS = Path("Landmarks", "S005", "001", "S005_001_00000001_landmarks.txt")

both_layouts = pytest.mark.parametrize("build", [official, cropped])


def test_a_sequence_gives_its_first_frame_and_the_last_three(tmp_path: Path) -> None:
    official(tmp_path)
    first, second, third, fourth, *_ = frames("S005/001")[:1] + frames("S005/001")[-3:]
    faces = [(Path(face.id).stem, face.label, face.box) for face in plugin.faces(tmp_path)]
    assert faces[:4] == [
        (first, "neutral", None),
        (second, "disgust", None),
        (third, "disgust", None),
        (fourth, "disgust", None),
    ]
    assert FRAMES > 4, "one of them must be left out"


@both_layouts
def test_splits_are_by_subject(tmp_path: Path, build: Callable[[Path], Miniature]) -> None:
    build(tmp_path)
    split_of: dict[str, set[str]] = {}
    faces: list[FaceImage] = list(plugin.faces(tmp_path))
    for face in faces:
        assert Path(face.id).name.startswith(f"{face.subject}_")
        split_of.setdefault(face.subject, set()).add(face.split)
    in_order = [split for subject in sorted(split_of) for split in split_of[subject]]
    assert in_order == ["train"] * 7 + ["validation"] + ["test"] * 2 + ["train"]
    assert plugin.target_split == "", "all of it is scored"


def test_boxes_are_around_the_landmarks(tmp_path: Path) -> None:
    """They reach from 4 to 12 and from 6 to 14: a quarter on each side is 2, above 3 and below 1."""
    official(tmp_path, landmarks=True)
    assert {face.box for face in plugin.faces(tmp_path)} == {(2, 3, 14, 15)}
    (tmp_path / LANDMARKS).unlink()
    assert next(plugin.faces(tmp_path)).box is None


@pytest.mark.parametrize(
    ("build", "counts"),
    [
        (cropped, (135, 54, 177, 75, 207, 84, 249)),
        (official, (3 * 45, 3 * 18, 3 * 59, 3 * 25, 3 * 69, 3 * 28, 3 * 83, 327)),
    ],
)
def test_published_counts(tmp_path: Path, build: Callable[[Path], Miniature], counts: tuple[int, ...]) -> None:
    build(tmp_path)
    names = (*ORDER, "neutral")[: len(counts)]
    assert plugin.expected(tmp_path) == {"": dict(zip(names, counts, strict=True))}
    assert sum(plugin.expected(tmp_path)[""].values()) == (981 if build is cropped else 981 + 327)


def test_check_counts_the_whole_set_against_what_is_published_and_splits_against_nothing(tmp_path: Path) -> None:
    cropped(tmp_path)
    findings = plugin.check(tmp_path)
    assert Finding("", "", 981, 7 * 33) in findings
    assert Finding("", "contempt", 54, 33) in findings
    assert Finding("test", "contempt", None, 6) in findings


@pytest.mark.parametrize("text", [b"", b"0.0", b"8.0000000e+00\n", b"happy", b"nan", b"inf", b"\xff\xfe"])
def test_labels_out_of_range_are_refused(tmp_path: Path, text: bytes) -> None:
    official(tmp_path)
    path = write(tmp_path / EMOTION, text)
    with pytest.raises(UsageError, match="is not one of 1 anger, 2 contempt, 3 disgust") as error:
        list(plugin.faces(tmp_path))
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["", "1 2\n3\n", "1\n2\n", "x y\n", "nan nan\n", "1 2\ninf 4\n"])
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_broken_landmarks_are_refused(tmp_path: Path, text: str) -> None:
    official(tmp_path, landmarks=True)
    path = write(tmp_path / LANDMARKS, text.encode())
    with pytest.raises(UsageError, match="expected lines of x and y") as error:
        list(plugin.faces(tmp_path))
    assert str(path) in str(error.value)


def test_names_without_a_subject_and_short_sequences_are_refused(tmp_path: Path) -> None:
    cropped(tmp_path / "cropped")
    path = write(tmp_path / "cropped" / "CK+48" / "anger" / "17.png", b"")
    with pytest.raises(UsageError, match="begins with the subject") as error:
        list(plugin.faces(tmp_path / "cropped"))
    assert str(path) in str(error.value)
    official(tmp_path)
    for name in frames("S005/001")[:2]:
        (tmp_path / "cohn-kanade-images" / "S005" / "001" / f"{name}.png").unlink()
    with pytest.raises(UsageError, match=r"001 has 3 frames; expected: more than 3"):
        list(plugin.faces(tmp_path))


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cohn-kanade-images").mkdir()
    with pytest.raises(UsageError, match="neither cohn-kanade-images with Emotion nor"):
        list(plugin.faces(tmp_path))
