"""A dataset in which every tenth image is damaged, in every known way, and the others have unusual formats."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fercache import EncoderRequest, ExtractRequest, Settings, extract, registry
from fercache.identity import pixel_hash
from fercache.store.tables import quarantine_path, read_table
from tests.images.test_decode import DAMAGED, EXACT, image

EVERY, PLACE = 10, 3


@dataclass(frozen=True)
class Verdict:
    """How many images were left out and taken, what is wrong about either, and the reasons that were given."""

    damaged: int
    right: int
    wrong: list[str]
    reasons: Counter[str]


def write_images(root: Path, images: int) -> dict[str, bytes]:
    """The hash of the image behind every id that can be read; of the damaged ones nothing."""
    (root / "happy").mkdir(parents=True)
    expected = {}
    for number in range(images):
        pixels, id = image(number), f"happy/{number:06}.png"
        if number % EVERY == PLACE:
            data = DAMAGED[number // EVERY % len(DAMAGED)][0](pixels)
        else:
            data, shown = EXACT[number % len(EXACT)](pixels)
            expected[id] = pixel_hash(shown)
        (root / id).write_bytes(data)
    return expected


def judge(folder: Path, images: int, request: EncoderRequest) -> Verdict:
    """Extracts `images` pictures and compares every row, and every line of the quarantine, with what was written."""
    expected = write_images(folder / "faces", images)
    path = extract(
        Settings(cache=folder / "cache"),
        ExtractRequest(dataset="folder:hostile", root=folder / "faces", encoder=request),
    )
    columns = read_table(path).columns
    with quarantine_path(path).open(newline="", encoding="utf-8") as stream:
        quarantined = {row["id"]: row["reason"] for row in csv.DictReader(stream)}
    wrong = [f"{id}: a row is missing" for id in expected if id not in set(columns.id)]
    damaged = {f"happy/{number:06}.png" for number in range(PLACE, images, EVERY)}
    wrong += [f"{id}: not in the quarantine" for id in damaged - quarantined.keys()]
    wrong += [f"{id}: in the quarantine: {reason}" for id, reason in quarantined.items() if id not in damaged]
    wrong += [f"{id}: no reason" for id, reason in quarantined.items() if not reason]
    wrong += [] if list(columns.id) == sorted(columns.id) else ["rows are out of order"]
    wrong += _wrong_rows(columns.id, columns.pixel_sha256, columns.features["clean"], expected, folder, request)
    return Verdict(len(quarantined), len(columns), wrong, Counter(map(_kind, quarantined.values())))


def _wrong_rows(
    ids: np.ndarray,
    hashes: np.ndarray,
    features: np.ndarray,
    expected: dict[str, bytes],
    folder: Path,
    request: EncoderRequest,
) -> list[str]:
    """Rows of another image, and, of some, features of another."""
    wrong = [
        f"{id}: another image" for id, found in zip(ids, hashes, strict=True) if found.tobytes() != expected.get(id)
    ]
    encoder = registry.encoder_family(request.name).load(request)
    for row in range(0, len(ids), 50):
        number = int(Path(ids[row]).stem)
        shown = EXACT[number % len(EXACT)](image(number))[1]
        alone = encoder.encode_images(encoder.preprocess(shown)[None])[0]
        if not np.allclose(alone, features[row], atol=1e-3):
            wrong.append(f"{ids[row]}: other features than of the image alone")
    return wrong


def _kind(reason: str) -> str:
    """A reason without its numbers."""
    return "".join("#" if letter.isdigit() else letter for letter in reason)
