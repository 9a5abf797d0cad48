"""What training is given: each face in one of its views, features and crops of the same one."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.heads import Batch
from fercache.images.views import draw_view, load_recipe
from fercache.loading.batches import as_batch, crops_of, stored_views
from fercache.loading.labelled_faces import LabelledFaces, Labelling, labelled_faces
from fercache.loading.tables import extract_command, find_table
from fercache.runtime.memory import limit_features
from fercache.store.crops import find_crops
from fercache.store.tables import FeatureTable, TableInfo, read_info, read_table
from tests.images.test_decode import image
from tests.pixel_encoder import PixelEncoder
from tests.stages.test_extract import PIXELS, save

HAPPY, SAD, SIDE, VIEWS = 5, 4, 20, 3
RECIPE = """
name = "noisy"
steps = [
  {kind = "noise", variance = 200},
  {kind = "flip", p = 0.5},
  {kind = "shift", most = 0.3},
  {kind = "erase", p = 0.5, least = 0.1, most = 0.2},
]
"""


@dataclass(frozen=True)
class Stored:
    """A table of happy faces, sad ones and one without a label, with views and crops."""

    settings: Settings
    info: TableInfo
    table: FeatureTable

    @property
    def labelled(self) -> LabelledFaces:
        return labelled_faces(self.table, DatasetName.parse("folder:mine"), "", Labelling(("sadness", "happiness")))

    def batch(self) -> Batch:
        return as_batch([(self.labelled, crops_of(self.settings.cache, self.info, None))], 2, "cpu")

    def draw(self, faces: Batch, seed: int) -> Batch:
        return stored_views([(self.table, self.labelled)], "cpu").draw(faces, torch.Generator().manual_seed(seed))


@pytest.fixture
def stored(settings: Settings, tmp_path: Path, pixel_encoder: type[PixelEncoder]) -> Stored:
    save(tmp_path / "faces" / "contempt", 1, first=90)  # no expression that counts: rows and faces are not the same
    save(tmp_path / "faces" / "happy", HAPPY)
    save(tmp_path / "faces" / "sad", SAD, first=40)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe = str(tmp_path / "recipe.toml")
    request = ExtractRequest(
        dataset="folder:mine", root=tmp_path / "faces", encoder=PIXELS, views=VIEWS, recipe=recipe, crops=SIDE
    )
    path = extract(settings, request)
    return Stored(settings, read_info(path), read_table(path))


def pixels_of(stored: Stored, face: int) -> NDArray[np.uint8]:
    """The image of a labelled face, by its name."""
    return image(int(Path(stored.labelled.id[face]).stem))


def views_of(stored: Stored, drawn: Tensor) -> list[int]:
    """Which view's features each face has; exactly one fits."""
    columns = list(stored.table.columns.features.values())
    found = []
    for feature, row in zip(drawn.numpy(), stored.labelled.row, strict=True):
        fitting = [number for number, column in enumerate(columns) if np.array_equal(column[row], feature)]
        assert len(fitting) == 1
        found += fitting
    return found


def all_rows(faces: Batch) -> Tensor:
    crops = faces.rows(torch.arange(len(faces))).crops
    assert isinstance(crops, Tensor)
    return crops


def test_faces_and_crops_are_those_of_the_labelled_rows(stored: Stored) -> None:
    faces = stored.batch()
    assert faces.labels.tolist() == [1] * HAPPY + [0] * SAD
    assert len(faces) == len(faces.crops or ()) == HAPPY + SAD
    crops = all_rows(faces)
    assert (crops.dtype, crops.shape) == (torch.uint8, (HAPPY + SAD, SIDE, SIDE, 3))
    for face, crop in enumerate(crops.numpy()):
        np.testing.assert_array_equal(crop, PixelEncoder().preprocess(pixels_of(stored, face), SIDE))


def test_some_rows_in_any_order(stored: Stored) -> None:
    faces = stored.draw(stored.batch(), 3)
    whole, order = all_rows(faces), torch.tensor([7, 0, 7, 3])
    some = faces.rows(order)
    assert torch.equal(some.features, faces.features[order])
    assert torch.equal(some.crops, whole[order])  # type: ignore[arg-type]
    parts = torch.cat([part.crops for part in faces.parts(4)])  # type: ignore[misc]
    assert torch.equal(parts, whole)


def test_each_face_is_sampled_in_one_of_its_views(stored: Stored) -> None:
    faces = stored.batch()
    counted = np.zeros((len(faces), 1 + VIEWS), int)
    for seed in range(60):
        drawn = stored.draw(faces, seed)
        assert torch.equal(drawn.labels, faces.labels)
        counted[np.arange(len(faces)), views_of(stored, drawn.features)] += 1
    assert (counted > 0).all()  # the clean one is drawn like any other
    np.testing.assert_allclose(counted.mean(axis=0), 60 / (1 + VIEWS), rtol=0.25)


def test_the_same_generator_draws_the_same(stored: Stored) -> None:
    faces = stored.batch()
    one, same, other = (stored.draw(faces, seed) for seed in (1, 1, 2))
    assert torch.equal(one.features, same.features)
    assert torch.equal(all_rows(one), all_rows(same))
    assert not torch.equal(one.features, other.features)
    generator = torch.Generator().manual_seed(1)
    views = stored_views([(stored.table, stored.labelled)], "cpu")
    first, second = (views.draw(faces, generator) for _ in range(2))
    assert torch.equal(first.features, one.features)
    assert not torch.equal(second.features, first.features)


