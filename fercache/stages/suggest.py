"""feature table, runs -> a list of faces to label, and a page that shows them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fercache.csv_cells import csv_text
from fercache.datasets import DatasetName
from fercache.errors import UsageError
from fercache.identity import seed_from
from fercache.layouts.own_lists import NoColumnError, named_rows
from fercache.loading.committee import Committee, read_committee
from fercache.loading.few_labelled import image_mark
from fercache.loading.originals import faces_with
from fercache.loading.run_config import read_config
from fercache.loading.tables import find_table
from fercache.loading.thumbnails import thumbnails
from fercache.options.suggest import SuggestRequest
from fercache.output_paths import check_output_file, shown
from fercache.scoring.label_design import draw, inclusion_probabilities, strata, worth_learning
from fercache.settings import Settings
from fercache.store.atomic import write_text
from fercache.store.runs import find_runs
from fercache.store.tables import TableInfo, read_table

COLUMNS = ("number", "id", "label", "predicted", "confidence", "inclusion_probability", "target", "image")
"""Of the list. `number` is that of the page; `predicted` and `confidence` are the committee's. `image` marks the
pixels: labels are not given to another image of the same name."""
MOST_CLUSTERED = 50_000
"""Faces among which those worth learning from are chosen; of more, a sample."""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px sans-serif; margin: 2em; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(9em, 1fr)); gap: 1em; }}
figure {{ margin: 0; }}
img {{ width: 100%; image-rendering: auto; }}
figcaption {{ overflow-wrap: anywhere; color: dimgrey; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>Write the expression of each number into the column <code>label</code> of {list}: {expressions}. Leave the cell empty
if it is none of these.</p>
<main>
{faces}
</main>
</body>
</html>
"""


@dataclass(frozen=True)
class Suggestion:
    """`count` faces of `faces`, the `list` of them, and the page that shows them, None if no image can be read."""

    list: Path
    sheet: Path | None
    count: int
    faces: int


def suggest(settings: Settings, request: SuggestRequest) -> Suggestion:
    """Chooses the faces and writes the list and the page. No label is read.

    Raises UsageError for a target that is not extracted, runs that cannot say anything about it, and a list with labels
    that would be overwritten.
    """
    name = DatasetName.parse(request.target)
    slug = f"{name.slug}@{name.split}" if name.split else name.slug
    path = request.out or settings.report(f"suggest-{slug}") / "faces.csv"
    check_output_file(path, ".csv", "--out")
    _refuse_labels(path)
    info = find_table(settings.cache, str(name), request.encoder)
    committee = read_committee(settings, info, name, runs=request.runs, device=request.device)
    images = read_table(info.path).columns.pixel_sha256[committee.row]
    rows, inclusion = _chosen(settings, committee, images, request=request)
    listed = _list(committee, rows, inclusion, images=[image_mark(each.tobytes()) for each in images[rows]])
    write_text(path, csv_text(listed))
    ids = [str(committee.id[row]) for row in rows]
    sheet = _write_sheet(settings, committee, info, ids=ids, path=path)
    return Suggestion(path, sheet, count=len(rows), faces=len(committee.id))


def _refuse_labels(path: Path) -> None:
    """Raises UsageError if a file, or the page beside it, would be overwritten and has labels or is of another kind."""
    if not path.exists():
        if path.with_suffix(".html").exists():
            raise UsageError(f"{shown(path.with_suffix('.html'))} exists. Name another file with --out.")
        return
    try:
        filled = sum(bool(cells["label"]) for _, cells in named_rows(path, COLUMNS))
    except NoColumnError:
        raise UsageError(
            f"{shown(path)} exists, and is not a list of faces to label. Name another file with --out."
        ) from None
    if filled:
        raise UsageError(f"{shown(path)} has {filled} labels, which would be lost. Name another file with --out.")


def _learned_from(settings: Settings, committee: Committee, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) The faces, by id or by their `images` (N, 32), that a run has learned from as a few labelled faces."""
    ids, hashes = set[str](), set[str]()
    for folder in find_runs(settings.cache):
        with suppress(UsageError):  # `evaluate` reports runs that cannot be read
            few = read_config(folder)[1].few_labels
            if few is not None:
                hashes.update(few.images)
                ids.update(few.faces if DatasetName.parse(few.target).clean == committee.name.clean else ())
    same = zip(committee.id, images, strict=True)
    return np.array([str(id) in ids or pixels.tobytes().hex() in hashes for id, pixels in same], dtype=bool)


def _chosen(
    settings: Settings, committee: Committee, images: NDArray[np.uint8], request: SuggestRequest
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """The rows to label, and the probability with which each was drawn, None if not by chance."""
    posterior = committee.posterior
    seed = seed_from("suggest", list(committee.id), request.seed)
    if request.purpose == "training":
        left = np.flatnonzero(~_learned_from(settings, committee, images))
        if not len(left):
            raise UsageError(f"Runs have learned from labels of all {len(images)} faces of {committee.name}.")
        left = np.sort(np.random.default_rng(seed).permutation(left)[:MOST_CLUSTERED])
        return left[worth_learning(committee.features[left], posterior[left], request.count, seed=seed)], None
    answers = np.stack([member.answers for member in committee.members])
    inclusion = inclusion_probabilities(posterior, answers, request.count)
    rows = draw(inclusion, strata(posterior.argmax(axis=1), posterior.max(axis=1)), seed)
    return rows, inclusion[rows]


def _list(
    committee: Committee, rows: NDArray[np.int64], inclusion: NDArray[np.float64] | None, images: Sequence[str]
) -> pd.DataFrame:
    posterior, name = committee.posterior[rows], committee.name
    columns = {
        "number": np.arange(1, len(rows) + 1),
        "id": committee.id[rows],
        "label": "",
        "predicted": [committee.expressions[answer] for answer in posterior.argmax(axis=1)],
        "confidence": posterior.max(axis=1),
        "inclusion_probability": "" if inclusion is None else inclusion,
        "target": str(name if name.corruption else name.whole),
        "image": images,
    }
    return pd.DataFrame(columns)[list(COLUMNS)]


def _write_sheet(
    settings: Settings, committee: Committee, info: TableInfo, *, ids: Sequence[str], path: Path
) -> Path | None:
    """The page with the numbered faces beside the list; it does not show predictions, which would sway who labels."""
    sheet, name = path.with_suffix(".html"), committee.name
    try:
        found = dict(thumbnails(faces_with(ids, name, settings=settings, tables=[info])))
    except (UsageError, OSError):  # the dataset is no longer there
        found = {}
    if not found:
        sheet.unlink(missing_ok=True)
        return None
    faces = "\n".join(
        f'<figure><img src="{found[id]}" alt=""><figcaption>{number}: {escape(id)}</figcaption></figure>'
        if id in found
        else f"<figure><figcaption>{number}: {escape(id)} cannot be read</figcaption></figure>"
        for number, id in enumerate(ids, 1)
    )
    title = escape(f"{len(ids)} faces of {name} to label")
    return write_text(
        sheet,
        _PAGE.format(title=title, list=escape(path.name), expressions=", ".join(committee.expressions), faces=faces),
    )
