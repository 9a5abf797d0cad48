"""images -> feature table, prompts -> prompt tables."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.corruptions import Corruption, corruptions
from fercache.datasets import Dataset, DatasetName, Expected, FaceImage, check_domain, default_split
from fercache.encoders import PRECISIONS, Encoder, EncoderRequest, TextEncoder
from fercache.errors import FercacheError, UsageError
from fercache.extraction.copies import encode_copies
from fercache.extraction.listing import Listing, list_faces
from fercache.extraction.local import Counts, Prepared, extract_shards, prepare
from fercache.identity import key_of
from fercache.prompts import BUILT_IN, prompt_set, set_label
from fercache.settings import Settings
from fercache.store.copies import copies_path, write_copies
from fercache.store.prompts import prompts_path, read_prompts, write_prompts
from fercache.store.schema import CLEAN
from fercache.store.shards import TableWriter
from fercache.store.tables import KnownFeatures, find_tables, parts_folder, table_path

FACES_TO_SETTLE_ON = 32


@dataclass(frozen=True)
class ExtractRequest:
    """What to encode, and with what. `prompts` is a TOML file or a built-in set; those are always encoded."""

    dataset: str = "synthetic:studio"
    root: Path | None = None
    encoder: EncoderRequest = field(default_factory=EncoderRequest)
    prompts: str = "faces"
    batch_size: int = 64
    shard_rows: int = 2048


def extract(settings: Settings, request: ExtractRequest) -> Path:
    """Encodes a data set and the prompts; returns the path of the feature table, complete.

    Work that an earlier call finished is kept. Raises UsageError for wrong names, roots, weights, and FercacheError
    when no face can be read or another process is writing the table.
    """
    name = DatasetName.parse(request.dataset)
    dataset = registry.load("datasets", name.family)
    check_domain(dataset, name.family, name.domain)
    corruption = one_corruption(name)
    root = root_of(settings, name, dataset, request.root)
    request = replace(request, root=root)
    faces = list(dataset.faces(root, name.domain))
    _warn_of_missing(name, dataset.expected(root, name.domain), faces)
    if corruption is not None:
        name, faces = _corrupted(name, dataset, faces, corruption)
    listing = list_faces(str(name), faces)
    encoder = registry.encoder_family(request.encoder.name).load(request.encoder)
    measured = _settle(settings, name, listing, encoder, request)
    if isinstance(encoder, TextEncoder):
        for prompts in dict.fromkeys((*BUILT_IN, request.prompts)):
            write_prompt_table(settings, encoder, prompts)
    identity = table_identity(name, listing, encoder)
    path = table_path(settings.cache, encoder.name, name.slug, key_of(identity))
    path = _write_table(path, identity, name, dataset, listing, encoder, settings, request, measured)
    if corruption is None:
        _write_copies(path, identity, listing, encoder)
    os.utime(path)  # what was asked for last is what `train` takes
    return path


def root_of(settings: Settings, name: DatasetName, dataset: Dataset, given: Path | None) -> Path | None:
    """Where the set lies: the option, then `fercache.toml`. Raises UsageError when neither says."""
    if not dataset.needs_root:
        return None
    whole = str(name.clean)
    root = given or settings.root_of(whole)
    if root is None:
        raise UsageError(
            f'Where is {whole}? Give --root, or write `[datasets]` and `"{whole}" = "..."` in fercache.toml.'
        )
    if not root.exists():
        raise UsageError(
            f"{root} does not exist; --root must be where {whole} lies. See `fercache datasets show {whole}`."
        )
    return root


def table_identity(name: DatasetName, listing: Listing, encoder: Encoder) -> dict[str, Any]:
    """Everything that changes the table's numbers."""
    corruption = one_corruption(name)
    spoilt = {} if corruption is None else {"split": name.split, "corruption": corruption.identity()}
    return {
        "dataset": str(name.whole),
        "manifest": listing.manifest_hash,
        "encoder": encoder.identity(),
        "views": [CLEAN],
        **spoilt,
    }


def one_corruption(name: DatasetName) -> Corruption | None:
    """What a name says its pictures are spoilt by. Raises UsageError for an unknown one, and without a severity.

    A whole set with a split is refused as well: its table holds all splits.
    """
    if not name.corruption:
        if name.split:
            raise UsageError(f"A table holds all splits: write {name.whole}. `train` and `evaluate` choose the split.")
        return None
    found = corruptions(name.corruption)
    if len(found) > 1:
        raise UsageError(f"{name}: write the severity, 1 to 5, as in {name.clean}+{found[0].name}:3.")
    return found[0]


def _corrupted(
    name: DatasetName, dataset: Dataset, faces: Sequence[FaceImage], corruption: Corruption
) -> tuple[DatasetName, list[FaceImage]]:
    """The split of a set that is asked for (default: what it is scored on), spoilt, and the name with that split."""
    there = {face.split for face in faces}
    split = name.split or default_split(there, dataset.target_split, str(name))
    chosen = [replace(face, corruption=corruption) for face in faces if split in ("", face.split)]
    if not chosen:
        raise UsageError(f"{name} has no faces; the splits of this set are {', '.join(sorted(there))}.")
    return replace(name, split=split), chosen


