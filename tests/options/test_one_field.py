"""The option of CONTRIBUTING.md: one field in one file reaches every place that an option has."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

EXAMPLE = re.compile(r"^`fercache/options/train.py`.*?```python\n(.*?)```", re.MULTILINE | re.DOTALL)
PROBE = """
import json
from pathlib import Path
from fercache.experiments.config import load_experiment
from fercache.experiments.steps import Train, expand
from fercache.loading.run_config import RunConfig
from fercache.options.train import TrainRequest
from tests.loading.test_run_config import STORED

requests = [s.request for s in expand(load_experiment(Path("noted.toml"))) if isinstance(s, Train)]
earlier = RunConfig.model_validate(STORED)
asked = TrainRequest(votes="soft", labels="folders", classes=8, note="second try")
print(json.dumps({
    "from an experiment": requests[0].note,
    "in a run": RunConfig.model_validate(STORED | {"note": "kept"}).note,
    "of an earlier run": earlier.note,
    "compared": earlier.changes({"epochs": 2}, asked, "faces"),
    "in the key": asked.identity(),
}))
"""


@pytest.fixture
def with_note(tmp_path: Path) -> Path:
    """A folder with the package, whose options have one field more."""
    (field,) = EXAMPLE.findall((REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(field.splitlines()) == 1
    package = tmp_path / "fercache"
    (package / "options").mkdir(parents=True)
    for source, folder in ((REPOSITORY / "fercache", package), (REPOSITORY / "fercache/options", package / "options")):
        for entry in source.iterdir():
            if entry.name not in ("__pycache__", "options", "train.py" if folder != package else ""):
                (folder / entry.name).symlink_to(entry)
    before, found, after = (
        (REPOSITORY / "fercache/options/train.py").read_text().partition("    keep_validation_copies")
    )
    assert found
    (package / "options" / "train.py").write_text(before + field + found + after)
    (tmp_path / "tests").symlink_to(REPOSITORY / "tests")
    (tmp_path / "noted.toml").write_text(
        'name = "noted"\nsources = ["synthetic:studio"]\nnote = "first try"\n[[heads]]\nhead = "sigmoid-mask"\n'
    )
    return tmp_path


def test_one_field_is_an_option_everywhere(with_note: Path) -> None:
    def output(*words: str) -> str:
        done = subprocess.run([sys.executable, *words], cwd=with_note, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert re.search(r"--note TEXT +Text to store with the run\.", output("-m", "fercache", "train", "--help"))
    assert json.loads(output("-c", PROBE)) == {
        "from an experiment": "first try",
        "in a run": "kept",
        "of an earlier run": None,
        "compared": {"note": "None -> second try"},
        "in the key": {},
    }
