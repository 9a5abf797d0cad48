"""Experiments as steps: what each needs, what is done, stale or missing, and how they are run to the end."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from fercache import Settings, registry
from fercache.experiments import run as run_stage
from fercache.experiments.config import Experiment, load_experiment
from fercache.experiments.run import Outcome, RunRequest, plan, run
from fercache.experiments.states import Found, State, states
from fercache.experiments.steps import Compare, Evaluate, Extract, Train, expand
from fercache.expressions import EXPRESSIONS
from fercache.options.extract import EncoderRequest, ExtractRequest
from fercache.options.train import TrainRequest
from fercache.records import files, read_record
from fercache.splits import POOL
from fercache.stages.extract import extract
from fercache.store.runs import find_runs
from tests.miniature_experiments import FOLDERS, draw_folders, miniature, settings_in
from tests.pixel_encoder import PixelEncoder, make_known

PIPELINES = Path(__file__).parents[2] / "pipelines"
SHIPPED = sorted(path.stem for path in PIPELINES.glob("*.toml"))

pytestmark = pytest.mark.usefixtures("pixel_encoder")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return draw_folders(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path]) -> Iterator[Path]:
    """A folder with a cache of everything that miniatures encode."""
    folder = tmp_path_factory.mktemp("extracted")
    settings = settings_in(folder, folders)
    with pytest.MonkeyPatch.context() as patch:
        make_known(patch)
        pixels = EncoderRequest(name="pixels")
        for recipe in ("cafe", "ke2nt"):
            extract(settings, ExtractRequest(dataset=FOLDERS[0], encoder=pixels, views=1, recipe=recipe))
        for name in (*FOLDERS, f"{FOLDERS[0]}+blur:2"):
            extract(settings, ExtractRequest(dataset=name, encoder=pixels, crops=32))
    yield folder


@pytest.fixture
def with_figures(tmp_path: Path, extracted: Path, folders: dict[str, Path]) -> Settings:
    """A copy of that cache, and the folders themselves."""
    shutil.copytree(extracted / "cache", tmp_path / "cache")
    return settings_in(tmp_path, folders)


@pytest.fixture
def settings(with_figures: Settings, blank_figures: None) -> Settings:
    """The same for tests to which figures do not matter."""
    return with_figures


def small(name: str) -> Experiment:
    return miniature(load_experiment(PIPELINES / f"{name}.toml"))


def experiment(**changes: Any) -> Experiment:
    """Two heads, two seeds, one source on two targets."""
    heads = [{"head": "gda"}, {"head": "sigmoid-mask", "settings": {"epochs": 1}}]
    given = {"name": "two", "encoder": "pixels", "sources": [FOLDERS[0]], "targets": FOLDERS[:2], "heads": heads}
    return Experiment.model_validate(given | {"seeds": [0, 1]} | changes)


def done(settings: Settings, wanted: Experiment) -> Outcome:
    return run(settings, RunRequest(experiment=wanted, device="cpu"))


def plan_lines(settings: Settings, wanted: Experiment) -> list[str]:
    """`state: title` of every step."""
    return [f"{status.state}: {step.title}" for step, status in plan(settings, wanted)]


def state_of(settings: Settings, wanted: Experiment, kind: type[Any]) -> list[State]:
    return [status.state for step, status in plan(settings, wanted) if isinstance(step, kind)]


def test_the_demo_is_what_demo_does() -> None:
    steps = expand(load_experiment(PIPELINES / "demo.toml"))
    domains = [f"synthetic:{domain}" for domain in registry.load("datasets", "synthetic").domains]
    extracts = [step.request for step in steps if isinstance(step, Extract)]
    assert extracts == [
        ExtractRequest(dataset=domain, encoder=EncoderRequest(name="bundled-general"), shifted=domain == domains[0])
        for domain in domains
    ]
    requests = [step.request for step in steps if isinstance(step, Train)]
    as_demo = TrainRequest(source=domains[0], encoder="bundled-general", seeds=(0, 1, 2))
    for request in requests:
        seeds = as_demo.seeds if registry.load("heads", request.heads[0]).seeded else (0,)
        assert request == as_demo.but(heads=request.heads, seeds=seeds)
    (evaluation,) = [step for step in steps if isinstance(step, Evaluate)]
    assert evaluation.targets == tuple(domains)
    assert steps[-1].title == "compare in report demo"


def test_each_step_needs_only_what_is_before_it_and_titles_differ() -> None:
    for name in SHIPPED:
        steps = expand(load_experiment(PIPELINES / f"{name}.toml"))
        assert all(number < place for place, step in enumerate(steps) for number in step.needs)
        assert len({step.title for step in steps}) == len(steps)


def test_views_are_made_of_sources_and_a_method_in_two_grids_is_trained_once() -> None:
    steps = expand(load_experiment(PIPELINES / "cafe_hyperparameters.toml"))
    views = {step.request.dataset: step.request.views for step in steps if isinstance(step, Extract)}
    assert views == {"rafdb": 4, "ferplus": 0, "affectnet": 0, "sfew": 0, "mmafedb": 0}
    weights = [
        (step.request.set["separation_weight"], step.request.set["diversity_weight"])
        for step in steps
        if isinstance(step, Train) and step.request.heads == ("sigmoid-mask",)
    ]
    assert len(weights) == len(set(weights)) == 19


def test_each_domain_is_left_out_once() -> None:
    steps = expand(load_experiment(PIPELINES / "leave_one_out.toml"))
    sets = {"rafdb", "ferplus", "affectnet", "sfew", "mmafedb"}
    for evaluation in (step for step in steps if isinstance(step, Evaluate)):
        needed = [steps[number] for number in evaluation.needs]
        (source,) = {step.request.source for step in needed if isinstance(step, Train)}
        assert {*source.split(POOL), *evaluation.targets} == sets
        assert len(evaluation.targets) == 1


def test_states_follow_from_the_inventory_alone() -> None:
    steps = expand(experiment())
    kinds = ["extract", "extract", "train", "train", "evaluate", "compare"]
    assert [step.title.split()[0] for step in steps] == kinds
    whole = [Found(1, 1), Found(1, 1), Found(1, 1), Found(2, 2), Found(6, 6), Found(1, 1)]

    def states_with(place: int, found: Found) -> list[str]:
        return [str(each.state) for each in states(steps, [*whole[:place], found, *whole[place + 1 :]])]

    assert states_with(0, whole[0]) == ["done"] * 6
    assert states_with(0, Found(1, 0)) == ["missing", "done", "stale", "stale", "stale", "stale"]
    assert states_with(1, Found(1, 1, changed="a file is newer")) == ["done", "stale", "done", "done", "stale", "stale"]
    assert states_with(3, Found(2, 1)) == ["done", "done", "done", "missing", "stale", "stale"]
    assert states_with(5, Found(1, 0)) == ["done"] * 5 + ["missing"]
    statuses = states(steps, [*whole[:3], Found(2, 1), *whole[4:]])
    assert statuses[3].reason == "1 of 2 runs exist"
    assert statuses[4].reason == f"it needs '{steps[3].title}'"
    assert states(steps, [Found(1, 1, wrong="no crops"), *whole[1:]])[0].reason == "no crops"


def test_what_is_done_is_seen_and_not_done_again(settings: Settings) -> None:
    wanted = experiment()
    before = [*["done"] * 2, *["missing"] * 4]
    assert [line.partition(":")[0] for line in plan_lines(settings, wanted)] == before
    outcome = done(settings, wanted)
    assert outcome.failures == () and outcome.page == settings.reports / "two" / "index.html"
    assert {line.partition(":")[0] for line in plan_lines(settings, wanted)} == {"done"}
    written = {path: path.stat().st_mtime_ns for path in settings.cache.rglob("*") if path.is_file()}
    page = outcome.page.stat().st_mtime_ns
    assert len(done(settings, wanted).records) == len(outcome.records) == 3 * 2 * 4  # runs x targets x policies
    assert written == {path: path.stat().st_mtime_ns for path in settings.cache.rglob("*") if path.is_file()}
    assert outcome.page.stat().st_mtime_ns == page


def test_records_are_read_for_the_page_and_not_again_for_the_outcome(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(files, "read_record", lambda path: asked.append(path) or read_record(path))
    outcome = done(settings, experiment())
    assert len(asked) == len(outcome.records) > 0


def test_a_new_image_makes_everything_after_it_stale(settings: Settings, folders: dict[str, Path]) -> None:
    root = settings.cache.parent / "grown"
    shutil.copytree(folders[FOLDERS[0]], root)
    own = settings.model_copy(update={"datasets": settings.datasets | {FOLDERS[0]: root}})
    done(own, experiment())
    image = Image.open(next((root / "train" / "anger").iterdir()))
    image.rotate(90).save(root / "train" / "anger" / "turned.png")
    assert state_of(own, experiment(), Extract) == [State.STALE, State.DONE]
    assert state_of(own, experiment(), Train) == [State.STALE, State.STALE]
    reasons = [status.reason for _, status in plan(own, experiment())]
    assert "is newer than" in reasons[0] and "it needs" in reasons[2]
    extract(own, ExtractRequest(dataset=FOLDERS[0], encoder=EncoderRequest(name="pixels")))
    after = plan(own, experiment())
    assert [status.state for _, status in after[:4]] == [State.DONE] * 2 + [State.STALE] * 2
    assert State.DONE not in [status.state for _, status in after[4:]]
    assert after[3][1].reason == "the source has changed since 2 of its 2 runs"
    assert done(own, experiment()).failures == ()
    assert {line.partition(":")[0] for line in plan_lines(own, experiment())} == {"done"}


def test_a_table_that_train_would_not_take_is_stale(settings: Settings) -> None:
    """Another request's table of the same set, extracted later, is what counts until this one is asked for again."""
    wanted = experiment(views=1, heads=[{"head": "sigmoid-mask", "settings": {"recipe": "cafe", "epochs": 1}}])
    assert state_of(settings, wanted, Extract) == [State.DONE] * 2
    assert state_of(settings, wanted.model_copy(update={"views": 2}), Extract) == [State.MISSING, State.DONE]
    extract(settings, ExtractRequest(dataset=FOLDERS[0], encoder=EncoderRequest(name="pixels"), views=2))
    statuses = [status for _, status in plan(settings, wanted)]
    assert statuses[0].state == State.STALE and "was requested later" in statuses[0].reason
    assert done(settings, wanted).failures == ()
    assert set(state_of(settings, wanted, (Extract, Train))) == {State.DONE}


