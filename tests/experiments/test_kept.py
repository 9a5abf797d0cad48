"""What experiments refer to is kept by `cache gc`."""

from pathlib import Path

import pytest

from fercache import Settings
from fercache.errors import UsageError
from fercache.experiments.kept import kept_by_experiments
from fercache.housekeeping.garbage import garbage
from tests.housekeeping.made_caches import made_run, made_table

EXPERIMENT = """
name = "mine"
sources = ["folder:mine"]
targets = ["folder:other"]
views = 2
heads = [{ head = "sigmoid-mask", settings = { recipe = "cafe" } }]
"""


def test_tables_of_the_experiments_in_a_folder(settings: Settings, tmp_path: Path) -> None:
    cache = settings.cache
    wanted = made_table(cache, views=2)
    made_table(cache, views=3, asked=1)
    (replaced,) = garbage(cache)
    assert replaced.paths[0] == wanted.path
    assert wanted.path not in kept_by_experiments(settings, tmp_path).tables
    (tmp_path / "mine.toml").write_text(EXPERIMENT)
    (tmp_path / "broken.toml").write_text("name = 1\nheads = ")
    (tmp_path / "fercache.toml").write_text('cache = "cache"\n')
    kept = kept_by_experiments(settings, tmp_path)
    assert set(kept.tables) == {wanted.path}
    assert garbage(cache, kept) == []
    (tmp_path / "wrong.toml").write_text(EXPERIMENT.replace("views = 2", "views = -2"))
    with pytest.raises(UsageError, match="views"):
        kept_by_experiments(settings, tmp_path)


def test_runs_are_planned_only_where_one_is_in_doubt(settings: Settings, tmp_path: Path) -> None:
    made_run(settings.cache, made_table(settings.cache))
    (tmp_path / "mine.toml").write_text(EXPERIMENT)
    kept = kept_by_experiments(settings, tmp_path)
    assert kept.runs() == frozenset()
