"""The examples of CONTRIBUTING.md, in a folder outside of the checkout."""

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fercache.loading.run_config import read_config
from fercache.plugins import forget_plugins
from fercache.store.runs import find_runs
from fercache.store.tables import find_tables
from tests.command_line import Run
from tests.conftest import REPOSITORY
from tests.outside_plugins import install, write

FILE = re.compile(r"^`([\w.]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = dict(FILE.findall((REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")))
MODULES = [name.removesuffix(".py") for name in EXAMPLES if name.endswith(".py")]
CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")

pytestmark = pytest.mark.usefixtures("no_plugins")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose brightness and colour show the expression."""
    folder, random = tmp_path_factory.mktemp("mine") / "faces", np.random.default_rng(0)
    folder.mkdir()
    for person in ("KA", "KL", "KM", "MK", "NA", "UY", "YM"):
        for place, code in enumerate(CODES):
            base = np.array([40 + 30 * place, 200 - 25 * place, 60 * (place % 3)])
            pixels = (base + random.integers(0, 40, (16, 16, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{person}.{code}1.1.png")
    return folder


@pytest.fixture
def examples(tmp_path: Path, faces: Path) -> Iterator[Path]:
    """The working folder with all examples, and faces. Their modules are forgotten afterwards."""
    (write(tmp_path, EXAMPLES) / "faces").symlink_to(faces)
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


def as_installed(folder: Path) -> None:
    """As `pip install` would leave them, with no `plugins` in fercache.toml."""
    project = tomllib.loads(EXAMPLES["pyproject.toml"])["project"]
    groups = {group.removeprefix("fercache."): points for group, points in project["entry-points"].items()}
    install(folder, groups, project["name"])
    settings = (folder / "fercache.toml").read_text()
    (folder / "fercache.toml").write_text(settings[settings.index("[datasets]") :])


@pytest.mark.parametrize("way", ["plugins", "entry points"])
def test_plugins_of_every_kind_are_used_in_an_experiment_and_shown_on_its_page(
    way: str, run: Run, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = way == "entry points"
    if installed:
        as_installed(examples)
        monkeypatch.syspath_prepend(examples)
    done = run("run", "mine.toml", "--device", "cpu")
    assert done.code == 0, done.err
    page = Path("reports/mine/index.html").read_text(encoding="utf-8")
    assert '<section id="my-section"' in page and "<li>my-head: 2</li>" in page
    assert "my-head" in page and "linear trunk" in page and "thumbnail" in page and "my-faces" in page
    (table,) = find_tables(Path("cache"))
    whence = ["my-plugins 1.0"] * 2 if installed else [""] * 2
    assert [table.provenance[each]["distribution"] for each in ("dataset_from", "encoder_from")] == whence
    assert table.identity["encoder"]["plugin"]["sha256"] == table.provenance["encoder_from"]["sha256"]
    configs = [read_config(folder)[1] for folder in find_runs(Path("cache"))]
    assert len(configs) == 3
    for config in configs:
        own, other = (config.head_from, config.trunk_from)[:: 1 if config.head == "my-head" else -1]
        assert own is not None and other is None and len(own.sha256) == 64
        file = examples / ("my_head.py" if config.head == "my-head" else "my_trunk.py")
        assert (own.file, own.distribution) == (str(file), whence[0])
    again = run("run", "mine.toml", "--dry-run")
    assert {line.split()[0] for line in again.out.splitlines()} == {"done"}, again.out
    assert "my-section" in run("list", "report-sections").out
    section = EXAMPLES["my_section.py"].replace("<li>", "<li>head ")
    write(examples, {"my_section.py": section})
    forget_plugins()
    sys.modules.pop("my_section", None)
    stale = run("run", "mine.toml", "--dry-run").out.splitlines()
    assert stale[-1].startswith("stale") and "my-section" in stale[-1]


def test_a_changed_head_is_trained_again_and_its_earlier_runs_are_read_with_a_warning(run: Run, examples: Path) -> None:
    train = ("train", "--head", "my-head", "--source", "my-faces", "--encoder", "thumbnail", "--seeds", "0")
    assert run("extract", "--dataset", "my-faces", "--encoder", "thumbnail").code == 0
    assert run(*train).code == 0 and run(*train).code == 0
    (first,) = find_runs(Path("cache"))
    (examples / "my_head.py").write_text(EXAMPLES["my_head.py"] + "# changed\n", encoding="utf-8")
    forget_plugins()
    again = run(*train)
    assert "the code of the head from " in again.err and "my_head.py has changed" in again.err
    assert len(find_runs(Path("cache"))) == 2
    scored = run("evaluate", "--run", first.name, "--device", "cpu")
    assert scored.code == 0, scored.err
    assert re.search(
        rf"warning: {first.name} was trained with .*my_head.py and is .*, which has changed since", scored.err
    )
    assert run("evaluate").code == 0
    compared = run("compare")
    assert "head code=" in compared.out, "methods of one name are distinguished by their code"
    predicted = run("predict", "faces", "--run", first.name)
    assert predicted.code == 0
    (examples / "fercache.toml").write_text('plugins = ["my_encoder.py", "my_faces.py"]\n')
    forget_plugins()
    gone = run("evaluate", "--run", first.name, "--again")
    assert gone.code == 2 and "my_head.py" in gone.err and "--plugin FILE" in gone.err


def test_the_tests_of_plugins_pass(examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(examples)
    tests = importlib.import_module("test_my_plugins")
    tests.test_head()
    tests.test_trunk()
    tests.test_encoder()
    tests.test_detector()
    (tmp_path / "few").mkdir()
    tests.test_dataset(tmp_path / "few")
