"""`fercache compare`: two runs beside each other, a baseline, faces that may be shown; and that it needs no torch."""

import html
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from fercache.cli import cli
from fercache.expressions import EXPRESSIONS
from fercache.records import find_records
from tests.audits.planted import draw_folder
from tests.command_line import Run, prepare_once

pytestmark = pytest.mark.usefixtures("pixel_encoder")
CLASSES = EXPRESSIONS[:7]


@pytest.fixture
def scored(run: Run, tmp_path: Path, shelf: Path) -> list[str]:
    """Names of two runs, a linear probe and kNN, that were scored on a folder of faces."""

    def prepare() -> None:
        draw_folder(tmp_path / "mine")
        for command in (
            ("extract", "--dataset", "folder:mine", "--root", tmp_path / "mine", "--encoder", "pixels"),
            ("train", "--source", "folder:mine", "--head", "linear-probe", "--head", "knn", "--seeds", "0"),
            ("evaluate",),
        ):
            outcome = run(*command)
            assert outcome.code == 0, outcome.err

    prepare_once(prepare, tmp_path, shelf)
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


def test_real_faces_are_shown_only_on_request(run: Run, scored: list[str]) -> None:
    assert run("compare").code == 0
    page = Path("reports/latest/index.html")
    assert "data:image" not in page.read_text(encoding="utf-8")
    assert run("compare", "--thumbnails").code == 0
    assert "data:image" in page.read_text(encoding="utf-8")


def test_only_the_requested_selections_are_shown_below_the_about_text(run: Run, scored: list[str]) -> None:
    outcome = run("compare", "--selection", "source-val", "--selection", "last", "--about", "Is one <enough>?")
    assert outcome.code == 0, outcome.err
    assert set(pd.read_csv("reports/latest/results.csv")["selection"]) == {"source-val", "last"}
    assert "Is one &lt;enough&gt;?" in Path("reports/latest/index.html").read_text(encoding="utf-8")
    for path in find_records(Path("cache")):
        if ".source-val." not in path.name:
            path.unlink()
    none = run("compare", "--selection", "last")
    assert none.code == 2 and "--selection last: no record has this selection. Known: source-val." in none.err


@pytest.fixture
def two_experiments(run: Run, tmp_path: Path, pixel_encoder: object) -> None:
    """Two sources in one cache, each scored on a target of its own."""
    few = {"train": 6, "test": 1}
    for first, name in enumerate(("one", "two", "yours", "theirs")):
        draw_folder(tmp_path / name, 200 * first, few)
        assert run("extract", "--dataset", f"folder:{name}", "--root", tmp_path / name, "--encoder", "pixels").code == 0
    for source, target in (("one", "yours"), ("two", "theirs")):
        run("train", "--source", f"folder:{source}", "--head", "class-mean", "--head", "knn", "--seeds", "0")
        for folder in Path("cache/runs").glob(f"*-folder-{source}-*"):
            targets = ("--target", f"folder:{source}", "--target", f"folder:{target}")
            assert run("evaluate", "--run", folder.name, *targets).code == 0


@pytest.mark.usefixtures("two_experiments")
def test_two_experiments_in_a_cache_keep_their_means_and_can_be_chosen(run: Run) -> None:
    both = run("compare")
    assert both.code == 0 and "X" not in both.out.split()
    assert "mean: over folder:yours." in both.out and "mean: over folder:theirs." in both.out
    page = Path("reports/latest/index.html").read_text(encoding="utf-8")
    assert page.count("1 unseen target<") == 2 * 2
    one = run("compare", "--source", "folder:one")
    assert "Trained on folder:one" in one.out and "Trained on folder:two" not in one.out
    table = pd.read_csv("reports/latest/summary.csv")
    assert set(table["source"]) == {"folder:one"} and set(table["mean_over"]) == {"folder:yours"}
    run("compare", "--head", "knn", "--target", "folder:yours@test", "--target", "folder:theirs")
    table = pd.read_csv("reports/latest/results.csv")
    assert set(table["head"]) == {"knn"} and set(table["target"]) == {"folder:yours", "folder:theirs"}
    for option, known in (("--source", "folder:one, folder:two"), ("--head", "class-mean, knn")):
        wrong = run("compare", option, "nothing")
        assert wrong.code == 2 and f"{option} nothing: no record has this {option[2:]}. Known: {known}." in wrong.err


