from pathlib import Path

import pytest

from fercache.errors import UsageError
from fercache.runtime.memory import fits, limit_features
from fercache.settings import FacesOf, Settings, load_settings


def test_defaults_without_a_file(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.cache == tmp_path / "cache"
    assert settings.root_of("ferplus") is None


def test_memory_is_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fercache.toml").write_text('memory = "1 GB"')
    try:
        assert load_settings(tmp_path).memory == 2**30
        assert not fits(2**30 + 1)
        monkeypatch.setenv("FERCACHE_MEMORY", "3 GB")
        assert load_settings(tmp_path).memory == 3 * 2**30
        assert fits(2**31)
        monkeypatch.setenv("FERCACHE_MEMORY", "much")
        with pytest.raises(UsageError, match=r"'memory': .*write a size such as '2 GB'"):
            load_settings(tmp_path)
    finally:
        limit_features(None)


def test_file_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fercache.toml").write_text('cache = "here"\n[datasets]\nferplus = "data/ferplus"\n"folder:a" = "b"\n')
    monkeypatch.setenv("FERCACHE_REPORTS", str(tmp_path / "pages"))
    settings = load_settings(tmp_path)
    assert settings.cache == tmp_path / "here"
    assert settings.reports == tmp_path / "pages"
    assert settings.root_of("ferplus") == tmp_path / "data" / "ferplus"
    assert settings.root_of("folder:a") == tmp_path / "b"


def test_what_finds_faces_in_photographs(tmp_path: Path) -> None:
    lines = ['a = "mtcnn"', 'b = { detector = "yunet:nets/y.onnx", which = "all" }', 'c = "boxes.csv"']
    (tmp_path / "fercache.toml").write_text("\n".join(["[faces]", *lines]))
    assert load_settings(tmp_path).faces == {
        "a": FacesOf(detector="mtcnn"),
        "b": FacesOf(detector=f"yunet:{tmp_path / 'nets' / 'y.onnx'}", which="all"),
        "c": FacesOf(detector=str(tmp_path / "boxes.csv")),
    }
    (tmp_path / "fercache.toml").write_text('[faces]\na = { which = "some" }')
    with pytest.raises(UsageError, match="detector"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "word"),
    [('cach = "x"', "cache"), ("cache = [", "TOML"), ("datasets = 3", "datasets"), ("cache = 3", "cache")],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "fercache.toml").write_text(text)
    with pytest.raises(UsageError, match=word):
        load_settings(tmp_path)


@pytest.mark.parametrize("name", ["cache", "reports", "ferplus"])
def test_a_home_directory_of_an_unknown_user_is_named(tmp_path: Path, name: str) -> None:
    line = f'{name} = "~nobody-of-that-name/x"'
    (tmp_path / "fercache.toml").write_text(line if name != "ferplus" else f"[datasets]\n{line}")
    with pytest.raises(UsageError, match=f"fercache.toml: '{name}' = '~nobody-of-that-name/x': no such user"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "a/b", "-x", "a\n", "a\nb", "\t", r"C:\x", "C:x", "a\\b", "\udcff", "a ", "x" * 101, "a*"],
)
def test_what_is_no_folder_name_on_some_system_names_no_report(name: str) -> None:
    with pytest.raises(UsageError) as error:
        Settings().report(name)
    str(error.value).encode()  # can be printed
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["latest", "my report", "übersicht", "v1.2-b", "audit-ferplus_rafdb"])
def test_ordinary_names_are_names_of_reports(name: str) -> None:
    assert Settings().report(name) == Path("reports") / name
