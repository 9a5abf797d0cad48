"""images -> feature table, prompts -> prompt tables."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import (
    Dataset,
    DatasetName,
    FaceImage,
    check_domain,
    has_spare_validation,
)
from fercache.encoders import PRECISIONS, Encoder, TextEncoder
from fercache.encoders.bundled.reference import load_checked
from fercache.errors import FercacheError, UsageError, check_length
from fercache.extraction.copies import encode_copies
from fercache.extraction.crops import cut_faces
from fercache.extraction.listing import Listing, list_faces
from fercache.extraction.local import CLEAN_VIEW, Counts, Prepared, Task, Views, extract_shards, prepare
from fercache.identity import key_of
from fercache.images.corruptions import SHIFTED, Corruption, corruptions
from fercache.images.views import load_recipe
from fercache.layouts.remote import address_of, exists, shown
from fercache.loading.earlier_versions import warn_encoded_again
from fercache.loading.tables import first_of
from fercache.options.extract import ExtractRequest
from fercache.prompts import BUILT_IN, as_stored, prompt_set, set_label
from fercache.runtime.precisions import reduced_precisions
from fercache.runtime.versions import versions
from fercache.settings import Settings
from fercache.splits import default_split
from fercache.stages.check import warn_of_other_counts
from fercache.stages.embed_prompts import check_prompts, embed
from fercache.store.asked import last_asked, note_asked
from fercache.store.copies import copies_path, write_copies
from fercache.store.crops import crop_files, crops_identity, crops_path, read_crops, write_crops
from fercache.store.prompts import prompts_path, read_prompts, write_prompts
from fercache.store.shards import TableWriter
from fercache.store.tables import (
    RECIPE,
    KnownFeatures,
    clean_key_of,
    find_tables,
    parts_folder,
    read_info,
    read_table,
    table_path,
)

FACES_TO_SETTLE_ON = 32


def extract(settings: Settings, request: ExtractRequest) -> Path:
    """Encodes a dataset and the prompts; returns the path of the finished feature table.

    Keeps the work of earlier calls. Raises UsageError for wrong names, roots and weights, and FercacheError when no
    face can be read or another process is writing the table.
    """
    views = _views(request)
    check_length("The prompt set", set_label(request.prompts))
    name = DatasetName.parse(request.dataset)
    dataset = registry.load("datasets", name.family)
    check_domain(dataset, name.family, name.domain)
    corruption = one_corruption(name)
    root = root_of(settings, name, dataset, request.root)
    if request.engine == "ray" and root is not None:
        root = Path(_whole_path(root))  # workers run in other folders
    request = request.but(root=root)
    faces = list(dataset.faces(root, name.domain))
    if dataset.expected(root, name.domain):
        warn_of_other_counts(name, dataset.findings(faces, root, name.domain))
    if corruption is not None:
        name, faces = _corrupted(name, dataset, faces, corruption)
    listing = list_faces(str(name), faces)
    encoder = load_checked(request.encoder)
    check_length("The encoder's name", encoder.name)
    some = first_faces(listing.faces, encoder, str(name))
    measured = _settle(settings, name, listing, encoder, request, views, some)
    if isinstance(encoder, TextEncoder):
        for prompts in dict.fromkeys((*BUILT_IN, request.prompts)):
            write_prompt_table(settings, encoder, prompts)
    identity = table_identity(name, listing, encoder, views)
    path = table_path(settings.cache, encoder.name, name.slug, key_of(identity))
    if not path.exists():
        warn_encoded_again(find_tables(settings.cache), identity, encoder.name, len(listing.faces))
    if views.count and not path.exists():
        _print_cost_of_views(views, listing, encoder, some)
    path = _write_table(path, identity, name, dataset, listing, encoder, settings, request, measured, views)
    if corruption is None:
        _write_copies(path, key_of(identity), listing, encoder)
    if request.crops is not None:
        store_crops(settings.cache, path, identity, listing, encoder, request.crops)
    if request.shifted and corruption is None and has_spare_validation({face.split for face in faces}, name):
        held_out = str(replace(name.clean, corruption=SHIFTED, split="validation"))
        extract(settings, request.but(dataset=held_out, views=0, crops=None, shifted=False))
    _note_asked(settings, path)
    return path


def root_of(settings: Settings, name: DatasetName, dataset: Dataset, given: Path | None) -> Path | None:
    """The root of a dataset: the option, else `fercache.toml`. Raises UsageError when neither names one."""
    if not dataset.needs_root:
        return None
    whole = str(name.clean)
    root = given or settings.root_of(whole)
    if root is None:
        raise UsageError(
            f'Where is {whole}? Give --root, or write `[datasets]` and `"{whole}" = "..."` in fercache.toml.'
        )
    if not exists(root):
        raise UsageError(
            f"{shown(root)} does not exist; --root must be the folder of {whole}. See `fercache datasets show {whole}`."
        )
    return root


def _views(request: ExtractRequest) -> Views:
    recipe = load_recipe(request.recipe)
    if request.views and not recipe.steps:
        raise UsageError(f"The recipe {recipe.name} changes nothing, so all its views would be the clean one.")
    return Views(recipe, request.views) if request.views else CLEAN_VIEW


def table_identity(
    name: DatasetName,
    listing: Listing,
    encoder: Encoder,
    views: Views = CLEAN_VIEW,
) -> dict[str, Any]:
    """Everything that changes the table's numbers."""
    corruption = one_corruption(name)
    corrupted = {} if corruption is None else {"split": name.split, "corruption": corruption.identity()}
    return {
        "dataset": str(name.whole),
        "manifest": listing.manifest_hash,
        "encoder": encoder.key_identity(),
        "views": list(views.names),
        **({RECIPE: views.recipe.identity()} if views.count else {}),
        **corrupted,
    }