@pytest.mark.usefixtures("two_experiments")
def test_a_report_has_exactly_what_was_asked_for(run: Run) -> None:
    one = run("compare", "--targets", "folder:yours, folder:one", "--heads", "knn", "--published", "none")
    assert one.code == 0, one.err
    table = pd.read_csv("reports/latest/results.csv")
    assert set(table["head"]) == {"knn"} and set(table["target"]) == {"folder:yours", "folder:one"}
    assert set(table["source"]) == {"folder:one"} and "class-mean" not in one.out and "theirs" not in one.out
    foot = lines_at_the_foot(Path("reports/latest/index.html"))
    assert foot[-1][:6] == ["fercache", "compare", "--name", "latest", "--published", "none"]
    for words, message in (
        (("--heads", "class-mean,kn"), "--head kn: no record has this head. Did you mean 'knn'?"),
        (("--source", "folder:one", "--target", "folder:theirs"), "has this target beside --source folder:one. "),
        (("--target", "folder:one,"), "--target folder:one,: write names, separated by commas."),
        (("--published", "cafe:6"), "no published table 'cafe:6'. Did you mean 'cafe:5'?"),
    ):
        wrong = run("compare", *words)
        assert wrong.code == 2 and message in wrong.err, wrong.err
    runs = sorted(Path("cache/runs").glob("*-folder-one-*"))
    two = run("compare", *(folder.name for folder in runs), "--target", "folder:one")
    assert two.code == 0 and "folder:one: only A is right" in two.out and "yours" not in two.out


@pytest.mark.usefixtures("two_experiments")
def test_a_target_whose_table_is_gone_can_be_left_out(run: Run) -> None:
    for path in find_records(Path("cache")):
        if "-knn-" in path.parent.parent.name and "yours" in path.name:
            path.unlink()
    next(Path("cache/features/pixels").glob("folder-yours-*")).unlink()
    assert "X" in run("compare", "--source", "folder:one").out.split()
    chosen = run("compare", "--source", "folder:one", "--target", "folder:one")
    assert chosen.code == 0 and "X" not in chosen.out.split()


def lines_at_the_foot(page: Path) -> list[list[str]]:
    """The words of the commands that a page names."""
    (found,) = re.findall(r"<pre[^>]*>(.*?)</pre>", page.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(html.unescape(line)) for line in found.splitlines()]