def write_prompt_table(settings: Settings, encoder: TextEncoder, name: str) -> Path:
    """The prompt table of a set; what is there already is kept."""
    prompts = prompt_set(name)
    identity = {"encoder": encoder.text_identity(), "prompts": {k: list(v) for k, v in prompts.items()}}
    path = prompts_path(settings.cache, encoder.name, set_label(name), key_of(identity))
    with suppress(UsageError):  # absent, or damaged
        return read_prompts(path).path
    sentences = [sentence for expression in prompts for sentence in prompts[expression]]
    return write_prompts(
        path,
        identity=identity,
        prompts=sentences,
        expressions=[expression for expression in prompts for _ in prompts[expression]],
        embeddings=encoder.encode_texts(sentences),
        logit_scale=encoder.logit_scale,
    )


def _warn_of_missing(name: DatasetName, expected: Expected, faces: Sequence[FaceImage]) -> None:
    """One line where a known set has other counts than it should."""
    known = {split: counts.get("", sum(counts.values())) for split, counts in expected.items()}
    found = {split: sum(split in ("", face.split) for face in faces) for split in known}
    if known != found:
        told = ", ".join(f"{found[split]:,} of {known[split]:,} {split}".strip() for split in known)
        clean = name.clean
        print(f"warning: {clean} has {told} images; see `fercache datasets show {clean}`.", file=sys.stderr)


def _settle(
    settings: Settings, name: DatasetName, listing: Listing, encoder: Encoder, request: ExtractRequest
) -> dict[str, Any]:
    """Fixes precision `auto`, and returns what was measured for it. A table that was begun keeps the one it has."""
    if request.encoder.precision == "auto":
        for precision in PRECISIONS:
            identity = table_identity(name, listing, encoder)
            identity["encoder"]["precision"] = precision
            path = table_path(settings.cache, encoder.name, name.slug, key_of(identity))
            if path.exists() or parts_folder(path).exists():
                encoder.precision = precision
                return {}
    return encoder.settle(_first_faces(listing, encoder, str(name)))


def _first_faces(listing: Listing, encoder: Encoder, name: str) -> list[NDArray[np.uint8]]:
    """The first few faces that can be read. Raises FercacheError when none can."""
    results = (prepare(face, encoder) for face in listing.faces)
    faces: list[NDArray[np.uint8]] = []
    reasons: list[str] = []
    for result in results:
        if isinstance(result, Prepared):
            faces.append(result.pixels)
        else:
            reasons.append(f"{result.id} ({result.reason})")
        if len(faces) == FACES_TO_SETTLE_ON:
            break
    if not faces:
        raise FercacheError(
            f"{name}: none of the {len(listing.faces)} images can be read: {', '.join(reasons[:3])} ..."
        )
    return faces


def _write_table(
    path: Path,
    identity: dict[str, Any],
    name: DatasetName,
    dataset: Dataset,
    listing: Listing,
    encoder: Encoder,
    settings: Settings,
    request: ExtractRequest,
    measured: dict[str, Any],
) -> Path:
    same_encoder = [t for t in find_tables(settings.cache) if t.identity["encoder"] == identity["encoder"]]
    writer = TableWriter(
        path,
        identity=identity,
        classes=dataset.expressions,
        vote_columns=dataset.vote_columns,
        rows=len(listing.faces),
        shard_rows=request.shard_rows,
    )
    with writer:
        batch_size = (writer.settled or {}).get("batch_size", request.batch_size)
        known = KnownFeatures(same_encoder if writer.missing() else [], CLEAN)
        counts = extract_shards(listing.faces, dataset, encoder, writer, known, batch_size, str(name))
        return writer.assemble(_provenance(request, encoder, counts, batch_size, measured))


def _write_copies(table: Path, identity: Mapping[str, Any], listing: Listing, encoder: Encoder) -> None:
    path = copies_path(table)
    if not path.exists():
        copies = encode_copies(listing.faces, encoder)
        if copies is not None:
            write_copies(path, key_of(identity), copies)


def _provenance(
    request: ExtractRequest, encoder: Encoder, counts: Counts, batch_size: int, measured: dict[str, Any]
) -> dict[str, Any]:
    asked = asdict(request.encoder)
    asked["weights"] = str(request.encoder.weights.resolve()) if request.encoder.weights else None
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "device": encoder.device,
        "precision": measured,
        "batch_size": batch_size,
        "encoder": encoder.name,
        "encoder_request": asked,
        "root": str(request.root.resolve()) if request.root else None,
        "seen": list(encoder.seen),
        **asdict(counts),
    }


def versions() -> dict[str, str]:
    """What a result was made with."""
    packages = ("fercache", "torch", "open_clip_torch", "numpy", "h5py", "scikit-learn")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