def test_crops_and_prompts_that_are_not_there_are_missing(settings: Settings) -> None:
    pixels = [{"head": "sigmoid-mask", "trunk": "resnet18"}]
    of_side = [status for _, status in plan(settings, experiment(crops=48, heads=pixels))]
    assert of_side[0].state == State.MISSING and of_side[0].reason == "crops of 48 pixels are missing"
    assert state_of(settings, experiment(crops=32, heads=pixels), Extract) == [State.DONE] * 2
    own = settings.cache.parent / "mine.toml"
    own.write_text('happiness = ["a happy face"]\nneutral = ["a face"]\n')
    prompts = [status for _, status in plan(settings, experiment(prompts=str(own)))]
    assert prompts[0].state != State.DONE


def test_changed_options_are_named_field_by_field(settings: Settings) -> None:
    done(settings, experiment())
    other = experiment(faces=20, seeds=[0])
    reasons = [status.reason for step, status in plan(settings, other) if isinstance(step, Train)]
    assert reasons == ["not trained with faces: None -> 20"] * 2
    with_prior = [{"head": "gda", "settings": {"prior": "source"}}]
    changed = [
        status.reason for step, status in plan(settings, experiment(heads=with_prior)) if isinstance(step, Train)
    ]
    assert changed[0].startswith("not trained with settings.prior: ") and changed[0].endswith(" -> source")


