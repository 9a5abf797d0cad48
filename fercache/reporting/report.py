"""One report: the records that it compares, its request, and what its sections share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fercache.policies import Sees
from fercache.records import Record, frame
from fercache.reporting.boards import Board, boards
from fercache.reporting.export.figure_files import board_slugs
from fercache.reporting.leave_one_out import as_one_source
from fercache.reporting.predictions import Reader
from fercache.reporting.robustness_tables import Robustness, robustness

if TYPE_CHECKING:
    import pandas as pd

Found = TypeVar("Found")

FaceImages = Callable[[str, Sequence[str]], Mapping[str, str]]
"""From a target (the dataset's name) and ids of its faces to data URIs by id, for faces that may be shown."""


@dataclass(frozen=True)
class ReportRequest:
    """What a report shows besides the scores.

    `images` returns the faces that the page may show, with `thumbnails` real ones as well; all other methods are tested
    against `baseline`, a head or a run; `about` is shown at the top; `class_mix`, shares by expression that add up to
    1, is the mix of the adjusted accuracy; `published` names the published tables to list, by default the fitting one.
    """

    images: FaceImages | None = None
    baseline: str | None = None
    about: str = ""
    thumbnails: bool = False
    class_mix: Mapping[str, float] | None = None
    published: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """The input of every section, to be read, not changed.

    `name` is the name of the report's folder. `stored` are the records as written, sorted by run, target and selection
    policy. `cache` holds their predictions; without it, sections that need predictions show nothing.
    """

    name: str
    stored: Sequence[Record]
    cache: Path | None = None
    request: ReportRequest = field(default_factory=ReportRequest)
    _made: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def records(self) -> list[Record]:
        """Those of `stored` that saw nothing of their target; leave-one-domain-out runs are methods of one source."""
        return as_one_source([record for record in self.stored if record.method_sees == Sees.NOTHING])

    @cached_property
    def adapted(self) -> list[Record]:
        """The other records: they saw a part of their target, and are never compared with `records`."""
        return as_one_source([record for record in self.stored if record.method_sees != Sees.NOTHING])

    @cached_property
    def scores(self) -> "pd.DataFrame":
        """A row per run, target, selection policy and readout of `records` and `adapted`; scores are fractions."""
        return frame([*self.records, *self.adapted], self.request.class_mix)

    @cached_property
    def boards(self) -> list[Board]:
        """Methods x unseen targets, one board per encoder and source."""
        return [board for board in boards(self.scores) if board.sees == Sees.NOTHING]

    @cached_property
    def adapted_boards(self) -> list[Board]:
        """The boards of `adapted`."""
        return [board for board in boards(self.scores) if board.sees != Sees.NOTHING]

    @cached_property
    def robustness(self) -> list[Robustness]:
        """Methods x corruptions, one table per encoder, source and corrupted target."""
        return [table for table in robustness(self.scores) if table.sees == Sees.NOTHING]

    @cached_property
    def reader(self) -> Reader | None:
        """Reads predictions face by face; None without a cache."""
        return Reader(self.cache) if self.cache else None

    @cached_property
    def slugs(self) -> dict[tuple[str, str], str]:
        """The part of figure file names for a board or robustness table, by encoder key and source."""
        return board_slugs([*self.boards, *self.robustness])

    def once(self, make: Callable[["Report"], Found]) -> Found:
        """`make(report)`, computed once, for what several sections show."""
        if make not in self._made:
            self._made[make] = make(self)
        found: Found = self._made[make]
        return found
