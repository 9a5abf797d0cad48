from pathlib import Path

import pytest

from fercache.errors import UsageError
from fercache.settings import load_settings


def test_defaults_without_a_file(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.cache == tmp_path / "cache"
    assert settings.root_of("ferplus") is None


def test_file_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fercache.toml").write_text('cache = "here"\n[datasets]\nferplus = "data/ferplus"\n"folder:a" = "b"\n')
    monkeypatch.setenv("FERCACHE_REPORTS", str(tmp_path / "pages"))
    settings = load_settings(tmp_path)
    assert settings.cache == tmp_path / "here"
    assert settings.reports == tmp_path / "pages"
    assert settings.root_of("ferplus") == tmp_path / "data" / "ferplus"
    assert settings.root_of("folder:a") == tmp_path / "b"


@pytest.mark.parametrize(
    ("text", "word"),
    [('cach = "x"', "cache"), ("cache = [", "TOML"), ("datasets = 3", "datasets"), ("cache = 3", "cache")],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "fercache.toml").write_text(text)
    with pytest.raises(UsageError, match=word):
        load_settings(tmp_path)


@pytest.mark.parametrize("name", ["cache", "reports", "ferplus"])
def test_a_home_directory_that_nobody_knows_is_named(tmp_path: Path, name: str) -> None:
    line = f'{name} = "~nobody-of-that-name/x"'
    (tmp_path / "fercache.toml").write_text(line if name != "ferplus" else f"[datasets]\n{line}")
    with pytest.raises(UsageError, match=f"fercache.toml: '{name}' = '~nobody-of-that-name/x': there is no such user"):
        load_settings(tmp_path)
