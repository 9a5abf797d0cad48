import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fercache import EncoderRequest, ExtractRequest, Settings, extract
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.images.corruptions import KINDS, SEVERITIES, Corruption, Pixels, corruptions
from fercache.splits import SPLITS
from fercache.store.tables import read_table
from fercache.synthetic_faces import draw, sample_face
from tests.datasets.miniatures.own_images import folder
from tests.pixel_encoder import PixelEncoder

EVERY = tuple(Corruption(name, severity) for name in KINDS for severity in SEVERITIES)
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def face() -> Pixels:
    return draw(sample_face(1, 5, "studio", "happiness"), 96)


@pytest.mark.parametrize("corruption", EVERY, ids=str)
def test_the_same_image_gives_the_same_and_stays_as_it_is(corruption: Corruption, face: Pixels) -> None:
    before = face.copy()
    corrupted = corruption(face)
    assert np.array_equal(face, before)
    assert (corrupted.shape, corrupted.dtype) == (face.shape, np.uint8)
    assert not np.array_equal(corrupted, face)
    assert np.array_equal(corruption(face.copy()), corrupted)


@each_kind
@pytest.mark.parametrize("index", range(3))
def test_severities_get_stronger(kind: str, index: int) -> None:
    face = draw(sample_face(2, index, "studio", "surprise"), 96).astype(int)
    distances = [np.abs(one(face.astype(np.uint8)) - face).mean() for one in corruptions(kind)]
    assert all(weaker < stronger for weaker, stronger in pairwise(distances)), distances
    assert distances[0] > 0.3, "severity 1 must be seen"


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (300, 40), (48, 48)])
@pytest.mark.parametrize("corruption", EVERY[::4], ids=str)
def test_odd_sizes_stay(corruption: Corruption, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    corrupted = corruption(pixels)
    assert (corrupted.shape, corrupted.dtype) == (pixels.shape, np.uint8)


def test_images_that_are_small_already_are_not_enlarged(face: Pixels) -> None:
    small = face[40:60, 30:90]
    corrupted = corruptions("lowres:1")[0](small)
    assert np.array_equal(corrupted, small)
    assert not np.shares_memory(corrupted, small)


@each_kind
def test_grey_stays_grey(kind: str, face: Pixels) -> None:
    grey = np.repeat(face[:, :, :1], 3, axis=2)
    corrupted = corruptions(f"{kind}:3")[0](grey).astype(int)
    assert np.ptp(corrupted, axis=2).max() == 0


def test_different_images_get_different_grain_and_all_severities_of_one_the_same(face: Pixels) -> None:
    def grain(pixels: Pixels, severity: int) -> np.ndarray:
        return (corruptions(f"noise:{severity}")[0](pixels).astype(int) - pixels).ravel()

    middle = np.full((96, 96, 3), 128, dtype=np.uint8)
    other = middle.copy()
    other[0, 0] = 127
    assert abs(np.corrcoef(grain(middle, 2), grain(other, 2))[0, 1]) < 0.1
    assert np.corrcoef(grain(middle, 1), grain(middle, 4))[0, 1] > 0.99


def test_one_five_or_all_are_meant() -> None:
    assert corruptions("blur:3") == (Corruption("blur", 3),)
    assert corruptions("blur") == tuple(Corruption("blur", severity) for severity in (1, 2, 3, 4, 5))
    assert corruptions("all") == tuple(one for one in EVERY if one.name != "shift"), "epochs are chosen by that one"
    assert len(EVERY) == 35
    assert all(corruptions(str(one)) == (one,) for one in EVERY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blurr", "Unknown corruption 'blurr'. Did you mean 'blur'"),
        ("Noise:2", "Did you mean 'noise'"),
        ("", "Unknown corruption ''"),
        ("all:3", "Unknown corruption 'all'"),
        ("blur:0", "'blur:0': severities are 1 .weak. to 5 .strong., as in .blur:3"),
        ("blur:6", "severities are 1"),
        ("blur:", "severities are 1"),
        ("blur:03", "severities are 1"),
        ("blur:²", "severities are 1"),
    ],
)
def test_unknown_names_and_severities_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        corruptions(text)


