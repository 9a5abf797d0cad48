"""Square crops of a table's faces, for trunks that read pixels."""

from pathlib import Path

from fercache.encoders import Encoder
from fercache.errors import UsageError
from fercache.extraction.crops import cut_faces
from fercache.extraction.listing import Listing
from fercache.identity import key_of
from fercache.store.asked import last_asked, note_asked
from fercache.store.crops import crop_files, crops_identity, crops_path, read_crops, write_crops
from fercache.store.tables import read_info, read_table


def store_crops(cache: Path, table: Path, listing: Listing, *, encoder: Encoder, side: int) -> None:
    """Cuts the faces of a table as the encoder does, and stores them unless they exist."""
    identity = crops_identity(read_info(table).identity, encoder.geometry(), side)
    path = crops_path(cache, table, side, key=key_of(identity))
    try:
        read_crops(path)
    except UsageError:  # absent, or damaged
        columns, face = read_table(table).columns, {face.id: face for face in listing.faces}
        cuts = cut_faces([face[id] for id in columns.id], columns.pixel_sha256, encoder, side=side)
        write_crops(path, identity, id=columns.id, pixel_sha256=columns.pixel_sha256, parts=cuts)
    note_asked(path, [last_asked(crops) for crops in crop_files(cache)])
