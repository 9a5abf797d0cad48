"""Anybody's own face crops, sorted into folders: `<root>/[<split>/]<class>/*`."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from fercache.datasets import SPLITS, Dataset, FaceImage, face_file, split_name
from fercache.expressions import ALIASES, EXPRESSIONS, NAME_OF_ALIAS
from fercache.layouts.folders import pictures_by_class, refuse_unlabelled, subfolders

_ALIASES = "; ".join(f"{name}: {', '.join(a for a in aliases if a != name)}" for name, aliases in ALIASES.items())


class Folder(Dataset):
    """Class folders are named by expression or alias, split folders train, validation (or val), test, in any case.

    Every file in a class folder is listed, whatever its name ends in, so that nothing is left out unnoticed: what is no
    picture goes to the quarantine list. Hidden files and those that systems leave behind (Thumbs.db) are not listed.
    """

    expressions: ClassVar = EXPRESSIONS
    domains: ClassVar = None
    layout: ClassVar = (
        f"pictures in [SPLIT/]EXPRESSION/; splits are {', '.join(SPLITS)}, expressions and their aliases {_ALIASES}."
    )
    licence: ClassVar = "your own images"
    homepage: ClassVar = ""
    citation: ClassVar = ""

    def faces(self, root: Path | None, domain: str = "") -> Iterator[FaceImage]:
        """All files, by split and name; the id is the path below `root`. Raises UsageError for any other layout."""
        root = self.folder(root)
        refuse_unlabelled(root, root)
        top = subfolders(root, root)
        splits = {split_name(folder.name): folder for folder in top if split_name(folder.name) in SPLITS}
        if splits and len(splits) < len(top):
            others = [folder.name for folder in top if folder not in splits.values()]
            raise self.refuse_root(
                f"{root} has the split folders {', '.join(splits)} and beside them {', '.join(others)}."
            )
        for split in [split for split in SPLITS if split in splits] or [""]:
            folder = splits.get(split, root)
            found = False
            for path, label in pictures_by_class(folder, root, NAME_OF_ALIAS):
                found = True
                yield face_file(path, root, split, label)
            if not found:
                raise self.refuse_root(f"{folder} holds no pictures in class folders.")


plugin = Folder()