def test_everything_that_changes_pixels_is_in_the_identity() -> None:
    assert len({str(one.identity()) for one in EVERY}) == len(EVERY)


WORD = st.from_regex(re.compile(r"[a-z0-9][a-z0-9._-]{0,8}", re.ASCII), fullmatch=True)


@given(
    family=WORD,
    domain=st.one_of(st.just(""), WORD),
    corruption=st.sampled_from(["", *KINDS, "all", *map(str, EVERY)]),
    split=st.sampled_from(["", *SPLITS, "fold-1"]),
)
def test_names_are_parsed_as_they_are_written(family: str, domain: str, corruption: str, split: str) -> None:
    name = DatasetName(family, domain, corruption, split)
    assert DatasetName.parse(str(name)) == name
    assert DatasetName.parse(str(name.whole)) == name.whole
    assert name.clean == DatasetName(family, domain)
    assert not set(name.slug) & set(':@/\\ "')


@pytest.mark.parametrize("text", ["", "ferplus+", "ferplus+blur:", "ferplus@", "+blur", "a+b+c", "a@b+blur", "a:b:c"])
def test_other_texts_are_no_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a dataset name.*ferplus\+blur:3"):
        DatasetName.parse(text)


class TestExtraction:
    """Corrupted datasets as tables."""

    @pytest.fixture
    def root(self, tmp_path: Path, face: Pixels) -> Path:
        for number, name in enumerate(folder(tmp_path / "faces").truth):
            Image.fromarray(np.roll(face, number, axis=1)).save(tmp_path / "faces" / name, "PNG")
        return tmp_path / "faces"

    def table(self, root: Path, name: str) -> Path:
        return extract(
            Settings(cache=root.parent / "cache"),
            ExtractRequest(dataset=name, root=root, encoder=EncoderRequest(name="pixels")),
        )

    def test_a_corrupted_table_has_the_scored_split_and_other_features(
        self, root: Path, pixel_encoder: type[PixelEncoder]
    ) -> None:
        clean = read_table(self.table(root, "folder:mine")).columns
        corrupted = read_table(self.table(root, "folder:mine+blur:3")).columns
        scored = clean.split == "test"
        assert 0 < scored.sum() < len(clean.id)
        assert list(corrupted.id) == list(clean.id[scored])
        assert list(corrupted.label) == list(clean.label[scored])
        differ = (corrupted.features["clean"] != clean.features["clean"][scored]).any(axis=1)
        assert differ.all()

    def test_another_split_and_another_severity_are_other_tables(
        self, root: Path, pixel_encoder: type[PixelEncoder]
    ) -> None:
        paths = [self.table(root, f"folder:mine+noise:{how}") for how in ("1", "2", "1@train")]
        assert len(set(paths)) == 3
        assert set(read_table(paths[2]).columns.split) == {"train"}
        assert self.table(root, "folder:mine+noise:1") == paths[0]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("folder:mine+blur", r"write the severity, 1 to 5, as in folder:mine\+blur:3"),
            ("folder:mine+all", "write the severity, 1 to 5"),
            ("folder:mine+blur:9", "severities are 1"),
            ("folder:mine+fog:1", "Unknown corruption 'fog'"),
            ("folder:mine@test", "A table holds all splits: write folder:mine"),
            ("folder:mine+blur:3@fold-1", "has no faces; the splits of this dataset are test, train, validation"),
        ],
    )
    def test_what_is_no_table_is_refused(
        self, root: Path, pixel_encoder: type[PixelEncoder], name: str, message: str
    ) -> None:
        with pytest.raises(UsageError, match=message):
            self.table(root, name)
