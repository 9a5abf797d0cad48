"""Plugins from outside: which are found, and which are refused with which message."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fercache import registry
from fercache.errors import UsageError
from fercache.plugins import forget_plugins, use_plugins
from fercache.settings import load_settings
from tests.command_line import Run
from tests.conftest import REPOSITORY
from tests.outside_plugins import DATASET, HEAD, install, write

pytestmark = pytest.mark.usefixtures("no_plugins")


def test_files_and_folders_of_the_settings_are_known_relative_to_their_file(tmp_path: Path) -> None:
    write(tmp_path, {"my_head.py": HEAD, "more/stripes.py": DATASET, "more/_helper.py": "raise SystemExit"})
    (tmp_path / "fercache.toml").write_text('plugins = ["my_head.py", "more/"]\n')
    load_settings(tmp_path)
    assert "my-head" in registry.names("heads") and "stripes" in registry.names("datasets")
    assert registry.load("heads", "my-head").__name__ == "MyHead"
    assert not {"helper", "-helper"} & {*registry.names("heads"), *registry.names("datasets")}
    origin = registry.origin("heads", "my-head")
    assert origin is not None and origin.file == str(tmp_path / "my_head.py") and len(origin.sha256) == 64
    assert registry.origin("heads", "knn") is None
    with pytest.raises(UsageError, match="Did you mean 'my-head'"):
        registry.load("heads", "my-haed")


def test_entry_points_are_known_as_an_object_or_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"outside_package/__init__.py": "", "outside_package/head.py": HEAD, "outside_set.py": DATASET})
    points = {"heads": {"my_head": "outside_package.head:MyHead"}, "datasets": {"stripes": "outside_set"}}
    monkeypatch.syspath_prepend(install(tmp_path, points))
    origin = registry.origin("heads", "my-head")
    assert registry.load("heads", "my-head").__name__ == "MyHead"
    assert registry.load("datasets", "stripes").expressions == ("happiness", "sadness", "neutral")
    assert origin is not None and origin.distribution == str(origin) == "my-plugins 1.0"
    assert origin.file == str(tmp_path / "outside_package" / "head.py")


def test_the_hash_is_of_the_file_and_of_the_helpers_that_it_uses(tmp_path: Path) -> None:
    helped = HEAD.replace("\nclass", "\nfrom ._scale import scale\n\nclass")
    write(tmp_path, {"mine.py": helped, "_scale.py": "def scale():\n    return 1\n", "_other.py": "OTHER = 1\n"})

    def sha256() -> str:
        forget_plugins()
        use_plugins([tmp_path])
        origin = registry.origin("heads", "mine")
        assert origin is not None
        return origin.sha256

    before = sha256()
    write(tmp_path, {"_other.py": "OTHER = 22\n"})
    assert sha256() == before
    write(tmp_path, {"_scale.py": "def scale():\n    return 22\n"})
    helper_changed = sha256()
    write(tmp_path, {"mine.py": helped + "# a remark\n"})
    assert len({before, helper_changed, sha256()}) == 3


def test_of_plugins_with_one_name_built_in_ones_win_then_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {"knn.py": HEAD, "one/mine.py": HEAD, "two/mine.py": HEAD})
    use_plugins([tmp_path / "knn.py", tmp_path / "one", tmp_path / "two"])
    assert registry.load("heads", "knn").__module__ == "fercache.heads.knn"
    origin = registry.origin("heads", "mine")
    assert origin is not None and origin.file == str(tmp_path / "one" / "mine.py")
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 2, "each clash once"
    assert (
        "'knn'" in printed[0]
        and "the built-in one (fercache.heads)" in printed[0]
        and str(tmp_path / "knn.py") in printed[0]
    )
    assert str(tmp_path / "one" / "mine.py") in printed[1] and str(tmp_path / "two" / "mine.py") in printed[1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'.*line 1.*Fix the file"),
        ("x = 1\nx / 0", "ZeroDivisionError: division by zero.*line 2"),
        ("def", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise ValueError('two\\nlines.')", r"ValueError: two lines \("),
        ("Plugin = 1", "defines no `plugin`"),
        ("plugin = 1", "`plugin` is a int, expected a Dataset, Encoder, Head"),
        (DATASET.replace("plugin = Stripes()", "plugin = Stripes"), r"write `plugin = Stripes\(\)`"),
        ("from fercache.heads import FittedHead\nclass A(FittedHead): ...\nplugin = A", "A does not define .*logits"),
    ],
)
def test_a_broken_plugin_is_named_with_the_remedy(tmp_path: Path, text: str, sentence: str) -> None:
    write(tmp_path, {"mine.py": text})
    use_plugins([tmp_path / "mine.py"], "--plugin")
    with pytest.raises(UsageError, match=f"{re.escape(str(tmp_path / 'mine.py'))}.*{sentence}"):
        registry.names("heads")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("gone_package.head:MyHead", "gone_package.*my-plugins 1.0 cannot be loaded.*pip uninstall my-plugins"),
        ("fercache.trunks.mlp:MLP", "expected a subclass of fercache.heads.Head"),
        ("fercache.heads.knn:Missing", "AttributeError"),
    ],
)
def test_a_broken_entry_point_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, sentence: str
) -> None:
    monkeypatch.syspath_prepend(install(tmp_path, {"heads": {"mine": value}}))
    with pytest.raises(UsageError, match=sentence):
        registry.load("heads", "mine")
    assert registry.load("heads", "knn"), "built-in ones still load"


def test_a_file_in_a_folder_that_is_named_as_well_is_one_plugin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use_plugins([write(tmp_path, {"mine.py": HEAD}), tmp_path / "mine.py"])
    assert registry.names("heads").count("mine") == 1
    assert capsys.readouterr().err == ""


def test_a_name_that_no_file_of_a_run_could_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path, {"heads": {"my/head": "fercache.heads.knn:KNN"}}))
    with pytest.raises(UsageError, match="'my/head' is not a plugin name"):
        registry.names("heads")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("absent.py", "the path does not exist"),
        ("absent/", "the path does not exist"),
        ("notes.txt", "a plugin is a Python file"),
        ("my.head.py", "a plugin is a Python file"),
        ("_mine.py", "begin with _ are not plugins"),
        ("empty", "has no Python files"),
    ],
)
def test_a_path_without_plugins_is_refused_when_it_is_named(tmp_path: Path, name: str, sentence: str) -> None:
    write(tmp_path, {"notes.txt": "", "my.head.py": HEAD, "_mine.py": HEAD, "empty/_mine.py": HEAD})
    (tmp_path / "fercache.toml").write_text(f'plugins = ["{name}"]\n')
    with pytest.raises(UsageError, match=f"`plugins` in .*fercache.toml: {tmp_path}.*{sentence}"):
        load_settings(tmp_path)


def test_a_plugin_is_named_on_the_command_line_and_listed_with_its_origin(run: Run, tmp_path: Path) -> None:
    write(tmp_path, {"my_head.py": HEAD, "broken.py": "import no_such_package"})
    listed = run("list", "heads", "--plugin", "my_head.py")
    assert listed.code == 0, listed.err
    assert f"my-head                  from {tmp_path / 'my_head.py'}" in listed.out.splitlines()
    assert "knn" in listed.out.splitlines()
    broken = run("list", "heads", "--plugin", "broken.py")
    assert broken.code == 2 and "Traceback" not in broken.err
    assert "fercache: " in broken.err and "broken.py cannot be loaded: ModuleNotFoundError" in broken.err
    forget_plugins()
    shown = run("datasets", "show", "stripes", "--plugin", write(tmp_path, {"stripes.py": DATASET}) / "stripes.py")
    assert shown.code == 0 and "Stripes instead of faces." in shown.out


def test_what_a_plugin_lists_can_be_read_in_another_process_that_knows_the_file(tmp_path: Path) -> None:
    use_plugins([write(tmp_path, {"stripes.py": DATASET})])
    faces = list(registry.load("datasets", "stripes").faces(None))
    (tmp_path / "faces.pickle").write_bytes(pickle.dumps(faces[:2]))
    code = (
        "import pickle, sys; from fercache.plugins import use_plugins; use_plugins([sys.argv[1]]);"
        "print(pickle.load(open(sys.argv[1] + '/faces.pickle', 'rb'))[1].read().shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(16, 16, 3)"
