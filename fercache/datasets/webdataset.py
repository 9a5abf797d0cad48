"""WebDataset shards: tar files in which a sample's files share a name, `000123.jpg`, `000123.cls`, `000123.json`."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from fercache.datasets import Dataset, FaceImage
from fercache.datasets.manifest import OTHER_NAMES, label_of, read_meanings
from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS, canonical
from fercache.layouts.folders import IMAGE_SUFFIXES
from fercache.layouts.remote import exists, files_in, folders_in, local, read, shown
from fercache.layouts.tars import LARGEST_NOTE, Member, members, read_member
from fercache.splits import SPLITS, split_name

LABEL, ABOUT = ".cls", ".json"
KEYS = ("label", "split", "subject")
"""Keys of a .json file that are read."""
MEANINGS, CLASS_NAMES = "labels.csv", "classnames.txt"


class WebDataset(Dataset):
    """The root is a folder of tars, a folder of such folders (`test/0.tar`), or one tar, local or remote.

    A label is an expression or an alias; numbers need a file beside the shards: labels.csv, with the columns label and
    expression, or classnames.txt, with one name per line, from 0. JSON may hold label, split and subject. Otherwise the
    split is in the name of the shard's folder or of the shard: `train/0.tar`, `faces-train-000001.tar`.
    """

    expressions: ClassVar = EXPRESSIONS
    domains: ClassVar = None
    layout: ClassVar = (
        "one tar file or several: each sample is an image and a .cls with its label, or a .json with label, split, "
        "subject."
    )
    licence: ClassVar = "your own images"
    homepage: ClassVar = ""
    citation: ClassVar = ""

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """By shard, in the shard's order; the id is the shard's name and the member's.

        Each shard is read and hashed in one pass. Raises UsageError with the shard if it is damaged, and for unknown
        labels.
        """
        if root is None or not exists(root):
            raise self.refuse_root(f"{shown(root) if root else 'no root'} does not exist.")
        root = local(root)
        shards = files_in(root, ".tar") or [tar for folder in folders_in(root) for tar in files_in(folder, ".tar")]
        if not shards:
            raise self.refuse_root(f"{shown(root)} holds no tar files; unpack compressed ones to .tar.")
        folder = root if root != shards[0] else root.parent
        meaning, split_of = _meanings(folder), _splits(shards, folder)
        for shard in shards:
            for sample in _samples(shard):
                yield from _faces(
                    shard, sample, meaning, name=shard.relative_to(folder).as_posix(), split=split_of[shard]
                )


def _meanings(folder: Path) -> dict[str, str | None] | None:
    """Label -> expression, from either file. Raises UsageError for a class that is not an expression."""
    path = folder / CLASS_NAMES
    if exists(folder / MEANINGS) or not exists(path):
        return read_meanings(folder / MEANINGS)
    try:
        names = read(path, 0, LARGEST_NOTE).decode("utf-8-sig").split("\n")
        return {str(number): canonical(name) for number, name in enumerate(names) if name.strip()}
    except (UsageError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{shown(path)}: {error}") from None


def _splits(shards: list[Path], folder: Path) -> dict[Path, str]:
    """The split of each shard, by its folder, else by its name; none unless at least one is a known split."""
    names = {shard: shard.parent.name if shard.parent != folder else shard.stem for shard in shards}
    known = {shard: _split_in(name) for shard, name in names.items()}
    if not any(known.values()):
        return dict.fromkeys(shards, "")
    return {shard: known[shard] or split_name(name.rstrip("-_.0123456789")) for shard, name in names.items()}


def _split_in(name: str) -> str:
    return next((split for part in re.split(r"[\W_]+", name) if (split := split_name(part)) in SPLITS), "")


def _samples(shard: Path) -> Iterator[list[Member]]:
    """Consecutive members that share a name up to the first dot."""
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


def _faces(
    shard: Path, sample: list[Member], meaning: dict[str, str | None] | None, name: str, split: str
) -> Iterator[FaceImage]:
    about = _about(shard, sample)
    label = about.get("label")
    for member in sample:
        if PurePosixPath(member.name).suffix.lower() not in IMAGE_SUFFIXES:
            continue
        try:
            named = label_of("" if label is None else str(label).strip(), meaning)
        except UsageError as error:
            raise UsageError(f"{shown(shard)}, {member.name}: {error}") from None
        yield FaceImage(
            f"{name}/{member.name}",
            partial(read_member, shard, member.offset, member.size, member.refused),
            split_name(str(about.get("split", split))),
            named,
            subject=str(about.get("subject", "")),
            fingerprint=member.sha256,
        )


def _about(shard: Path, sample: list[Member]) -> dict[str, Any]:
    """What a sample says about its images. Raises UsageError for malformed JSON."""
    about: dict[str, Any] = {}
    for member in sample:
        if member.note is None:
            continue
        try:
            text = member.note.decode("utf-8")
            if not member.name.lower().endswith(ABOUT):
                about["label"] = text
            elif isinstance(found := json.loads(text), dict):
                given = {str(key).lower(): value for key, value in found.items() if value is not None}
                keys = [(name, key) for key in KEYS for name in (*OTHER_NAMES.get(key, ()), key)]
                about |= {key: given[name] for name, key in keys if name in given}
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"{shown(shard)}, {member.name}: {str(error)[:100]}. Expected UTF-8 text, or JSON."
            ) from None
    return about


plugin = WebDataset()