def test_a_page_that_shows_something_else_is_stale(settings: Settings) -> None:
    done(settings, experiment())
    fewer = experiment(selection=["source-val"])
    assert [status.state for _, status in plan(settings, fewer)] == [State.DONE] * 5 + [State.STALE]
    outcome = done(settings, fewer)
    assert {record.selection for record in outcome.records} == {"source-val"}
    shown = pd.read_csv(settings.reports / "two" / "results.csv")
    assert set(shown.selection) == {"source-val"}


def test_methods_are_compared_with_the_baseline(settings: Settings) -> None:
    plain = experiment(targets=[FOLDERS[1]])
    with_baseline = experiment(targets=[FOLDERS[1]], statistics={"baseline": "gda"})
    done(settings, plain)
    assert plan(settings, with_baseline)[-1][1].reason == "it compares with no baseline"
    assert done(settings, with_baseline).failures == ()
    compared = pd.read_csv(settings.reports / "two" / "differences.csv")
    assert set(compared.baseline) == {"gda"} and set(compared.target) == {FOLDERS[1]}
    assert state_of(settings, with_baseline, Compare) == [State.DONE]
    other = experiment(targets=[FOLDERS[1]], statistics={"baseline": "sigmoid-mask"})
    assert state_of(settings, other, Compare) == [State.STALE]
    assert state_of(settings, plain, Compare) == [State.STALE], "a baseline that is not asked for any more is shown"


