"""One name for a run wherever one is taken: its head and seed, more of its parts where several have them."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fercache.errors import UsageError
from fercache.loading.run_names import SeveralMatchError, resolve, resolve_all, typed_names
from fercache.loading.run_summaries import RunSummary, summary_of
from fercache.store.runs import find_runs
from tests.housekeeping.made_caches import made_record, made_run, made_table


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Three seeds of a method, one seed of it with another setting, and one on another source."""
    table, other = made_table(tmp_path), made_table(tmp_path, "folder:other")
    for seed in range(3):
        made_run(tmp_path, table, seed=seed)
    made_run(tmp_path, table, settings={"epochs": 9})
    made_run(tmp_path, other, head="linear-probe")
    made_run(tmp_path, table, head="linear-probe", seed=7)
    return tmp_path


def seeds(folders: list[Path]) -> list[int]:
    return [summary_of(folder)["seed"] for folder in folders]


def test_a_head_and_a_seed_are_a_run(cache: Path) -> None:
    runs = find_runs(cache)
    assert seeds(resolve(runs, "sigmoid-mask-1")) == [1]
    assert seeds(resolve(runs, "sigmoid-mask-mlp-2")) == [2]
    assert resolve(runs, "linear-probe-7") == resolve(runs, "folder-mine-linear-probe")


def test_every_typed_name_is_that_run(cache: Path) -> None:
    runs = find_runs(cache)
    names = typed_names([summary_of(folder) for folder in runs])
    assert {"sigmoid-mask-1", "sigmoid-mask-2", "linear-probe-0", "linear-probe-7"} <= set(names.values())
    for folder, name in names.items():
        assert resolve(runs, name) == [folder]
        for other in (folder.name, str(folder), folder.name[-8:], folder.name[-8:-3]):
            assert resolve(runs, other) == [folder]


def test_several_runs_are_named_with_what_differs(cache: Path) -> None:
    with pytest.raises(SeveralMatchError, match="'sigmoid-mask-0' matches 2 runs") as caught:
        resolve(find_runs(cache), "sigmoid-mask-0")
    names = typed_names([summary_of(folder) for folder in find_runs(cache)])
    same = [name for name in names.values() if name.startswith("sigmoid-mask-0-")]
    assert len(same) == 2
    assert all(name in str(caught.value) for name in same)
    assert "epochs=3" in str(caught.value) and "epochs=9" in str(caught.value)


def test_a_method_is_all_its_seeds(cache: Path) -> None:
    runs = find_runs(cache)
    assert seeds(resolve(runs, "folder-other-linear-probe")) == [0]
    key = summary_of(resolve(runs, "sigmoid-mask-1")[0])["method_key"]
    assert seeds(resolve(runs, key[:12])) == [0, 1, 2]
    assert seeds(resolve_all(runs, ["sigmoid-mask-2", key[:8]])) == [2, 0, 1]
    with pytest.raises(SeveralMatchError, match=r"2 methods\. Name one of them: folder-.*-linear-probe"):
        resolve(runs, "linear-probe")
    with pytest.raises(SeveralMatchError, match=key[:12]):
        resolve(runs, "sigmoid-mask")


def test_a_damaged_run_is_known_by_its_folder_alone(cache: Path) -> None:
    folder = resolve(find_runs(cache), "sigmoid-mask-1")[0]
    (folder / "config.json").write_text("{")
    runs = find_runs(cache)
    assert resolve(runs, folder.name) == resolve(runs, folder.name[-8:]) == [folder]
    with pytest.raises(UsageError, match="no finished run"):
        resolve(runs, "sigmoid-mask-1")


def test_imported_predictions_have_the_name_of_their_model(tmp_path: Path) -> None:
    table = made_table(tmp_path)
    folder = tmp_path / "runs" / "imported-folder-other-my-model-2-0123abcd"
    folder.mkdir(parents=True)
    made_record(folder, table, head="linear-probe")
    path = next((folder / "records").iterdir())
    text = path.read_text().replace('"linear-probe"', '"My Model"').replace('"seed": 0', '"seed": 2')
    path.write_text(text.replace('"encoder": "bundled"', '"encoder": "imported"'))
    for name in ("my-model-2", "my-model", "imported-my-model", "0123"):
        assert resolve([folder], name) == [folder]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "a-1", "a-mlp", "1", "mask"]),
            st.integers(0, 2),
            st.sampled_from(["mlp", "none"]),
            st.text("0123456789abcdef", min_size=8, max_size=8),
        ),
        max_size=6,
        unique_by=lambda run: run[3],
    )
)
def test_typed_names_are_distinct(parts: list[tuple[str, int, str, str]]) -> None:
    """Whatever heads and trunks are called."""
    runs = []
    for head, seed, trunk, key in parts:
        folder = Path("cache/runs") / f"bundled-studio-{head}-{trunk}-{seed}-{key}"
        given = {
            "encoder": "bundled",
            "head": head,
            "trunk": trunk,
            "seed": seed,
            "source": "studio",
            "method_key": key,
        }
        runs.append(RunSummary(folder, given))
    names = typed_names(runs)
    assert len(set(names.values())) == len(runs) == len(names)