def one_corruption(name: DatasetName) -> Corruption | None:
    """The corruption in a dataset's name, or None. Raises UsageError for an unknown one or a missing severity.

    Also refuses a split of a clean dataset: its table holds all splits.
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
    """The corrupted faces of the named split (default: the target split), and the name with that split."""
    there = {face.split for face in faces}
    split = name.split or default_split(there, dataset.target_split, str(name))
    chosen = [replace(face, corruption=corruption) for face in faces if split in ("", face.split)]
    if not chosen:
        raise UsageError(f"{name} has no faces; the splits of this dataset are {', '.join(sorted(there))}.")
    return replace(name, split=split), chosen


def write_prompt_table(settings: Settings, encoder: TextEncoder, name: str) -> Path:
    """The path of a prompt set's table, written unless it exists."""
    prompts = prompt_set(name)
    identity = {"encoder": encoder.key_text_identity(), "prompts": as_stored(prompts)}
    path = prompts_path(settings.cache, encoder.name, set_label(name), key_of(identity))
    with suppress(UsageError):  # absent, or damaged
        read_prompts(path)
        note_asked(path, _prompts_asked(path.parent))
        return path
    embedded = embed(encoder, prompts)
    if name not in BUILT_IN:
        check_prompts(encoder, prompts, embedded)
    write_prompts(
        path,
        identity=identity,
        prompts=[sentence for expression in prompts for sentence in prompts[expression]],
        expressions=[expression for expression in prompts for _ in prompts[expression]],
        embeddings=np.concatenate(list(embedded.values())),
        logit_scale=encoder.logit_scale,
    )
    note_asked(path, _prompts_asked(path.parent))
    return path


def _prompts_asked(folder: Path) -> list[datetime]:
    return [last_asked(path) for path in folder.glob("*.h5")]


def _settle(
    settings: Settings,
    name: DatasetName,
    listing: Listing,
    encoder: Encoder,
    request: ExtractRequest,
    views: Views,
    faces: Sequence[NDArray[np.uint8]],
) -> dict[str, Any]:
    """Settles precision `auto`; returns what was measured for it.

    A finished or unfinished table of the same faces, with any views, keeps its precision. Raises UsageError when faces
    are left to encode and this device does not support that precision.
    """
    if request.encoder.precision == "auto":
        there = {table.clean_key for table in find_tables(settings.cache)}
        for precision in PRECISIONS:
            identity = table_identity(name, listing, encoder, views)
            identity["encoder"]["precision"] = precision
            table = table_path(settings.cache, encoder.name, name.slug, key_of(identity))
            if clean_key_of(identity) in there or parts_folder(table).exists():
                if not table.exists() and precision not in ("fp32", *reduced_precisions(encoder.device)):
                    raise UsageError(
                        f"{name} has a table in {precision}, which {encoder.device} cannot compute in. Extract it on a "
                        "device like the first, or with --precision fp32 for a table of its own."
                    )
                encoder.precision = precision
                return {}
    return encoder.settle(faces)


def _print_cost_of_views(views: Views, listing: Listing, encoder: Encoder, faces: Sequence[NDArray[np.uint8]]) -> None:
    """Prints the time and space that the views need if no table has them, estimated from one batch of `faces`."""
    batch = np.stack(faces)
    encoder.encode_images(batch)  # warm-up
    start = time.perf_counter()
    encoder.encode_images(batch)
    rate = len(batch) / (time.perf_counter() - start)
    count = views.count * len(listing.faces)
    size = count * encoder.dimension * (4 if encoder.precision == "fp32" else 2) / 2**20
    cost = f"at most {count:,} encodings, {count / rate:,.0f} s and {size:,.0f} MiB"
    print(f"views: {views.recipe.name} x {views.count}: {cost}; cached views are reused", file=sys.stderr)