def test_a_page_without_one_of_its_files_is_missing(settings: Settings) -> None:
    wanted = experiment(name="torn")
    folder = settings.report("torn")
    done(settings, wanted)
    for file in ("table.tex", next((folder / "figures").iterdir()).relative_to(folder)):
        (folder / file).unlink()
        assert state_of(settings, wanted, Compare) == [State.MISSING], file
        done(settings, wanted)
        assert (folder / file).is_file() and state_of(settings, wanted, Compare) == [State.DONE]
    page = folder / "index.html"
    page.write_bytes(page.read_bytes()[:20_000])
    assert state_of(settings, wanted, Compare) == [State.MISSING]
    done(settings, wanted)
    renamed = wanted.model_copy(update={"about": "Something else."})
    assert state_of(settings, renamed, Compare) == [State.STALE]
    done(settings, renamed)
    assert "Something else." in (folder / "index.html").read_text() and state_of(settings, renamed, Compare) == ["done"]


def test_a_report_shows_the_requested_split_and_existing_duplicates(settings: Settings) -> None:
    other = f"{FOLDERS[1]}@train"
    once = experiment(name="split", targets=[FOLDERS[1]])
    done(settings, experiment(name="other", targets=[other], statistics={"exclude_duplicates": True}))
    records = done(settings, once).records
    assert {(record.target_split, record.without_duplicates) for record in records} == {("test", False)}
    again = done(settings, experiment(name="other", targets=[other])).records
    assert {record.target_split for record in again} == {"train"}


