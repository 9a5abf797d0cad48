"""Runs that a Ray cluster trains are those of this machine; what fails there is reported as it is here."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fercache import Settings, extract
from fercache.cluster import Work
from fercache.errors import FercacheError, UsageError
from fercache.experiments.config import Experiment
from fercache.experiments.run import RunRequest, run
from fercache.loading import last_source
from fercache.loading.last_source import LastSource
from fercache.loading.sources import Source, read_source
from fercache.options.train import TrainRequest
from fercache.stages import _train_on_cluster as engine
from fercache.stages._train_on_cluster import Job
from fercache.stages._training_plans import PlannedRun, planned, training_plans
from fercache.stages.train import train
from fercache.store.run_files import RunFiles
from fercache.store.tables import read_table
from tests.audits.planted import extracted

ray = pytest.importorskip("ray", reason="Ray is not installed")

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.usefixtures("pixel_encoder")]

HEADS = ("sigmoid-mask", "gda")
REQUEST = TrainRequest(source="folder:mine", heads=HEADS, seeds=(0, 1), set={"epochs": "2"}, device="cpu")
ON_RAY = REQUEST.but(engine="ray")


@pytest.fixture
def settings(settings: Settings, planted_folder: Path) -> Settings:
    """Settings whose cache has the source."""
    extracted(settings, "folder:mine", planted_folder)
    return settings


def elsewhere(settings: Settings, folder: Path) -> Settings:
    """The same tables in another cache."""
    shutil.copytree(settings.cache / "features", folder / "features")
    return settings.model_copy(update={"cache": folder})


def content(run: Path) -> tuple[dict[str, Any], bytes, bytes]:
    """A run without its duration."""
    config = json.loads((run / "config.json").read_text())
    assert config.pop("seconds") > 0
    return config, (run / "history.csv").read_bytes(), (run / "head.safetensors").read_bytes()


def test_a_worker_dies_and_the_runs_are_the_same(
    nodes: Any, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = train(settings, REQUEST)
    work, died = engine._train_job, tmp_path / "died"

    def deadly(place: Any, job: Any) -> Any:
        if job.seed == 1 and not died.exists():
            died.touch()
            os._exit(1)
        return work(place, job)

    monkeypatch.setattr(engine, "_train_job", deadly)
    monkeypatch.chdir(tmp_path)
    elsewhere(settings, Path("other"))
    there = train(settings.model_copy(update={"cache": Path("other")}), ON_RAY)
    assert died.exists() and [run.name for run in there] == [run.name for run in here] and len(here) == 3
    assert list(map(content, there)) == list(map(content, here))


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (UsageError("Two faces are missing."), UsageError, r"^Two faces are missing\.$"),
        (RuntimeError("diverged"), FercacheError, r"^the run pixels-.* failed on a worker: RuntimeError: diverged$"),
    ],
)
def test_an_error_of_a_run_is_that_of_this_machine(
    nodes: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[Exception], said: str
) -> None:
    def failing(place: Any, job: Any) -> Any:
        raise raised

    monkeypatch.setattr(engine, "_train_job", failing)
    with pytest.raises(kind, match=said) as caught:
        train(settings, ON_RAY)
    assert type(caught.value) is kind


def test_finished_runs_need_no_cluster_and_a_wrong_address_is_reported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray would try for minutes"))
    wrong = ON_RAY.but(address="nowhere")
    with pytest.raises(UsageError, match="--address nowhere: expected HOST:PORT"):
        train(settings, wrong)
    with pytest.raises(UsageError, match="--address nowhere: expected HOST:PORT"):
        run(settings, RunRequest(experiment=experiment(), engine="ray", address="nowhere"))
    assert train(settings, REQUEST) == train(settings, ON_RAY)


def jobs_of(settings: Settings) -> list[Job]:
    return [Job.of(each, REQUEST) for each in planned(settings, training_plans(settings, REQUEST, read_table))]


def test_a_worker_with_other_files_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_source", LastSource())
    job = jobs_of(settings)[0]
    assert engine._planned_again(settings, job).folder == job.folder
    with pytest.raises(FercacheError, match=r"folder:mine differs on a worker.*mount .* on each\.$"):
        engine._planned_again(settings, replace(job, folder=job.folder.with_name("another")))
    shutil.rmtree(settings.cache / "features")
    with pytest.raises(FercacheError, match=r"differs on a worker.*There: .*fercache extract"):
        engine._planned_again(settings, replace(job, content_key="other"))


def test_a_worker_keeps_its_source_for_further_runs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    def noted(*given: Any, **asked: Any) -> Source:
        reads.append("read")
        return read_source(*given, **asked)

    monkeypatch.setattr(last_source, "read_source", noted)
    monkeypatch.setattr(engine, "_source", LastSource())
    jobs = jobs_of(settings)
    others = [replace(job, request=job.request.but(heads=("class-mean",), set={}, seeds=(9,))) for job in jobs]
    sources = [engine._planned_again(settings, job).plan.source for job in (*jobs, *others)]
    assert len({id(source) for source in sources}) == len(reads) == 1
    changed = replace(jobs[0], content_key="of another table in the same place")
    assert engine._planned_again(settings, changed).plan.source is not sources[0] and len(reads) == 2


def test_a_job_asks_for_the_memory_of_its_features(settings: Settings, request: pytest.FixtureRequest) -> None:
    faces = planned(settings, training_plans(settings, REQUEST, read_table))[0].plan.source.faces
    rows = [len(each) for each in (faces.train, faces.validation, faces.shifted, faces.unshifted) if each is not None]
    assert {job.memory for job in jobs_of(settings)} == {engine.PROCESS + engine.COPIES * 4 * 32 * sum(rows)}
    request.getfixturevalue("features_on_disk")
    assert {job.memory for job in jobs_of(settings)} == {engine.PROCESS}


def experiment() -> Experiment:
    heads = [{"head": "gda"}, {"head": "sigmoid-mask", "settings": {"epochs": 1}}]
    given = {"name": "two", "encoder": "pixels", "sources": ["folder:mine"], "targets": ["folder:mine@test"]}
    return Experiment.model_validate(given | {"heads": heads, "seeds": [0, 1]})


@pytest.fixture
def handed_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The heads of the runs that are handed out at once; they are trained here, one after another."""
    found: list[list[str]] = []

    @contextmanager
    def here(work: Work, items: Mapping[Path, Job], address: str | None) -> Iterator[Any]:
        found.append([job.head for job in items.values()])
        yield ((folder, partial(work.do, work.shared, job)) for folder, job in items.items())

    monkeypatch.setattr(engine, "handed_out", here)
    monkeypatch.setattr(engine, "cores_of_task", lambda: 1)
    monkeypatch.setattr("fercache.experiments.run.connected", lambda address: None)
    monkeypatch.setattr(
        "fercache.experiments.run.extract", lambda settings, asked: extract(settings, asked.but(engine="local"))
    )
    return found