def test_the_commands_at_the_foot_make_the_page_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the user's own prompts and recipe, imported predictions, and runs on only some of the targets."""
    few = {"train": 4, "test": 2}
    folders = {f"folder:{name}": draw_folder(tmp_path / name, first, few) for first, name in ((0, "one"), (100, "two"))}
    for place in (tmp_path, tmp_path / "again"):
        place.mkdir(exist_ok=True)
        roots = "".join(f'"{name}" = "{root.as_posix()}"\n' for name, root in folders.items())
        (place / "fercache.toml").write_text(f"[datasets]\n{roots}")
        (place / "words.toml").write_text(
            "".join(f'{name} = ["{name}{"!" * n}"]\n' for n, name in enumerate(EXPRESSIONS))
        )
        (place / "soft.toml").write_text('steps = [{kind = "flip", p = 0.5}]\n')
    faces = [path for path in sorted((tmp_path / "two" / "test").glob("*/*.png")) if path.parent.name != "contempt"]
    ids = [path.relative_to(tmp_path / "two").as_posix() for path in faces]
    guesses = {name: [0.7 if name == path.parent.name else 0.05 for path in faces] for name in CLASSES}
    theirs = tmp_path / "theirs.csv"
    pd.DataFrame({"id": ids, **guesses}).to_csv(theirs, index=False)
    extract = ("extract", "--encoder", "pixels", "--prompts", "words.toml", "--views", 1, "--recipe", "soft.toml")
    fit = ("--head", "text-similarity", "--prompts", "words.toml", "--seeds", "0,1")
    settings = ("--set", "epochs=1", "--set", "recipe=soft")
    for command in (
        (*extract, "--dataset", "folder:one"),
        (*extract, "--dataset", "folder:two"),
        ("train", "--source", "folder:one", *fit, *settings),
        ("evaluate",),
        ("train", "--source", "folder:two", "--head", "linear-probe", "--seeds", 0),
        ("evaluate", "--target", "folder:one"),
        ("import-predictions", theirs, "--model", "net", "--target", "folder:two", "--source", "folder:one"),
        ("compare", "--name", "trial", "--about", "Words", "--selection", "source-val", "--thumbnails"),
    ):
        outcome = run(*command)
        assert outcome.code == 0, outcome.err
    monkeypatch.chdir(tmp_path / "again")
    for program, *words in lines_at_the_foot(tmp_path / "reports/trial/index.html"):
        outcome = run(*words)
        assert program == "fercache" and outcome.code == 0, (words, outcome.err)
    for file in ("index.html", "summary.csv"):
        once, again = (place / "reports/trial" / file for place in (tmp_path, tmp_path / "again"))
        assert once.read_bytes() == again.read_bytes(), file


def test_colour_is_for_terminals_that_want_it_and_the_best_is_marked_without_it(run: Run, scored: list[str]) -> None:
    assert "\x1b[" not in run("compare").out
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        environment = {"NO_COLOR": "", "TERM": "xterm", **variables}
        shown = CliRunner().invoke(cli, ["compare"], color=True, env=environment).output
        assert ("\x1b[1m*" in shown) == coloured and re.search(r"\*\d+\.\d", shown), variables


def test_wrong_names_are_reported(run: Run, scored: list[str]) -> None:
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


def test_a_mix_of_expressions_gives_the_adjusted_accuracy(run: Run, scored: list[str]) -> None:
    outcome = run("compare", "--class-mix", "happy=0.5, neutral=0.5")
    assert outcome.code == 0, outcome.err
    assert "if the expressions had the mix happiness 50 %, neutral 50 %" in " ".join(outcome.out.split())
    table = pd.read_csv("reports/latest/results.csv")
    expected = (table["recall.happiness"] + table["recall.neutral"]) / 2
    assert table["adjusted_accuracy"].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    page = html.unescape(Path("reports/latest/index.html").read_text(encoding="utf-8"))
    assert "adjusted accuracy" in page and "--class-mix happiness=0.5,neutral=0.5" in page
    assert run("compare").code == 0
    assert "adjusted" not in Path("reports/latest/results.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ("hapiness=1", "'hapiness' is not an expression. Did you mean 'happiness'?"),
        ("happy=0.5,neutral=0.4", "shares must add up to 1, found 0.9"),
        ("happy=0.5,joy=0.5", "joy=0.5: write each expression once"),
        ("happy=half", "with its share between 0 and 1"),
        ("happy", "with its share between 0 and 1"),
        ("happy=1.5,fear=-0.5", "happy=1.5: write each expression once"),
        ("happy=nan", "with its share between 0 and 1"),
    ],
)
def test_a_mix_that_is_none_is_refused(run: Run, mix: str, message: str) -> None:
    outcome = run("compare", "--class-mix", mix)
    assert outcome.code == 2 and message in outcome.err


def test_what_is_no_text_is_refused_before_anything_is_read(run: Run) -> None:
    outcome = run("compare", "--about", "a\udcff")
    assert outcome.code == 2 and "--about 'a\\udcff' contains invalid characters" in outcome.err
