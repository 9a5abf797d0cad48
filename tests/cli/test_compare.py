"""`fercache compare`: two runs beside each other, a baseline, faces that may be shown; and that it needs no torch."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from fercache.records import find_records
from tests.audits.planted import draw_folder
from tests.command_line import Run

pytestmark = pytest.mark.usefixtures("pixel_encoder")


@pytest.fixture
def scored(run: Run, tmp_path: Path) -> list[str]:
    """Names of two runs, a linear probe and kNN, that were scored on a folder of faces."""
    draw_folder(tmp_path / "mine")
    for command in (
        ("extract", "--dataset", "folder:mine", "--root", tmp_path / "mine", "--encoder", "pixels"),
        ("train", "--source", "folder:mine", "--head", "linear-probe", "--head", "knn", "--seeds", "0"),
        ("evaluate",),
    ):
        outcome = run(*command)
        assert outcome.code == 0, outcome.err
    names = {path.parent.parent.name for path in find_records(Path("cache"))}
    return sorted(names, key=lambda name: "-knn-" in name)


def test_two_runs_show_what_differs_and_which_faces_flipped(run: Run, scored: list[str]) -> None:
    outcome = run("compare", *scored)
    assert outcome.code == 0, outcome.err
    assert "linear-probe" in outcome.out and "knn" in outcome.out
    flips = pd.read_csv("reports/latest/flips.csv", dtype={"id": str})
    assert set(flips.columns) == {"target", "id", "truth", "a", "b", "a_right", "b_right"}
    assert (flips["a_right"] != flips["b_right"]).all()
    assert ((flips["a"] == flips["truth"]) == flips["a_right"]).all()
    results = pd.read_csv("reports/latest/results.csv").query("selection == 'source-val'").set_index("head")
    gained = flips["a_right"].sum() - flips["b_right"].sum()
    faces = results.loc["linear-probe", "n"]
    lead = results.loc["linear-probe", "accuracy"] - results.loc["knn", "accuracy"]
    assert gained / faces == pytest.approx(lead, abs=1e-5)
    swapped = run("compare", scored[1].rpartition("-")[2], scored[0])
    assert swapped.code == 0, swapped.err
    again = pd.read_csv("reports/latest/flips.csv", dtype={"id": str})
    assert set(again.loc[again["a_right"], "id"]) == set(flips.loc[flips["b_right"], "id"])


def test_every_method_is_compared_with_the_baseline(run: Run, scored: list[str]) -> None:
    outcome = run("compare", "--baseline", "linear-probe")
    assert outcome.code == 0, outcome.err
    assert "reports/latest/differences.csv" in outcome.out
    table = pd.read_csv("reports/latest/differences.csv")
    assert set(table["head"]) == {"knn"} and set(table["metric"]) == {"accuracy", "mean class recall"}
    assert (table["p_holm"] >= table["p"]).all()
    assert "Differences to a baseline" in Path("reports/latest/index.html").read_text(encoding="utf-8")
    assert run("compare").code == 0
    assert not Path("reports/latest/differences.csv").exists()


def test_real_faces_are_shown_only_when_asked_for(run: Run, scored: list[str]) -> None:
    assert run("compare").code == 0
    page = Path("reports/latest/index.html")
    assert "data:image" not in page.read_text(encoding="utf-8")
    assert run("compare", "--thumbnails").code == 0
    assert "data:image" in page.read_text(encoding="utf-8")


def test_wrong_names_are_told(run: Run, scored: list[str]) -> None:
    nobody = run("compare", "nobody")
    assert nobody.code == 2 and "no records of a run 'nobody'" in nobody.err
    baseline = run("compare", "--baseline", "linear-prob")
    assert baseline.code == 2 and "linear-probe" in baseline.err


WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoTorch())
sys.argv = ["fercache", "compare", "--baseline", "knn"]
from fercache.cli import main
main()
"""


def test_neither_tables_nor_the_page_need_torch(run: Run, scored: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "linear-probe" in done.stdout