@pytest.mark.usefixtures("blank_figures")
def test_an_experiment_trains_all_steps_at_once_and_each_fails_by_itself(
    settings: Settings, planted_folder: Path, handed_out: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"datasets": {"folder:mine": planted_folder}})
    asked, train_run = RunRequest(experiment=experiment(), engine="ray", device="cpu"), engine.train_run

    def failing(run: PlannedRun) -> RunFiles:
        if run.plan.name == "gda":
            raise UsageError("It does not fit.")
        return train_run(run)

    monkeypatch.setattr(engine, "train_run", failing)
    first = run(settings, asked)
    assert handed_out == [["gda", "sigmoid-mask", "sigmoid-mask"]]
    assert [failure.reason for failure in first.failures] == ["It does not fit."]
    assert {record.head for record in first.records} == {"sigmoid-mask"}
    monkeypatch.setattr(engine, "train_run", train_run)
    second = run(settings, asked)
    assert handed_out[1:] == [["gda"]] and not second.failures
    other = elsewhere(settings, settings.cache.with_name("other"))
    local = run(other, RunRequest(experiment=experiment(), device="cpu"))
    volatile = {"seconds"}
    scores = [[record.model_dump(exclude=volatile) for record in each.records] for each in (second, local)]
    assert scores[0] == scores[1] and len(scores[0]) > 3
