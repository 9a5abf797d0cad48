"""The original images behind tables: a dataset's root, and faces by id."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fercache import registry
from fercache.datasets import DatasetName, FaceImage
from fercache.extraction.known_faces import Cutting, KnownFaces, known_faces
from fercache.identity import content_hash
from fercache.images.alignment import Alignment
from fercache.images.corruptions import corruptions
from fercache.settings import Settings
from fercache.store.tables import FACES, UNLABELLED, FeatureTable, TableInfo


def known_root(settings: Settings, name: DatasetName, tables: Iterable[TableInfo | FeatureTable]) -> Path | None:
    """A dataset's root from `fercache.toml`, else from the first of the `tables` that was extracted from it."""
    roots = (table.provenance["root"] for table in tables if table.identity["dataset"] == str(name.whole))
    return settings.root_of(str(name.clean)) or next((Path(root) for root in roots if root), None)


def read_without_labels(name: DatasetName, tables: Iterable[TableInfo | FeatureTable]) -> bool:
    """Whether the first table of a dataset, which is the last requested of the cache's, was made without labels."""
    identities = (table.identity for table in tables if table.identity["dataset"] == str(name.whole))
    return UNLABELLED in next(identities, {})


def faces_with(
    ids: Iterable[str], name: DatasetName, *, settings: Settings, tables: Sequence[TableInfo | FeatureTable]
) -> Iterator[FaceImage]:
    """The faces of a dataset with these ids, corrupted if the name says so; stops listing after the last of them.

    They are read and cropped as for the first of the `tables`. Yields nothing without a known root. Raises UsageError
    or OSError if the dataset is not there.
    """
    dataset, wanted = registry.load("datasets", name.family), set(ids)
    corruption = corruptions(name.corruption)[0] if name.corruption else None
    root = known_root(settings, name, tables) if dataset.needs_root else None
    if not wanted or (dataset.needs_root and root is None):
        return
    listed = (dataset.images if read_without_labels(name, tables) else dataset.faces)(root, name.domain)
    found = _found_in_photographs(settings.cache, name, tables)
    for face in listed if found is None else found.among(listed, ids=wanted):
        if face.id in wanted:
            yield replace(face, corruption=corruption)
            wanted.remove(face.id)
            if not wanted:
                return


@dataclass(frozen=True)
class _Found:
    """The faces of photographs as an extraction cropped them."""

    known: KnownFaces
    cutting: Cutting

    def among(self, photographs: Iterable[FaceImage], ids: Collection[str]) -> Iterator[FaceImage]:
        """The faces of photographs that have some of the `ids`; other tables have the photographs themselves."""
        wanted = {*ids, *(id.rpartition("#")[0] for id in ids)}
        for photograph in photographs:
            if photograph.box is None:
                yield photograph
            if photograph.id in wanted:
                with suppress(OSError):
                    yield from self._faces(photograph)

    def _faces(self, photograph: FaceImage) -> Iterator[FaceImage]:
        sha256 = content_hash(photograph.read())
        return self.cutting.faces(photograph, sha256, self.known.get(photograph.id, sha256) or ())


def _found_in_photographs(cache: Path, name: DatasetName, tables: Iterable[TableInfo | FeatureTable]) -> _Found | None:
    """By the first table of the dataset whose faces were found in photographs; None if there is none."""
    for table in tables:
        how = table.identity.get(FACES)
        if how is not None and table.identity["dataset"] == str(name.whole):
            known = known_faces(cache, how["detector"], asked=table.provenance[FACES])
            return _Found(known, Cutting("all", Alignment(how["alignment"]["margin"])))
    return None
