"""A model's name means one run, or all seeds of one method."""

from pathlib import Path

import pytest

from fercache.errors import UsageError
from fercache.loading.models import find_model
from fercache.loading.run_config import read_config
from tests.audits.planted import draw_folder
from tests.command_line import Run

pytestmark = pytest.mark.usefixtures("pixel_encoder")


@pytest.fixture
def cache(run: Run, tmp_path: Path) -> Path:
    """Three seeds of one method, and two methods of another head that differ in a setting."""
    source = draw_folder(tmp_path / "mine", per_class={"train": 6})
    train = ("train", "--source", "folder:mine", "--set", "epochs=1")
    for command in (
        ("extract", "--dataset", "folder:mine", "--root", source, "--encoder", "pixels"),
        (*train, "--head", "text-similarity", "--seeds", "0-2"),
        (*train, "--head", "sigmoid-mask", "--seeds", "0"),
        (*train, "--head", "sigmoid-mask", "--seeds", "0", "--set", "learning_rate=0.5"),
    ):
        outcome = run(*command)
        assert outcome.code == 0, outcome.err
    return Path("cache")


def names_a_run_or_all_seeds_of_a_method(cache: Path) -> None:
    folders = sorted(cache.glob("runs/*text-similarity*"))
    config = read_config(folders[0])[1]
    trunk = config.trunk
    for name in ("text-similarity", f"text-similarity-{trunk}", config.name.rsplit("-", 2)[0], config.method_key[:12]):
        title, found = find_model(cache, name)
        assert [read_config(folder)[1].seed for folder in found] == [0, 1, 2], name
        assert title == config.name.rsplit("-", 2)[0]
    for name in (folders[1].name, str(folders[1]), folders[1].name[-8:]):
        assert find_model(cache, name) == (folders[1].name, [folders[1]])


def names_several_methods_by_their_keys(cache: Path) -> None:
    with pytest.raises(UsageError, match="'sigmoid-mask' matches 2 methods") as error:
        find_model(cache, "sigmoid-mask")
    keys = [read_config(folder)[1].method_key for folder in cache.glob("runs/*sigmoid-mask*")]
    assert len(set(keys)) == 2
    for key in keys:
        assert key[:12] in str(error.value)
        assert len(find_model(cache, key[:12])[1]) == 1


def refuses_what_is_unknown(cache: Path) -> None:
    with pytest.raises(UsageError, match="There is no finished run 'linear-probe'"):
        find_model(cache, "linear-probe")
    with pytest.raises(UsageError, match="is a part of 3 names"):
        find_model(cache, "text-simil")


def test_a_name_is_a_run_or_a_method_or_refused(cache: Path) -> None:
    names_a_run_or_all_seeds_of_a_method(cache)
    names_several_methods_by_their_keys(cache)
    refuses_what_is_unknown(cache)
