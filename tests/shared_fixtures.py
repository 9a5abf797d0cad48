"""What tests of several folders need: a cache of their own, and a folder of faces with planted copies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from fercache import Settings
from fercache.runtime.memory import limit_features
from tests.audits.planted import draw_folder, plant


@pytest.fixture(scope="session")
def planted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant(draw_folder(tmp_path_factory.mktemp("planted")))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache=tmp_path / "cache", reports=tmp_path / "reports")


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of reports are drawn but not rendered, which takes a third of a small report's time."""
    blank = {"svg": '<svg viewBox="0 0 340 200"></svg>', "png": b""}
    monkeypatch.setattr(Figure, "savefig", lambda self, stream, format, **_: stream.write(blank[format]))


@pytest.fixture
def features_on_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No features fit in memory."""
    monkeypatch.setattr("fercache.store.tables.SMALL", 0)
    limit_features(0)
    yield
    limit_features(None)
