"""Parts of a report beyond scores: paired differences, ranks, errors, maps, and tables as papers print them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fercache.csv_cells import csv_text
from fercache.records import Record
from fercache.reporting.boards import Board
from fercache.reporting.differences import BoardDifferences, differences, differences_frame
from fercache.reporting.drawing import Drawing
from fercache.reporting.errors import ConfidentError, Pictures, errors_by_board
from fercache.reporting.figure_files import board_slugs, slug
from fercache.reporting.maps import FeatureMap, feature_maps
from fercache.reporting.paper import kept_faces, latex, markdown, paper_tables
from fercache.reporting.ranks import BoardRanks, ranks, ranks_frame
from fercache.reporting.readings import Reader
from fercache.reporting.rows import UNSEEN, Method


@dataclass(frozen=True)
class Extras:
    """Parts that not every report has; what is empty leaves no trace.

    `errors` are by board (encoder key and source) and target label. `files` are texts to lie beside the page, None for
    one that is not to be there, and `drawings` figures, by the name of their files.
    """

    maps: Sequence[FeatureMap] = ()
    differences: Sequence[BoardDifferences] = ()
    ranks: Sequence[BoardRanks] = ()
    errors: dict[tuple[str, str], dict[str, list[ConfidentError]]] = field(default_factory=dict)
    files: dict[str, str | None] = field(default_factory=dict)
    drawings: dict[str, Drawing] = field(default_factory=dict)

    def alike(self, board: Board, method: Method) -> tuple[int, int] | None:
        """How many of how many other methods may share the method's place on the unseen targets; None: not compared."""
        for ranked in self.ranks:
            if (ranked.board.encoder_key, ranked.board.source) == (board.encoder_key, board.source):
                for other, places in ranked.ranges.items():
                    if (other.key, other.readout) == (method.key, method.readout) and (UNSEEN, "accuracy") in places:
                        place = places[UNSEEN, "accuracy"]
                        return place.worst - place.best, place.methods - 1
        return None


def find_extras(
    records: Sequence[Record],
    found: Sequence[Board],
    cache: Path | None,
    pictures: Pictures | None,
    baseline: str | None,
) -> Extras:
    """Everything that the records, and their predictions in the `cache`, give."""
    papers = paper_tables(found, kept_faces(records))
    reader = Reader(cache) if cache else None
    ranked = ranks(records, reader) if reader else []
    compared = differences(records, reader, baseline) if reader and baseline else []
    maps = feature_maps(records, found, cache) if cache else []
    return Extras(
        maps=maps,
        differences=compared,
        ranks=ranked,
        errors=errors_by_board(records, found, cache, pictures) if cache else {},
        files={
            "table.md": markdown(papers) if papers else None,
            "table.tex": latex(papers) if papers else None,
            "differences.csv": csv_text(differences_frame(compared)) if compared else None,
            "ranks.csv": csv_text(ranks_frame(ranked)) if ranked else None,
        },
        drawings=_drawings(maps),
    )


def _drawings(maps: Sequence[FeatureMap]) -> dict[str, Drawing]:
    about = board_slugs(each.board for each in maps)
    return {
        slug(f"map-{side}-{about[each.board.encoder_key, each.board.source]}"): placed.drawing
        for each in maps
        for side, placed in (("before", each.before), ("after", each.after))
    }
