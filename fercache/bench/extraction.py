"""Extraction speed: each stage alone, end to end, and a plain loop without this package."""

import math
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fercache import registry
from fercache.datasets import Dataset as FaceSet
from fercache.datasets import DatasetName, FaceImage
from fercache.encoders import NetworkEncoder, load_encoder
from fercache.errors import UsageError
from fercache.extraction.listing import list_faces
from fercache.extraction.local import ExtractionTask, extract_shards, one_core_each
from fercache.extraction.prepare import first_faces
from fercache.extraction.table_identity import table_identity
from fercache.extraction.threads import in_threads
from fercache.identity import content_hash, key_of, pixel_hash
from fercache.options.bench import ExtractionBenchRequest
from fercache.options.extract import ExtractRequest
from fercache.output_paths import check_output_file
from fercache.runtime.precisions import REDUCED, casting, centred_cosine
from fercache.runtime.progress import progress
from fercache.runtime.vision_libraries import torchvision
from fercache.settings import Settings
from fercache.store.atomic import write_text
from fercache.store.schema import Columns
from fercache.store.shards import TableWriter
from fercache.store.tables import read_table, table_path
from fercache.synthetic_faces import DOMAINS, EXPRESSIONS, draw, sample_face

END_TO_END, ENCODE, PRODUCTS, PLAIN = "end to end", "encode", "matrix products alone", "plain loop"
DECODE, RESIZE, COPY, WRITE = "decode", "resize", "copy to the device", "write"

SHARD = ExtractRequest().shard_rows
NAME = DatasetName("folder", "bench")
SEED = 20_251_108
KINDS = ((48, "png"), (100, "jpg"), (112, "jpg"), (224, "jpg"))
"""Side in pixels and format, alternating: as in FERPlus, RAF-DB, datasets of aligned faces, AffectNet."""

PLAIN_BATCH = 64

Encode = Callable[[Tensor], Tensor]
Product = tuple[int, int, int]
"""(rows, inner, columns) of a matrix product."""


@dataclass
class Stage:
    """`work()` returns the number of processed faces; `flop` per face, for matrix products alone."""

    name: str
    work: Callable[[], int]
    flop: float | None = None
    faces: int = 0
    seconds: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Times one round."""
        start = time.perf_counter()
        self.faces = self.work()
        self.seconds.append(time.perf_counter() - start)

    @property
    def rate(self) -> float:
        """Faces per second in the best round, since others may use the machine too."""
        return self.faces / min(self.seconds)


@dataclass
class PlainLoop:
    """A loop as written without this package. Its `features` are those of the last pass."""

    encode: Encode
    loader: "DataLoader[Tensor]"
    device: str
    precision: str
    features: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))

    @torch.inference_mode()
    def __call__(self) -> int:
        """One pass over the images."""
        with casting(self.device, self.precision):
            batches = [self.encode(batch.to(self.device)).float().cpu() for batch in self.loader]
        self.features = torch.cat(batches).numpy()
        return len(self.features)


class Images(Dataset[Tensor]):
    """Image files and a transform."""

    def __init__(self, paths: Sequence[Path], transform: Callable[[Image.Image], Tensor]) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(Image.open(self.paths[index]).convert("RGB"))


def bench_extraction(settings: Settings, request: ExtractionBenchRequest) -> tuple[Path, pd.DataFrame]:
    """Times all stages, one after another, `rounds` times; returns the file in the reports, and its contents.

    The first round is a warm-up; the least time of the others counts. Raises UsageError for a wrong encoder, and for
    one that is not a torch network.
    """
    file = settings.reports / "bench-extract.csv"
    check_output_file(file, ".csv", "reports =")
    encoder = load_encoder(request.encoder)
    if not isinstance(encoder, NetworkEncoder):
        raise UsageError(f"{encoder.name} is not a torch network, so it cannot be compared with a plain loop.")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        render_images(folder / "images", request.images)
        dataset = registry.load("datasets", NAME.family)
        faces = list(dataset.faces(folder / "images", NAME.domain))
        encoder.settle(first_faces(faces, encoder, str(NAME)))
        table = _measure(folder, faces, dataset, encoder=encoder, rounds=request.rounds)
    return write_text(file, table.to_csv(index=False)), table


def _measure(
    folder: Path, faces: Sequence[FaceImage], dataset: FaceSet, encoder: NetworkEncoder, rounds: int
) -> pd.DataFrame:
    caches = (folder / f"cache-{number}" for number in count())
    first, _ = extract_faces(faces, dataset, encoder, cache=next(caches))
    peak = peak_memory()  # before anything else is held in memory
    columns = read_table(first).columns
    products = matrix_products(encoder)
    flop = sum(2.0 * times * math.prod(product) for product, times in products.items()) / encoder.batch_size
    loops = [plain_loop(faces, encoder, precision) for precision in dict.fromkeys(("fp32", encoder.precision))]

    stages = [
        *_stages_alone(faces, encoder, flop),
        Stage(WRITE, lambda: write_columns(columns, dataset, next(caches))),
        Stage(END_TO_END, lambda: extract_faces(faces, dataset, encoder, cache=next(caches))[1], flop),
        *(Stage(f"{PLAIN}, {loop.precision}", loop, flop) for loop in loops),
        Stage(PRODUCTS, _multiply(products, encoder), flop),
    ]
    for number in range(rounds + 1):
        print(f"bench extract: {f'round {number} of {rounds}' if number else 'warming up'}", file=sys.stderr)
        for stage in stages:
            stage.run()
    for stage in stages:
        del stage.seconds[0]
    features = columns.features["clean"][:].astype(np.float32)
    cosines = {f"{PLAIN}, {loop.precision}": centred_cosine(loop.features, features).min() for loop in loops}
    return _table(stages, cosines, peak)


def _table(stages: Sequence[Stage], cosines: dict[str, Any], peak: float | None) -> pd.DataFrame:
    """A line per stage. The two ratios are the rates of `encode` and end to end, divided by the line's."""
    rate = {stage.name: stage.rate for stage in stages}
    return pd.DataFrame(
        {
            "stage": stage.name,
            "faces": stage.faces,
            "seconds": round(min(stage.seconds), 4),
            "faces_per_second": round(stage.rate, 1),
            "gflop_per_second": None if stage.flop is None else round(stage.flop * stage.rate / 1e9, 1),
            "encode_ratio": round(rate[ENCODE] / stage.rate, 3),
            "end_to_end_ratio": round(rate[END_TO_END] / stage.rate, 3),
            "least_cosine": round(float(cosines[stage.name]), 6) if stage.name in cosines else None,
            "peak_mib": peak if stage.name == END_TO_END else None,
        }
        for stage in stages
    )


