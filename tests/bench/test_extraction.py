"""`fercache bench extract` on small encoders: what its stages see and its plain loop computes, not how fast."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fercache import EncoderRequest, Settings, registry
from fercache.bench.extraction import (
    DECODE,
    ENCODE,
    END_TO_END,
    KINDS,
    NAME,
    PLAIN,
    PRODUCTS,
    RESIZE,
    WRITE,
    bench_extraction,
    extract_faces,
    matrix_products,
    plain_loop,
    render_images,
    write_columns,
)
from fercache.encoders import BATCH_ON_PROCESSOR, NetworkEncoder
from fercache.errors import UsageError
from fercache.options.bench import ExtractionBenchRequest
from fercache.runtime.precisions import centred_cosine
from fercache.store.tables import read_table
from tests.encoders.open_clip_fixtures import save_folder
from tests.encoders.timm_fixtures import SMALL_VIT, save_checkpoint
from tests.pixel_encoder import PixelEncoder

FACES = 10


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FACES images in a folder."""
    folder = tmp_path_factory.mktemp("bench-images")
    render_images(folder, FACES)
    return folder


@pytest.fixture(params=["open_clip", "timm", "bundled"])
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> NetworkEncoder:
    asked = {
        "open_clip": lambda: EncoderRequest(name=f"local-dir:{save_folder(tmp_path / 'tiny')}", device="cpu"),
        "timm": lambda: EncoderRequest(
            name=f"timm/{SMALL_VIT}", weights=save_checkpoint(tmp_path / "vit.pt", SMALL_VIT)
        ),
        "bundled": lambda: EncoderRequest(device="cpu"),
    }[request.param]()
    loaded = registry.encoder_family(asked.name).load(asked)
    assert isinstance(loaded, NetworkEncoder)
    return loaded


def test_the_images_are_of_many_sizes_and_both_formats(tmp_path: Path) -> None:
    render_images(tmp_path, 8)
    found: Counter[tuple[int, str]] = Counter()
    for path in tmp_path.rglob("*.*"):
        with Image.open(path) as image:
            assert image.width == image.height
            found[image.width, path.suffix[1:]] += 1
    assert found == dict.fromkeys(KINDS, 2)


def test_the_plain_loop_gives_our_features(encoder: NetworkEncoder, images: Path, tmp_path: Path) -> None:
    """Otherwise their times would not be comparable."""
    dataset = registry.load("datasets", NAME.family)
    faces = list(dataset.faces(images, NAME.domain))
    path, encoded = extract_faces(faces, dataset, encoder, tmp_path / "cache")
    columns = read_table(path).columns
    loop = plain_loop(faces, encoder, "fp32")
    assert loop() == encoded == FACES
    assert list(columns.id) == [face.id for face in faces]
    assert centred_cosine(loop.features, columns.features["clean"]).min() >= 0.999


def test_the_write_stage_writes_every_row(pixel_encoder: type[PixelEncoder], images: Path, tmp_path: Path) -> None:
    dataset = registry.load("datasets", NAME.family)
    faces = list(dataset.faces(images, NAME.domain))
    path, _ = extract_faces(faces, dataset, pixel_encoder(), tmp_path / "cache")
    columns = read_table(path).columns
    assert write_columns(columns, dataset, tmp_path / "again") == FACES
    again = read_table(tmp_path / "again" / "table.h5").columns
    for name, array in columns.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])


def test_each_stage_has_a_line_and_has_seen_all_images(settings: Settings, tmp_path: Path) -> None:
    asked = EncoderRequest(name=f"local-dir:{save_folder(tmp_path / 'tiny')}", device="cpu", precision="fp32")
    path, table = bench_extraction(settings, ExtractionBenchRequest(encoder=asked, images=FACES, rounds=1))
    assert path == settings.reports / "bench-extract.csv"
    assert table["stage"].tolist() == [DECODE, RESIZE, ENCODE, WRITE, END_TO_END, f"{PLAIN}, fp32", PRODUCTS]
    line = table.set_index("stage")
    assert (line["faces"].drop(PRODUCTS) == FACES).all()
    assert line["faces"][PRODUCTS] == BATCH_ON_PROCESSOR * torch.get_num_threads()
    assert line["encode_ratio"][ENCODE] == line["end_to_end_ratio"][END_TO_END] == 1
    computes = {ENCODE, END_TO_END, f"{PLAIN}, fp32", PRODUCTS}
    assert set(line.index[line["gflop_per_second"].notna()]) == computes
    assert line["least_cosine"].dropna().index.tolist() == [f"{PLAIN}, fp32"]
    assert line["peak_mib"][END_TO_END] > 10
    rate, ratio = line["faces_per_second"], line["end_to_end_ratio"]
    np.testing.assert_allclose(ratio, rate[END_TO_END] / rate, rtol=0.01, atol=0.001)


def test_an_encoder_that_is_no_network_is_refused(settings: Settings, pixel_encoder: type[PixelEncoder]) -> None:
    with pytest.raises(UsageError, match="pixels is not a torch network"):
        bench_extraction(settings, ExtractionBenchRequest(encoder=EncoderRequest(name="pixels")))
    assert not settings.reports.exists()


class Layers(nn.Module):
    """A convolution in groups, an attention, a linear layer: 4 x 4 pixels become 4 tokens of width 8."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(4, 8, 2, stride=2, groups=2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.projection = nn.Linear(8, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(torch.cat([pixels, pixels[:, :1]], 1)).flatten(2).transpose(1, 2)
        projected: torch.Tensor = self.projection(self.attention(tokens, tokens, tokens, need_weights=False)[0])
        return projected


def test_the_products_are_those_of_the_layers(tmp_path: Path) -> None:
    class Small(NetworkEncoder):
        def __init__(self) -> None:
            self.network, self.image_size, self.device, self.batch_size = Layers().eval(), 4, "cpu", 8

    Small.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
    rows = 4 * 8
    assert matrix_products(Small()) == {  # type: ignore[abstract]
        (rows, 8, 4): 2,  # 2 channels of 2 x 2 pixels to 4 of each group
        (rows, 8, 24): 1,
        (rows, 8, 8): 1,
        (rows, 8, 3): 1,
    }
