"""The examples of docs/python.md run."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fercache.options.extract import EncoderRequest
from fercache.predicting import predictor as module
from tests.conftest import REPOSITORY
from tests.predicting.fake_detector import FakeDetector, scene

EXAMPLES = re.findall(
    r"^```python\n(.*?)^```$", (REPOSITORY / "docs/python.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.usefixtures("pixel_encoder")
def test_an_example_runs(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an encoder and a detector that cost nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "load_detector", lambda name: FakeDetector())
    monkeypatch.setattr(module, "EncoderRequest", lambda device: EncoderRequest(name="pixels", device=device))
    Image.fromarray(scene(400, 300, (20, 10, 100), (250, 60, 50))).save("photo.jpg", "PNG")  # whose marks are kept
    Image.fromarray(np.zeros((64, 64, 3), np.uint8) + 90).save("crop.png")
    exec(compile(example, "docs/python.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 2


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 2
