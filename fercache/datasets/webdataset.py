"""WebDataset shards: tar files in which a sample's files share a name, `000123.jpg`, `000123.cls`, `000123.json`."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from fercache.datasets import SPLITS, Dataset, FaceImage, split_name
from fercache.datasets.manifest import label_of, read_meanings
from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS
from fercache.layouts.tars import Member, members, read_member
from fercache.remote import exists, files_in, shown

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".gif", ".tif", ".tiff")
LABEL, ABOUT = ".cls", ".json"
MEANINGS = "labels.csv"


class WebDataset(Dataset):
    """The root is a folder of tars, or one tar, here or at an address (`s3://bucket/faces`).

    A label is an expression or an alias; numbers need a file labels.csv beside the shards, with the columns label and
    expression. JSON may hold label, split and subject. Without a split in it a shard's name tells: `train-000001.tar`.
    """

    expressions: ClassVar = EXPRESSIONS
    domains: ClassVar = None
    layout: ClassVar = (
        "tar files, or one: of a sample a picture and a .cls with its label, or a .json with label, split, subject."
    )
    licence: ClassVar = "your own images"
    homepage: ClassVar = ""
    citation: ClassVar = ""

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """By shard, in the shard's order; the id is the shard's name and the member's.

        Each shard is gone through once, and hashed on the way. Raises UsageError, naming the shard, for one that is
        damaged, and for labels that mean nothing.
        """
        if root is None or not exists(root):
            raise self.refuse_root(f"{shown(root) if root else 'no root'} is not there.")
        shards = files_in(root, ".tar")
        if not shards:
            raise self.refuse_root(f"{shown(root)} holds no tar files; compressed ones must be unpacked to .tar.")
        meaning = read_meanings((root if root != shards[0] else root.parent) / MEANINGS)
        for shard in shards:
            for sample in _samples(shard):
                yield from _faces(shard, sample, meaning)


def _samples(shard: Path) -> Iterator[list[Member]]:
    """Members that stand together and share a name up to the first dot."""
    key, sample = "", list[Member]()
    for member in members(shard, (LABEL, ABOUT)):
        if _key(member) != key:
            yield sample
            key, sample = _key(member), []
        sample.append(member)
    yield sample


def _key(member: Member) -> str:
    folder, _, name = member.name.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def _faces(shard: Path, sample: list[Member], meaning: dict[str, str | None] | None) -> Iterator[FaceImage]:
    told = _told(shard, sample)
    label = told.get("label")
    for member in sample:
        if PurePosixPath(member.name).suffix.lower() not in PICTURES:
            continue
        try:
            named = label_of("" if label is None else str(label).strip(), meaning)
        except UsageError as error:
            raise UsageError(f"{shown(shard)}, {member.name}: {error}") from None
        yield FaceImage(
            f"{shard.name}/{member.name}",
            partial(read_member, shard, member.offset, member.size, member.refused),
            split_name(str(told.get("split", _split_of(shard)))),
            named,
            subject=str(told.get("subject", "")),
            fingerprint=member.sha256,
        )


def _told(shard: Path, sample: list[Member]) -> dict[str, Any]:
    """What stands beside a picture. Raises UsageError for JSON that is none."""
    told: dict[str, Any] = {}
    for member in sample:
        if member.note is None:
            continue
        try:
            text = member.note.decode("utf-8")
            if member.name.lower().endswith(ABOUT):
                about = json.loads(text)
                told |= {n: v for n, v in about.items() if v is not None} if isinstance(about, dict) else {}
            else:
                told["label"] = text
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"{shown(shard)}, {member.name}: {str(error)[:100]}. Expected UTF-8 text, or JSON."
            ) from None
    return told


def _split_of(shard: Path) -> str:
    beginning = split_name(shard.stem.partition("-")[0])
    return beginning if beginning in SPLITS else ""


plugin = WebDataset()
