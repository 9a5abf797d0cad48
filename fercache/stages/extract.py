"""images -> feature table, prompts -> prompt tables."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fercache import registry
from fercache.datasets import Dataset, DatasetName, FaceImage, check_domain, has_spare_validation
from fercache.encoders import Encoder, TextEncoder
from fercache.encoders.bundled.reference import load_checked
from fercache.errors import UsageError, check_length
from fercache.extraction.copies import encode_copies
from fercache.extraction.crops import store_crops
from fercache.extraction.listing import Listing, list_faces
from fercache.extraction.local import Counts, ExtractionTask, extract_shards
from fercache.extraction.packed_faces import remembered
from fercache.extraction.photographs import find_faces, resolved
from fercache.extraction.prepare import CLEAN_VIEW, RequestedViews, first_faces
from fercache.extraction.table_identity import table_identity
from fercache.identity import key_of
from fercache.images.corruptions import SHIFTED, Corruption, corruptions
from fercache.images.views import load_recipe
from fercache.layouts.remote import address_of, exists, shown
from fercache.loading.earlier_versions import warn_encoded_again
from fercache.loading.tables import first_of
from fercache.options.extract import NO_FACES, ExtractRequest
from fercache.policies import LARGEST
from fercache.prompts import check_covers, set_label
from fercache.runtime.versions import versions
from fercache.settings import Settings
from fercache.splits import default_split
from fercache.stages._precision import keep_precision
from fercache.stages.check import warn_of_other_counts
from fercache.stages.embed_prompts import write_prompt_tables
from fercache.store.asked import note_asked
from fercache.store.copies import copies_path, write_copies
from fercache.store.in_use import using
from fercache.store.shards import TableWriter
from fercache.store.tables import FACES, RECIPE, KnownFeatures, find_tables, read_info, table_path


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
    corruption = _corruption(name)
    root = root_of(settings, name, dataset, given=request.root)
    if request.engine == "ray" and root is not None:
        root = Path(_whole_path(root))  # workers run in other folders
    request = _with_faces(settings, request.but(root=root), name)
    faces = remembered(dataset.images(root, name.domain)) if request.unlabelled else _faces(name, dataset, root)
    if not request.unlabelled:
        check_covers(request.prompts, _named(dataset, faces), of=str(name))
    how = None
    if request.faces != NO_FACES:
        faces, how = find_faces(str(name.clean), faces, cache=settings.cache, request=request)
    if corruption is not None:
        name, faces = _corrupted(name, dataset, faces, corruption=corruption)

    listing = list_faces(str(name), faces)
    encoder = load_checked(request.encoder)
    check_length("The encoder's name", encoder.name)
    extraction = _Extraction(
        settings.cache, request, name, dataset=dataset, listing=listing, encoder=encoder, views=views, found=how
    )
    table = extraction.run()
    if corruption is None:
        extraction.write_copies(table)
    if request.crops is not None:
        store_crops(settings.cache, table, listing, encoder=encoder, side=request.crops)
    by_validation = request.shifted and not request.unlabelled and corruption is None
    if by_validation and has_spare_validation(listing.splits, name):
        held_out = str(replace(name.clean, corruption=SHIFTED, split="validation"))
        extract(settings, request.but(dataset=held_out, views=0, crops=None, shifted=False))
    _note_asked(settings.cache, table)
    return table


def root_of(settings: Settings, name: DatasetName, dataset: Dataset, given: Path | None) -> Path | None:
    """The root of a dataset: the option, else `fercache.toml`. Raises UsageError when neither names one."""
    if not dataset.needs_root:
        return None
    whole = str(name.clean)
    root = given or settings.root_of(whole)
    if root is None:
        raise UsageError(
            f'The root of {whole} is not known. Give --root, or add `"{whole}" = "..."` below `[datasets]` in '
            "fercache.toml."
        )
    if not exists(root):
        raise UsageError(
            f"{shown(root)} does not exist; --root must be the folder of {whole}. See `fercache datasets show {whole}`."
        )
    return root


def _with_faces(settings: Settings, request: ExtractRequest, name: DatasetName) -> ExtractRequest:
    """With what finds the faces in photographs: the option, else `fercache.toml`, else NO_FACES.

    Raises UsageError for `which` without it.
    """
    configured = settings.faces.get(str(name.clean))
    if request.faces is None and configured is not None:
        which = configured.which if request.which == LARGEST else request.which
        request = request.but(faces=configured.detector, which=which)
    if request.faces in (None, NO_FACES) and request.which != LARGEST:
        raise UsageError(f"--which {request.which} chooses among the faces of photographs: add --faces mtcnn.")
    return request.but(faces=resolved(request.faces or NO_FACES))


def _views(request: ExtractRequest) -> RequestedViews:
    recipe = load_recipe(request.recipe)
    if request.views and not recipe.steps:
        raise UsageError(f"The recipe {recipe.name} changes nothing, so all its views would be the clean one.")
    return RequestedViews(recipe, request.views) if request.views else CLEAN_VIEW


def _corruption(name: DatasetName) -> Corruption | None:
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


def _faces(name: DatasetName, dataset: Dataset, root: Path | None) -> Sequence[FaceImage]:
    """All faces of a dataset, with a warning if their counts are not as expected."""
    faces = remembered(dataset.faces(root, name.domain))
    if dataset.expected(root, name.domain):
        warn_of_other_counts(name, dataset.findings(faces, root, name.domain))
    return faces


def _named(dataset: Dataset, faces: Iterable[FaceImage]) -> set[str]:
    """The expressions of all labels; with votes, those of the family."""
    return set(dataset.expressions) if dataset.vote_columns else {face.label or "" for face in faces}


def _corrupted(
    name: DatasetName, dataset: Dataset, faces: Sequence[FaceImage], corruption: Corruption
) -> tuple[DatasetName, Sequence[FaceImage]]:
    """The corrupted faces of the named split (default: the target split), and the name with that split."""
    there = {face.split for face in faces}
    split = name.split or default_split(there, dataset.target_split, str(name))
    chosen = remembered(replace(face, corruption=corruption) for face in faces if split in ("", face.split))
    if not chosen:
        raise UsageError(f"{name} has no faces; the splits of this dataset are {', '.join(sorted(there))}.")
    return replace(name, split=split), chosen


@dataclass(frozen=True)
class _Extraction:
    """The listed faces of a dataset on their way to the table of an encoder."""

    cache: Path
    request: ExtractRequest
    name: DatasetName
    dataset: Dataset
    listing: Listing
    encoder: Encoder
    views: RequestedViews
    found: Mapping[str, Any] | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """The identity of the table, with the encoder's current precision."""
        unlabelled, faces = self.request.unlabelled, self.found
        return table_identity(
            self.name, self.listing, self.encoder, views=self.views, unlabelled=unlabelled, faces=faces
        )

    def run(self) -> Path:
        """Settles the precision and writes the prompt tables and the feature table; returns the path of the latter."""
        encoder, request = self.encoder, self.request
        sample = first_faces(self.listing.faces, encoder, str(self.name))
        auto = request.encoder.precision == "auto"
        kept = auto and keep_precision(self.cache, self.name, self.identity, encoder=encoder)
        measured = {} if kept else encoder.settle(sample)
        if isinstance(encoder, TextEncoder):
            write_prompt_tables(self.cache, encoder, request.prompts)
        identity = self.identity
        path = table_path(self.cache, encoder.name, self.name.slug, key=key_of(identity))
        if not path.exists():
            warn_encoded_again(find_tables(self.cache), identity, encoder=encoder.name, faces=len(self.listing.faces))
            self._print_cost_of_views(np.stack(sample))
        return self._write(path, identity, measured)

    def _print_cost_of_views(self, batch: NDArray[np.uint8]) -> None:
        """Prints the time and space that the views need if no table has them, estimated from one batch of faces."""
        if not self.views.count:
            return
        self.encoder.encode_images(batch)  # warm-up
        start = time.perf_counter()
        self.encoder.encode_images(batch)
        rate = len(batch) / (time.perf_counter() - start)
        count = self.views.count * len(self.listing.faces)
        size = count * self.encoder.dimension * (4 if self.encoder.precision == "fp32" else 2) / 2**20
        cost = f"at most {count:,} encodings, {count / rate:,.0f} s and {size:,.0f} MiB"
        print(f"views: {self.views.recipe.name} x {self.views.count}: {cost}; cached views are reused", file=sys.stderr)

    def _write(self, path: Path, identity: dict[str, Any], measured: dict[str, Any]) -> Path:
        writer = TableWriter(
            path,
            identity=identity,
            classes=self.dataset.expressions,
            vote_columns=self.dataset.vote_columns,
            rows=len(self.listing.faces),
            shard_rows=self.request.shard_rows,
        )
        reused = [table.path for table in find_tables(self.cache) if table.identity["encoder"] == identity["encoder"]]
        with writer, using(self.cache, reused if writer.missing() else []):
            size = (writer.settled or {}).get("batch_size", self.request.batch_size or self.encoder.batch_size)
            known = self._known(identity) if writer.missing() else {}
            task = ExtractionTask(str(self.name), self.dataset, size, views=self.views, known=known)
            counts = self._encode(task, writer) if writer.missing() else Counts()
            return writer.assemble(self._provenance(counts, size) | {"precision": measured})

    def _known(self, identity: dict[str, Any]) -> dict[str, KnownFeatures]:
        """The features that can be reused from other tables."""
        tables = [table for table in find_tables(self.cache) if table.identity["encoder"] == identity["encoder"]]
        return {view: KnownFeatures(tables, view, identity.get(RECIPE)) for view in self.views.names}

    def _encode(self, task: ExtractionTask, writer: TableWriter) -> Counts:
        request = self.request
        if request.engine == "local":
            return extract_shards(self.listing, task, self.encoder, writer=writer)
        from fercache.extraction.cluster import extract_on_cluster

        return extract_on_cluster(
            self.listing, task, self.encoder, writer=writer, request=request.encoder, address=request.address
        )

    def _provenance(self, counts: Counts, batch_size: int) -> dict[str, Any]:
        """How the table was made. A dataset plugin's code is only here: the identity has every face that it lists."""
        encoder, root = self.encoder, self.request.root
        origins = {"dataset_from": registry.origin("datasets", self.name.family), "encoder_from": encoder.origin}
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            "device": encoder.device,
            "layout": encoder.layout,
            "batch_size": batch_size,
            "encoder": encoder.name,
            "encoder_request": self.request.encoder.stored(),
            "root": _whole_path(root) if root else None,
            **({FACES: self.request.faces, "which": self.request.which} if self.found else {}),
            "seen": list(encoder.seen),
            **asdict(counts),
            **{what: asdict(origin) for what, origin in origins.items() if origin},
        }

    def write_copies(self, table: Path) -> None:
        """Encodes the copies that calibrate an audit of the table, unless they exist."""
        path = copies_path(table)
        if not path.exists() and (copies := encode_copies(self.listing.faces, self.encoder)) is not None:
            write_copies(path, key_of(self.identity), copies)


def _whole_path(root: Path) -> str:
    return address_of(root) or str(root.resolve())


def _note_asked(cache: Path, path: Path) -> None:
    """Notes the request: `train` and `evaluate` use the table that was requested last."""
    noted = note_asked(path, (table.asked for table in find_tables(cache) if table.path != path))
    table = read_info(path)
    first = first_of(find_tables(cache), table)
    if not noted and first.clean_key != table.clean_key:
        print(
            f"warning: {path.parent} is not writable, so `train` and `evaluate` use {first.path.name}, "
            "which was requested later.",
            file=sys.stderr,
        )
