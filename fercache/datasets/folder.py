"""Your own face crops, sorted into folders: `<root>/[<split>/]<class>/*`."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from fercache.datasets import WITHOUT_LABELS, Dataset, FaceImage, face_file
from fercache.errors import UsageError
from fercache.expressions import ALIASES, EXPRESSIONS, NAME_OF_ALIAS
from fercache.layouts.folders import (
    NoLabelError,
    class_name,
    files_below,
    images_by_class,
    refuse_unlabelled,
    subfolders,
)
from fercache.splits import SPLITS, split_name

_ALIASES = "; ".join(f"{name}: {', '.join(a for a in aliases if a != name)}" for name, aliases in ALIASES.items())

LISTS = ("metadata.jsonl", "metadata.csv")
"""The list that Hugging Face's `imagefolder` keeps beside the images."""


class Folder(Dataset):
    """Class folders are named by expression or alias, optionally after a number (`1_surprise`); split folders are
    train, validation (or val) and test, in upper or lower case.

    Every file in a class folder is listed, whatever its suffix, so that none is lost unnoticed: files that are not
    images go to the quarantine list. Hidden files and system files (Thumbs.db, @eaDir) are not listed.
    """

    expressions: ClassVar = EXPRESSIONS
    domains: ClassVar = None
    layout: ClassVar = (
        f"images in [SPLIT/]EXPRESSION/; splits are {', '.join(SPLITS)}, expressions and their aliases {_ALIASES}."
    )
    licence: ClassVar = "your own images"
    homepage: ClassVar = ""
    citation: ClassVar = ""

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """All files, by split and name; the id is the path below `root`. Raises UsageError for any other layout."""
        try:
            yield from self._labelled(self.folder(root))
        except NoLabelError as error:
            raise UsageError(f"{error} {WITHOUT_LABELS}") from None

    def images(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """All files at any depth, by path, in no split; ids are those of `faces`."""
        root = self.folder(root)
        files = files_below(root)
        if not files:
            raise UsageError(f"folder: {root} holds no images.")
        for path in files:
            yield face_file(path, root, split="", label=None)

    def _labelled(self, root: Path) -> Iterator[FaceImage]:
        listed = next((root / name for name in LISTS if (root / name).is_file()), None)
        if listed is not None:
            raise self.refuse_root(f"{listed} lists these images: --dataset manifest:NAME --root {listed}.")
        refuse_unlabelled(root, root)
        top = subfolders(root, root)
        self._refuse_domains(top, root)
        splits = {split_name(folder.name): folder for folder in top if split_name(folder.name) in SPLITS}
        if splits and len(splits) < len(top):
            others = [folder.name for folder in top if folder not in splits.values()]
            raise self.refuse_root(f"{root} has the split folders {', '.join(splits)}, but also {', '.join(others)}.")
        for split in [split for split in SPLITS if split in splits] or [""]:
            folder = splits.get(split, root)
            found = False
            for path, label in images_by_class(folder, root, NAME_OF_ALIAS):
                found = True
                yield face_file(path, root, split, label=label)
            if not found:
                raise self.refuse_root(f"{folder} holds no images in class folders.")

    def _refuse_domains(self, top: Sequence[Path], root: Path) -> None:
        """Raises UsageError for `<domain>/<class>`: several datasets, not one."""
        others = [path for path in top if split_name(path.name) not in SPLITS and class_name(path) not in NAME_OF_ALIAS]
        domains = [path for path in others if any(class_name(f) in NAME_OF_ALIAS for f in subfolders(path, root))]
        if domains and len(domains) == len(top):
            one = domains[0]
            raise UsageError(
                f"{root} holds {len(domains)} domains: {', '.join(path.name for path in domains)}. "
                "Extract each as a dataset of its own, such as "
                f"--dataset folder:{re.sub(r'[^a-z0-9]+', '-', one.name.lower())} --root {shlex.quote(str(one))}"
            )


plugin = Folder()
