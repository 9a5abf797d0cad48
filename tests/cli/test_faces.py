"""From photographs to scores through the command line: `extract --faces`, `train`, `evaluate`."""

from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from fercache import registry
from fercache.detectors import DEFAULT
from fercache.records import MAIN, find_records, read_records
from fercache.store.tables import find_tables, read_table
from fercache.synthetic_faces import EXPRESSIONS
from tests.command_line import Run
from tests.scenes import compose, drawn_portraits

pytestmark = pytest.mark.skipif(
    not registry.load("detectors", DEFAULT).installed(), reason="fercache[faces] is not installed"
)

PER_EXPRESSION = {"train": 4, "test": 2}
AROUND = 60
"""Pixels of a scene around a portrait: smaller photographs are searched in less time."""
SIDE = 120


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of scenes in class folders, a face in each; and one scene without a face."""
    root = tmp_path_factory.mktemp("photographs")
    portraits = {expression: [] for expression in EXPRESSIONS}  # type: ignore[var-annotated]
    for portrait in islice(drawn_portraits(styles=("studio",)), 7 * sum(PER_EXPRESSION.values())):
        portraits[portrait.expression].append(portrait)
    for expression, of_it in portraits.items():
        scene, truths = compose(of_it, seed=EXPRESSIONS.index(expression), sides=(SIDE,))
        splits = [split for split, count in PER_EXPRESSION.items() for _ in range(count)]
        for number, (split, truth) in enumerate(zip(splits, truths, strict=True)):
            left, top, right, bottom = map(int, truth.portrait_box)
            path = root / split / expression / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            part = scene[max(top - AROUND, 0) : bottom + AROUND, max(left - AROUND, 0) : right + AROUND]
            Image.fromarray(part).save(path, quality=95)
    Image.fromarray(compose([], 3)[0][:200, :200]).save(root / "train" / "anger" / "empty.jpg")
    return root


def test_photographs_become_a_dataset_that_is_trained_on_and_scored(run: Run, photographs: Path) -> None:
    extracted = run("extract", "--dataset", "folder:party", "--root", photographs, "--faces", "auto")
    assert extracted.code == 0, extracted.err
    assert "train/anger/empty.jpg (no face found)" in extracted.err
    assert "without a face, or unreadable, see" in extracted.out
    assert extracted.out.splitlines()[-1] == "next: fercache train --source folder:party"
    (info,) = [table for table in find_tables(Path("cache")) if "+" not in table.identity["dataset"]]
    table = read_table(info.path)
    assert info.provenance["faces"] == "mtcnn" and info.identity["faces"]["alignment"]["margin"] >= 0
    assert len(table.columns) >= 0.9 * 7 * sum(PER_EXPRESSION.values())
    assert all(id.endswith(".jpg#0") for id in table.columns.id)
    trained = run("train", "--source", "folder:party@train", "--head", "linear-probe")
    assert trained.code == 0, trained.err
    evaluated = run("evaluate", "--target", "folder:party@test")
    assert evaluated.code == 0, evaluated.err
    records, _ = read_records(find_records(Path("cache")))
    assert max(record.scores[MAIN].accuracy for record in records) > 0.5  # chance: 1 in 7
    again = run("extract", "--dataset", "folder:party", "--root", photographs, "--faces", "mtcnn")
    assert "already extracted" in again.out
    assert run("cache", "verify").code == 0
