"""Whose images a report may show, and that they are what the encoder looked at."""

import base64
import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fercache.contracts import Miniature
from fercache.images.corruptions import corruptions
from fercache.images.decode import decode
from fercache.loading import thumbnails
from fercache.loading.thumbnails import images_of, thumbnail
from fercache.reporting.report import FaceImages
from fercache.settings import Settings
from tests.datasets.miniatures.own_images import folder, manifest

FACES = ["webcam-03200", "webcam-03999"]


@pytest.fixture
def own(tmp_path: Path) -> Miniature:
    return folder(tmp_path / "own")


def images(tmp_path: Path, show_real: bool, **datasets: Path | None) -> FaceImages:
    """Of `folder:mine` and the like, by the family's name; a cache without tables."""
    roots = {f"{family}:mine": root for family, root in datasets.items() if root}
    return images_of(Settings(cache=tmp_path / "cache", datasets=roots), show_real)


def opened(uri: str) -> Image.Image:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_synthetic_faces_are_rendered_once_and_real_ones_are_never_kept(
    tmp_path: Path, own: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = images(tmp_path, False)("synthetic:webcam", FACES)
    assert images(tmp_path, True, folder=own.root)("folder:mine", ["TEST/sad/0.png"])
    (kept,) = (tmp_path / "cache" / "thumbnails").iterdir()
    rendered: list[str] = []
    render = thumbnails.thumbnails
    monkeypatch.setattr(thumbnails, "thumbnails", lambda faces: render([f for f in faces if not rendered.append(f.id)]))
    assert images(tmp_path, False)("synthetic:webcam", FACES) == found and rendered == []
    more = images(tmp_path, False)("synthetic:webcam", [*FACES, "webcam-03300"])
    assert rendered == ["webcam-03300"] and found.items() <= more.items()
    kept.write_text('["damaged"]')
    assert images(tmp_path, False)("synthetic:webcam", FACES) == found and rendered[1:] == FACES
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.write_text("a file where the folder should be")
    assert images(tmp_path, False)("synthetic:webcam", FACES) == found


@pytest.mark.parametrize("show_real", [True, False])
def test_made_up_faces_are_always_shown_small(tmp_path: Path, show_real: bool) -> None:
    found = images(tmp_path, show_real)("synthetic:webcam", FACES)
    assert list(found) == FACES
    assert {opened(uri).size for uri in found.values()} == {(72, 72)}
    assert all(len(uri) < 4_000 for uri in found.values()) and len(set(found.values())) == 2


def test_real_faces_are_shown_only_where_somebody_asks_for_them(tmp_path: Path, own: Miniature) -> None:
    ids = ["TEST/sad/0.png", "train/Happy/1.PNG"]
    assert images(tmp_path, False, folder=own.root)("folder:mine", ids) == {}
    assert set(images(tmp_path, True, folder=own.root)("folder:mine", ids)) == set(ids)


def test_unknown_ids_are_left_out(tmp_path: Path) -> None:
    assert list(images(tmp_path, False)("synthetic:webcam", ["nobody", *FACES[:1]])) == FACES[:1]
    assert images(tmp_path, False)("synthetic:webcam", []) == {}


def test_images_that_cannot_be_read_are_left_out(tmp_path: Path, own: Miniature) -> None:
    assert own.root
    (own.root / "TEST/sad/0.png").write_bytes(b"no image")
    found = images(tmp_path, True, folder=own.root)("folder:mine", ["TEST/sad/0.png", "TEST/sad/1.PNG"])
    assert list(found) == ["TEST/sad/1.PNG"]


def test_a_face_is_cut_out_and_corrupted_as_for_the_encoder(tmp_path: Path) -> None:
    own = manifest(tmp_path / "own")
    assert own.root
    whole = (own.root.parent / "b/0.png").read_bytes()
    face = decode(whole, (1, 2, 8, 9))
    (blur,) = corruptions("blur:5")
    shown = images(tmp_path, True, manifest=own.root)
    (id,) = [id for id in own.truth if "#" in id]
    assert shown("manifest:mine", [id]) == {id: thumbnail(face)}
    assert shown("manifest:mine+blur:5", [id]) == {id: thumbnail(blur(face))}
    assert thumbnail(face) != thumbnail(decode(whole)) != thumbnail(blur(face))


def test_an_image_that_is_not_square_shows_its_middle() -> None:
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, 40:80] = 255
    assert np.asarray(opened(thumbnail(pixels))).min() > 200  # its borders are a little darker


def test_the_root_may_be_known_from_an_extraction_alone(
    tmp_path: Path, own: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    def table(dataset: str, root: Path | None) -> SimpleNamespace:
        return SimpleNamespace(identity={"dataset": dataset}, provenance={"root": root and str(root)})

    tables = [table("synthetic:webcam", None), table("folder:other", tmp_path), table("folder:mine", own.root)]
    monkeypatch.setattr(thumbnails, "find_tables", lambda cache: tables)
    assert list(images(tmp_path, True)("folder:mine", ["TEST/sad/0.png"])) == ["TEST/sad/0.png"]
    assert images(tmp_path, False)("folder:mine", ["TEST/sad/0.png"]) == {}


@pytest.mark.parametrize("target", ["folder:mine", "rafdb", "somebodys-plugin:night", "synthetic:noon", "not a name"])
def test_what_is_not_known_is_not_shown_and_no_error(tmp_path: Path, target: str) -> None:
    assert images(tmp_path, True)(target, ["TEST/sad/0.png"]) == {}
    assert images(tmp_path, True, folder=tmp_path / "gone")("folder:mine", ["TEST/sad/0.png"]) == {}


def test_it_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fercache.settings import Settings\n"
        "from fercache.loading.thumbnails import images_of\n"
        f"shown = images_of(Settings(cache=Path('cache')), False)('synthetic:webcam', {FACES})\n"
        "assert len(shown) == 2 and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
