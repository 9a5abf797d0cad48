"""Source validation is never what is scored."""

from pathlib import Path

import pytest

from fercache import Settings
from fercache.stages.sources import TrainRequest, read_source
from tests.audits.planted import draw_folder, extracted

pytestmark = pytest.mark.usefixtures("pixel_encoder")


@pytest.mark.parametrize(
    ("splits", "validation"),
    [
        ({"train": 20, "validation": 5, "test": 5}, 7 * 5),
        ({"train": 20, "validation": 5}, 7 * 2),  # its validation split is scored, so a tenth of train is held out
        ({"train": 20, "test": 5}, 7 * 2),
    ],
)
def test_a_validation_split_that_is_scored_chooses_no_epoch(
    settings: Settings, tmp_path: Path, splits: dict[str, int], validation: int
) -> None:
    extracted(settings, "folder:mine", draw_folder(tmp_path / "mine", per_class=splits))
    source = read_source(settings, TrainRequest("folder:mine", device="cpu"))
    assert len(source.faces.validation) == validation
    assert len(source.faces.train) == 7 * 20 - (0 if validation == 7 * 5 else validation)