def render_images(root: Path, number: int) -> None:
    """Writes faces of all domains, alternating the KINDS."""
    with progress("render images", number, "image") as bar:
        for index in range(number):
            (side, format), expression = KINDS[index % len(KINDS)], EXPRESSIONS[index % len(EXPRESSIONS)]
            face = sample_face(SEED, index, DOMAINS[index % len(DOMAINS)], expression=expression)
            (root / expression).mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw(face, side)).save(root / expression / f"{index:05}.{format}")
            bar.update()


def extract_faces(
    faces: Sequence[FaceImage], dataset: FaceSet, encoder: NetworkEncoder, cache: Path
) -> tuple[Path, int]:
    """The steps of `fercache extract` in an empty cache: list and hash, encode, write, assemble.

    Returns the table, and the number of encoded faces. The copies for audits, of one face in a hundred, are left out.
    """
    listing, task = list_faces(str(NAME), faces), ExtractionTask(str(NAME), dataset, encoder.batch_size)
    identity = table_identity(NAME, listing, encoder)
    path = table_path(cache, encoder.name, NAME.slug, key=key_of(identity))
    with _writer(path, identity, dataset, rows=len(faces)) as writer:
        counts = extract_shards(listing, task, encoder, writer=writer)
        return writer.assemble({}), counts.encoded


def write_columns(columns: Columns, dataset: FaceSet, cache: Path) -> int:
    """Writes finished rows as shards, and assembles them."""
    with _writer(cache / "table.h5", {"dataset": str(NAME), "encoder": {}}, dataset, rows=len(columns)) as writer:
        for shard in writer.missing():
            rows = writer.rows_of(shard)
            some = {name: array[rows.start : rows.stop] for name, array in columns.arrays().items()}
            writer.write(shard, Columns.of(some), [], settled={})
        writer.assemble({})
    return len(columns)


def _writer(path: Path, identity: dict[str, Any], dataset: FaceSet, rows: int) -> TableWriter:
    classes, votes = dataset.expressions, dataset.vote_columns
    return TableWriter(path, identity=identity, classes=classes, vote_columns=votes, rows=rows, shard_rows=SHARD)


def _stages_alone(faces: Sequence[FaceImage], encoder: NetworkEncoder, flop: float) -> Iterator[Stage]:
    """Decoding to encoding, each on all cores as in an extraction, with inputs already in memory."""
    images = [image for _, image in in_threads(faces, read_and_hash)]
    in_memory = [replace(face, read=partial(np.asarray, image)) for face, image in zip(faces, images, strict=True)]

    def resize(face: FaceImage) -> NDArray[np.uint8]:
        image = face.read()
        assert isinstance(image, np.ndarray)
        return encoder.preprocess(image)

    resized = np.stack([image for _, image in in_threads(in_memory, resize)])
    size = encoder.batch_size
    batches = [resized[begin : begin + size] for begin in range(0, len(resized), size)]
    yield Stage(DECODE, lambda: _side_by_side(lambda: sum(1 for _ in in_threads(faces, read_and_hash))))
    yield Stage(RESIZE, lambda: _side_by_side(lambda: sum(1 for _ in in_threads(in_memory, resize))))
    if encoder.device.startswith("cuda"):
        yield Stage(COPY, lambda: sum(_copy(batch, encoder.device) for batch in batches))
    yield Stage(ENCODE, lambda: _in_queue(encoder, [partial(encoder.encode_images, batch) for batch in batches]), flop)