def first_faces(faces: Sequence[FaceImage], encoder: Encoder, name: str) -> list[NDArray[np.uint8]]:
    """The first few readable `faces`, preprocessed for the encoder. Raises FercacheError when none is readable."""
    squares: list[NDArray[np.uint8]] = []
    reasons: list[str] = []
    for result in (prepare(face, encoder) for face in faces):
        if isinstance(result, Prepared):
            squares.append(result.views[0])
        else:
            reasons.append(f"{result.id} ({result.reason})")
        if len(squares) == FACES_TO_SETTLE_ON:
            break
    if not squares:
        raise FercacheError(f"{name}: none of the {len(faces)} images can be read: {', '.join(reasons[:3])} ...")
    return squares


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
    views: Views,
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
        batch_size = (writer.settled or {}).get("batch_size", request.batch_size or encoder.batch_size)
        tables = same_encoder if writer.missing() else []
        known = {view: KnownFeatures(tables, view, identity.get(RECIPE)) for view in views.names}
        task = Task(str(name), dataset, batch_size, views)
        if request.engine == "ray" and writer.missing():
            from fercache.extraction.cluster import extract_on_cluster

            weights = request.encoder.weights and request.encoder.weights.resolve()
            same = request.encoder.but(precision=encoder.precision, weights=weights)
            counts = extract_on_cluster(listing, task, same, encoder.key_identity(), writer, known, request.address)
        else:
            counts = extract_shards(listing, task, encoder, writer, known)
        origins = _origins(name, encoder)
        return writer.assemble(_provenance(request, encoder, counts, batch_size, measured) | origins)


def _write_copies(table: Path, key: str, listing: Listing, encoder: Encoder) -> None:
    path = copies_path(table)
    if not path.exists():
        copies = encode_copies(listing.faces, encoder)
        if copies is not None:
            write_copies(path, key, copies)


def _provenance(
    request: ExtractRequest, encoder: Encoder, counts: Counts, batch_size: int, measured: dict[str, Any]
) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "device": encoder.device,
        "precision": measured,
        "layout": encoder.layout,
        "batch_size": batch_size,
        "encoder": encoder.name,
        "encoder_request": request.encoder.stored(),
        "root": _whole_path(request.root) if request.root else None,
        "seen": list(encoder.seen),
        **asdict(counts),
    }


def _origins(name: DatasetName, encoder: Encoder) -> dict[str, Any]:
    """The origins of a dataset and an encoder that are plugins from outside.

    The dataset's code is not in the identity, which already holds every image and label.
    """
    found = {"dataset_from": registry.origin("datasets", name.family), "encoder_from": encoder.origin}
    return {what: asdict(origin) for what, origin in found.items() if origin}


def _whole_path(root: Path) -> str:
    return address_of(root) or str(root.resolve())


def store_crops(
    cache: Path, table: Path, table_identity: dict[str, Any], listing: Listing, encoder: Encoder, side: int
) -> Path:
    """The path of the square crops of a table's faces, cut as the encoder cuts them; written unless they exist."""
    identity = crops_identity(table_identity, encoder.geometry(), side)
    path = crops_path(cache, table, side, key_of(identity))
    with suppress(UsageError):  # absent, or damaged
        read_crops(path)
        note_asked(path, _crops_asked(cache))
        return path
    columns, face = read_table(table).columns, {face.id: face for face in listing.faces}
    cuts = cut_faces([face[id] for id in columns.id], columns.pixel_sha256, encoder, side)
    write_crops(path, identity, id=columns.id, pixel_sha256=columns.pixel_sha256, parts=cuts)
    note_asked(path, _crops_asked(cache))
    return path


def _note_asked(settings: Settings, path: Path) -> None:
    """Notes the request: `train` and `evaluate` use the table that was requested last."""
    noted = note_asked(path, (table.asked for table in find_tables(settings.cache) if table.path != path))
    table = read_info(path)
    first = first_of(find_tables(settings.cache), table)
    if not noted and first.clean_key != table.clean_key:
        print(
            f"warning: {path.parent} is not writable, so `train` and `evaluate` use {first.path.name}, "
            "which was requested later.",
            file=sys.stderr,
        )


def _crops_asked(cache: Path) -> list[datetime]:
    return [last_asked(path) for path in crop_files(cache)]
