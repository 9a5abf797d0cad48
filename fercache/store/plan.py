"""What all shards of a table share."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fercache.errors import UsageError
from fercache.store.atomic import write_json
from fercache.store.sealed import DamagedFileError

PART_ROWS = 1_000_000
"""Rows of a table up to which it is one file."""


@dataclass(frozen=True)
class ShardPlan:
    """How a table's listing is divided into shards, and these into the files of the finished table, its parts.

    It is `plan.json` in the folder of the shards, and in that of the parts.
    """

    key: str
    rows: int
    shard_rows: int
    classes: tuple[str, ...]
    vote_columns: tuple[str, ...]
    part_rows: int = PART_ROWS

    def __post_init__(self) -> None:
        if self.rows < 1 or self.shard_rows < 1 or self.part_rows < 1:
            raise ValueError(f"a table of {self.rows} rows cannot have shards of {self.shard_rows}")

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.rows // self.shard_rows)

    def rows_of(self, shard: int) -> range:
        """The rows of the listing that a shard covers."""
        return range(shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.rows))

    @property
    def parts(self) -> int:
        """Number of parts: 1 for a table in one file."""
        return 1 if self.rows <= self.part_rows else -(-self.shards // self._part_shards)

    @property
    def _part_shards(self) -> int:
        return max(1, self.part_rows // self.shard_rows)

    def shards_of(self, part: int) -> range:
        """The shards of a part."""
        if self.parts == 1:
            return range(self.shards)
        return range(part * self._part_shards, min((part + 1) * self._part_shards, self.shards))

    def rows_of_part(self, part: int) -> range:
        """The rows of the listing that a part covers."""
        shards = self.shards_of(part)
        return range(self.rows_of(shards[0]).start, self.rows_of(shards[-1]).stop)

    def write(self, path: Path) -> None:
        """Writes atomically. Raises FercacheError if the plan cannot be written."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "ShardPlan":
        """Raises DamagedFileError if `path` holds no plan, UsageError if it cannot be read."""
        try:
            found = json.loads(path.read_bytes())
            more: dict[str, Any] = {name: tuple(map(str, found[name])) for name in ("classes", "vote_columns")}
            more["part_rows"] = int(found.get("part_rows", found["rows"]))  # earlier versions wrote one file
            return cls(str(found["key"]), int(found["rows"]), int(found["shard_rows"]), **more)
        except OSError as error:
            raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise DamagedFileError(
                f"{path} is not a plan of shards: {error}. Delete it and run the same command again."
            ) from error

    def resumed(self, folder: Path, found: "ShardPlan") -> "ShardPlan":
        """The plan `found` in `folder`, to resume with its shards. Raises UsageError for another table's plan."""
        for field in ("key", "rows", "classes", "vote_columns"):
            if getattr(found, field) != getattr(self, field):
                raise UsageError(
                    f"{folder} holds shards of another table: their {field} is {getattr(found, field)!r}, expected "
                    f"{getattr(self, field)!r}. Move the folder away and run the same command again."
                )
        return found