def _side_by_side(work: Callable[[], int]) -> int:
    with one_core_each():
        return work()


def _in_queue(encoder: NetworkEncoder, work: Sequence[Callable[[], Sized]]) -> int:
    """Number of faces processed, by as many threads as encode in an extraction."""
    with one_core_each(), ThreadPoolExecutor(encoder.at_once) as threads:
        return sum(len(done) for done in threads.map(lambda each: each(), work))


def read_and_hash(face: FaceImage) -> NDArray[np.uint8]:
    """The steps of an extraction before a face is resized."""
    data = face.read()
    pixels = face.pixels(data)
    content_hash(data)
    pixel_hash(pixels)
    return pixels


def _copy(batch: NDArray[np.uint8], device: str) -> int:
    copied = torch.from_numpy(batch).to(device)
    torch.cuda.synchronize(device)
    return len(copied)


def plain_loop(faces: Sequence[FaceImage], encoder: NetworkEncoder, precision: str) -> PlainLoop:
    """Pillow, the model's own transform, a DataLoader with a worker per core, and the unchanged model.

    Its workers persist between passes, so that starting them costs no time.
    """
    transform = torchvision.transforms.Compose(encoder.preprocessing.steps(encoder.image_size))
    images = Images([Path(face.path) for face in faces if face.path is not None], transform)
    workers: dict[str, Any] = {}
    if "fork" in multiprocessing.get_all_start_methods():  # the transform cannot be pickled
        workers = {"num_workers": os.cpu_count() or 1, "multiprocessing_context": "fork", "persistent_workers": True}
    pinned = encoder.device.startswith("cuda")
    loader = DataLoader(images, batch_size=PLAIN_BATCH, pin_memory=pinned, **workers)
    return PlainLoop(_encode_image(encoder), loader, encoder.device, precision)


def _encode_image(encoder: NetworkEncoder) -> Encode:
    """The network from its library: a CLIP's `encode_image`, or the whole of a network without text."""
    encode: Encode = getattr(encoder.network, "encode_image", encoder.network)
    return encode


def matrix_products(encoder: NetworkEncoder) -> Counter[Product]:
    """The matrix products that encode a batch, and how often each occurs.

    Those of linear layers, of an attention's projections, and of convolutions, written as products with unfolded
    images. The products inside an attention (queries with keys, weights with values) are left out.
    """
    products: Counter[Product] = Counter()
    batch = encoder.batch_size

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        if isinstance(layer, nn.MultiheadAttention):
            rows, width = batch * inputs[0].numel() // layer.embed_dim, layer.embed_dim
            products.update([(rows, width, 3 * width), (rows, width, width)])
        elif isinstance(layer, nn.Linear):
            products[batch * output.numel() // layer.out_features, layer.in_features, layer.out_features] += 1
        elif isinstance(layer, nn.Conv2d):
            inner, columns = layer.weight[0].numel(), layer.out_channels // layer.groups
            products[batch * output.numel() // layer.out_channels, inner, columns] += layer.groups

    layers = [
        each for each in encoder.network.modules() if isinstance(each, nn.MultiheadAttention | nn.Linear | nn.Conv2d)
    ]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.inference_mode():
        _encode_image(encoder)(torch.zeros(1, 3, encoder.image_size, encoder.image_size, device=encoder.device))
    for hook in hooks:
        hook.remove()
    return products


def _multiply(products: Counter[Product], encoder: NetworkEncoder) -> Callable[[], int]:
    """Runs the products of a batch in each encoding thread, on random matrices in the encoder's precision."""
    kind = REDUCED.get(encoder.precision, torch.float32)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, device=encoder.device).to(kind)

    operands = [(random(rows, inner), random(inner, columns), n) for (rows, inner, columns), n in products.items()]

    def multiply() -> range:
        for left, right, times in operands:
            for _ in range(times):
                left @ right
        if encoder.device.startswith("cuda"):
            torch.cuda.synchronize(encoder.device)
        return range(encoder.batch_size)

    return lambda: _in_queue(encoder, [multiply] * encoder.at_once)


def peak_memory() -> float | None:
    """Peak memory of this process in MiB, by getrusage; None on Windows, which lacks it."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