def test_crops_show_the_view_that_the_encoder_was_shown(stored: Stored, tmp_path: Path) -> None:
    """The image of 20 x 28 squashed to 8 pixels for the encoder and 20 for the trunk: rendered here for both."""
    recipe, encoder = load_recipe(str(tmp_path / "recipe.toml")), PixelEncoder()
    faces = stored.batch()
    differences = []
    for seed in range(4):
        drawn = stored.draw(faces, seed)
        for face, (number, crop) in enumerate(zip(views_of(stored, drawn.features), all_rows(drawn), strict=True)):
            pixels = pixels_of(stored, face)
            view = draw_view(recipe, number, stored.table.columns.pixel_sha256[stored.labelled.row[face]].tobytes())
            shown, wanted = (
                view.on_square(encoder.preprocess(view.on_image(pixels), side)) for side in (encoder.image_size, SIDE)
            )
            np.testing.assert_array_equal(encoder.encode_images(shown[None])[0], drawn.features[face])
            differences.append(np.abs(crop.numpy().astype(float) - wanted).mean())
    assert max(differences) < 1.5  # noise of variance 200 alone differs by about 10


def test_views_without_crops_are_features_alone(stored: Stored) -> None:
    faces = as_batch([(stored.labelled, None)], 2, "cpu")
    drawn = stored.draw(faces, 1)
    assert drawn.crops is None
    assert torch.equal(drawn.features, stored.draw(stored.batch(), 1).features)


def test_faces_are_found_in_crops_by_name(stored: Stored) -> None:
    """Another encoder's table may lack a face that has a crop."""
    crops = crops_of(stored.settings.cache, stored.info, None)
    fewer = replace(stored.labelled, row=stored.labelled.row - 1)
    np.testing.assert_array_equal(all_rows(as_batch([(fewer, crops)], 2, "cpu")), all_rows(stored.batch()))


def test_crops_of_the_requested_side_or_those_stored_last(stored: Stored, tmp_path: Path) -> None:
    cache = stored.settings.cache
    assert crops_of(cache, stored.info, None).info.side == SIDE
    extract(stored.settings, ExtractRequest(dataset="folder:mine", root=tmp_path / "faces", encoder=PIXELS, crops=16))
    assert crops_of(cache, stored.info, None).info.side == 16
    assert crops_of(cache, stored.info, SIDE).info.side == SIDE
    command = f"fercache extract --dataset folder:mine --root {tmp_path / 'faces'} --encoder pixels --crops 64"
    with pytest.raises(UsageError, match=r"no stored crops of 64 pixels.*It has crops of 16, 20 pixels") as caught:
        crops_of(cache, stored.info, 64)
    assert str(caught.value).endswith(command)


def test_without_crops_the_command_is_named(stored: Stored) -> None:
    for info in find_crops(stored.settings.cache, stored.info):
        info.path.unlink()
    with pytest.raises(UsageError, match=r"folder:mine has no stored crops\. Add them.*--crops 112$"):
        crops_of(stored.settings.cache, stored.info, None)


def test_crops_that_are_cut_otherwise_do_not_count(stored: Stored) -> None:
    encoder = {**stored.info.identity["encoder"], "preprocessing": {"resize_mode": "shortest"}}
    other = replace(stored.info, identity={**stored.info.identity, "encoder": encoder})
    with pytest.raises(UsageError, match="has no stored crops"):
        crops_of(stored.settings.cache, other, None)


def test_a_table_with_the_requested_views(stored: Stored, tmp_path: Path) -> None:
    cache, root = stored.settings.cache, tmp_path / "faces"
    for views, recipe in ((1, str(tmp_path / "recipe.toml")), (1, "ke2nt"), (0, "cafe")):
        extract(
            stored.settings,
            ExtractRequest(dataset="folder:mine", root=root, encoder=PIXELS, views=views, recipe=recipe),
        )
    assert find_table(cache, "folder:mine", "pixels").views == ("clean",)
    # The one extracted last, not the one with most views: that may be of another recipe of the same name.
    assert find_table(cache, "folder:mine", None, "noisy").views == ("clean", "noisy-1")
    assert find_table(cache, "folder:mine", None, "ke2nt").views == ("clean", "ke2nt-1")
    with pytest.raises(UsageError, match=r"no views of the recipe 'cafe'.*It has views of: ke2nt, noisy") as caught:
        find_table(cache, "folder:mine", None, "cafe")
    command = f"fercache extract --dataset folder:mine --root {root} --encoder pixels --views 4 --recipe cafe"
    assert str(caught.value).endswith(command)


def test_the_command_comes_back_to_the_same_features(settings: Settings, stored: Stored, tmp_path: Path) -> None:
    request = EncoderRequest(name="pixels", preprocessing="imagenet-224")
    path = extract(settings, ExtractRequest(dataset="folder:mine", root=tmp_path / "faces", encoder=request))
    assert extract_command(read_info(path)).endswith(" --encoder pixels --preprocessing imagenet-224")


def test_views_on_disk_are_those_in_memory(stored: Stored, features_on_disk: None) -> None:
    limit_features(None)
    expected = stored.draw(stored.batch(), 3)
    limit_features(0)
    drawn = stored.draw(stored.batch(), 3)
    assert (expected.in_memory, drawn.in_memory) == (True, False)
    assert torch.equal(drawn.rows(torch.arange(len(drawn))).features, expected.features)
    assert torch.equal(all_rows(drawn), all_rows(expected))