def test_prompts_of_the_same_name_are_not_taken_for_each_other(settings: Settings, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "own.toml", tmp_path / "b" / "own.toml"
    for file, sentence in ((first, "a glad face"), (second, "a merry face")):
        file.parent.mkdir()
        words = "".join(f'{name} = ["{sentence} {name}"]\n' for name in EXPRESSIONS)
        file.write_text(words)
        os.utime(file, (0, 0))  # older than anything, as files are that come out of an archive
    heads = [{"head": "text-similarity", "settings": {"epochs": 1}}]

    def asking_for(file: Path) -> Experiment:
        return experiment(name="words", targets=[FOLDERS[1]], prompts=str(file), heads=heads)

    runs = {record.run for record in done(settings, asking_for(first)).records}
    assert state_of(settings, asking_for(second), Extract)[0] == State.MISSING
    others = {record.run for record in done(settings, asking_for(second)).records}
    assert runs and others and not runs & others
    assert {line.partition(":")[0] for line in plan_lines(settings, asking_for(first))} <= {"done", "stale"}
    assert state_of(settings, asking_for(first), Train) == [State.DONE], "its runs still exist"
    first.write_text(second.read_text())
    assert state_of(settings, asking_for(first), Train) == [State.DONE], "both now have the same text"


def test_a_record_that_cannot_be_read_is_reported_and_written_again(settings: Settings) -> None:
    wanted = experiment(name="hurt", targets=[FOLDERS[1]])
    record = next((settings.cache / "runs" / done(settings, wanted).records[0].run / "records").iterdir())
    whole = record.read_text()
    record.write_text(whole[:100])
    statuses = plan(settings, wanted)
    assert [status.state for _, status in statuses[:3]] == [State.DONE] * 3
    assert record.name in statuses[-2][1].reason
    assert done(settings, wanted).failures == ()
    assert read_record(record).snapshot in whole


def test_an_interrupted_experiment_goes_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    whole = run_stage.train

    def until_the_second(settings: Settings, request: TrainRequest) -> list[Path]:
        trained.append(1)
        if request.heads == ("sigmoid-mask",):
            whole(settings, request.but(seeds=request.seeds[:1]))
            raise KeyboardInterrupt
        return whole(settings, request)

    monkeypatch.setattr(run_stage, "train", until_the_second)
    with pytest.raises(KeyboardInterrupt):
        done(settings, experiment())
    assert len(trained) == 2
    there = {folder: (folder / "done").stat().st_mtime_ns for folder in find_runs(settings.cache)}
    assert len(there) == 2
    assert state_of(settings, experiment(), Train) == [State.DONE, State.MISSING]
    monkeypatch.setattr(run_stage, "train", whole)
    outcome = done(settings, experiment())
    assert outcome.failures == () and len({record.run for record in outcome.records}) == 3
    assert {folder: (folder / "done").stat().st_mtime_ns for folder in there} == there


def test_one_that_fails_does_not_stop_the_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run_stage.train

    def failing(settings: Settings, request: TrainRequest) -> list[Path]:
        if request.heads == ("gda",):
            raise RuntimeError("the memory is full")
        return whole(settings, request)

    monkeypatch.setattr(run_stage, "train", failing)
    outcome = done(settings, experiment(targets=[FOLDERS[1]]))
    assert [(failure.title.split(" on ")[0], failure.reason) for failure in outcome.failures] == [
        ("train gda", "RuntimeError: the memory is full")
    ]
    assert {record.head for record in outcome.records} == {"sigmoid-mask"}
    assert "[4/6] train sigmoid-mask (epochs=1) on folder:one, 2 seeds ..." in capsys.readouterr().err


def test_seeds_that_were_trained_before_another_failed_are_scored(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_stage.train

    def failing(settings: Settings, request: TrainRequest) -> list[Path]:
        whole(settings, request.but(seeds=request.seeds[:1]))
        raise OSError("the disk is full")

    monkeypatch.setattr(run_stage, "train", failing)
    wanted = experiment(targets=[FOLDERS[1]], heads=[{"head": "sigmoid-mask", "settings": {"epochs": 1}}])
    outcome = done(settings, wanted)
    assert [failure.reason for failure in outcome.failures] == ["OSError: the disk is full"]
    assert {record.seed for record in outcome.records} == {0}


def test_what_depends_on_what_failed_is_skipped(settings: Settings) -> None:
    gone = settings.model_copy(update={"datasets": {**settings.datasets, "folder:gone": settings.cache / "nowhere"}})
    outcome = done(gone, experiment(sources=[FOLDERS[0], "folder:gone"], targets=[FOLDERS[1]]))
    assert "nowhere does not exist" in outcome.failures[0].reason
    skipped = [failure for failure in outcome.failures[1:] if failure.reason.startswith("skipped, because")]
    assert [failure.title.split()[0] for failure in skipped] == ["train", "train", "evaluate"]
    assert {record.source for record in outcome.records} == {FOLDERS[0]}
    target = done(gone, experiment(targets=[FOLDERS[1], "folder:gone"]))
    assert len(target.failures) == 1
    assert {record.target for record in target.records} == {FOLDERS[1]}
    for nowhere in ({"sources": ["folder:gone"]}, {"targets": ["folder:gone"]}):
        nothing = done(gone, experiment(**{"sources": [FOLDERS[0]], "targets": [FOLDERS[1]]} | nowhere))
        assert nothing.page is None and nothing.records == []
        assert [failure.title.split()[0] for failure in nothing.failures][-2:] == ["evaluate", "compare"]


def test_another_checkpoint_of_the_same_encoder_is_another_table(settings: Settings, tmp_path: Path) -> None:
    weights = tmp_path / "encoder.pt"
    weights.write_bytes(b"")
    assert state_of(settings, experiment(weights=str(weights)), Extract) == [State.MISSING] * 2
    assert state_of(settings, experiment(precision="bf16"), Extract) == [State.MISSING] * 2


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_experiment_in_miniature_runs(with_figures: Settings, name: str) -> None:
    settings, wanted = with_figures, small(name)
    outcome = done(settings, wanted)
    assert outcome.failures == ()
    assert outcome.page is not None and outcome.page.parent.name == name
    steps = expand(wanted)
    runs = sum(len(step.request.seeds) for step in steps if isinstance(step, Train))
    assert len({record.run for record in outcome.records}) == runs
    targets = {target for step in steps if isinstance(step, Evaluate) for target in step.targets}
    assert {record.target for record in outcome.records} == targets
    assert {line.partition(":")[0] for line in plan_lines(settings, wanted)} == {"done"}


def test_weights_that_would_have_to_be_fetched_are_reported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PixelEncoder, "unfetched", lambda request: "https://weights.example")
    elsewhere = settings.model_copy(update={"cache": settings.cache.parent / "empty"})
    reason = plan(elsewhere, experiment())[0][1].reason
    assert reason == "the weights of pixels will be downloaded from https://weights.example"
    assert state_of(settings, experiment(), Extract) == [State.DONE] * 2, "what is extracted needs no weights"
