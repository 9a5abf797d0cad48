"""What all shards of a table share."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fercache.errors import UsageError
from fercache.store.atomic import write_json
from fercache.store.sealed import DamagedFileError


@dataclass(frozen=True)
class ShardPlan:
    """How a table's listing is divided into shards; `plan.json` in the folder of its parts."""

    key: str
    rows: int
    shard_rows: int
    classes: tuple[str, ...]
    vote_columns: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.rows < 1 or self.shard_rows < 1:
            raise ValueError(f"a table of {self.rows} rows cannot have shards of {self.shard_rows}")

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.rows // self.shard_rows)

    def rows_of(self, shard: int) -> range:
        """The rows of the listing that a shard covers."""
        return range(shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.rows))

    def write(self, path: Path) -> None:
        """Writes atomically. Raises FercacheError if the plan cannot be written."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "ShardPlan":
        """Raises DamagedFileError if `path` holds no plan, UsageError if it cannot be read."""
        try:
            found = json.loads(path.read_bytes())
            names = {name: tuple(map(str, found[name])) for name in ("classes", "vote_columns")}
            return cls(str(found["key"]), int(found["rows"]), int(found["shard_rows"]), **names)
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
