"""The stored configuration of a run."""

import json

import pytest

from fercache.loading.run_config import RunConfig
from fercache.options.train import LearningOptions, TrainRequest

STORED = {
    "name": "bundled-rafdb-text-similarity-mlp-0-0123abcd",
    "key": "k",
    "method_key": "m",
    "encoder": "bundled",
    "encoder_identity": {},
    "encoder_request": {"name": "bundled", "weights": None, "preprocessing": "clip"},
    "encoder_seen": [],
    "source": "rafdb",
    "source_split": "train",
    "source_key": "s",
    "head": "text-similarity",
    "trunk": "mlp",
    "settings": {"epochs": 2},
    "seed": 0,
    "expressions": ["happiness", "contempt"],
    "dimension": 8,
    "policy": "soft",
    "label_file": "folders",
    "prompts": "faces",
    "prompts_key": "p",
    "logit_scale": 100.0,
    "train_rows": 9,
    "validation_rows": 1,
    "dropped": {},
    "versions": {},
    "device": "cpu",
    "seconds": 0.1,
}
"""As an earlier version wrote it: neither `classes` nor the names `votes` and `labels`."""
ASKED = TrainRequest(votes="soft", labels="folders", classes=8)  # type: ignore[arg-type]


def test_a_configuration_of_an_earlier_version_is_read_and_stored_under_the_same_names() -> None:
    config = RunConfig.model_validate(STORED)
    assert (str(config.votes), config.labels, config.classes) == ("soft", "folders", 8)
    again = json.loads(json.dumps(config.model_dump(mode="json", by_alias=True)))
    assert {name: again[name] for name in STORED} == STORED
    assert RunConfig.model_validate(again) == config


def test_nothing_has_changed_for_the_same_request() -> None:
    assert RunConfig.model_validate(STORED).changes({"epochs": 2}, ASKED, "faces") == {}


def test_a_change_of_prompts_is_named() -> None:
    config = RunConfig.model_validate(STORED)
    assert config.changes({"epochs": 2}, ASKED, "ke2nt") == {"prompts": "faces -> ke2nt"}
    without_text = RunConfig.model_validate({**STORED, "prompts": None, "prompts_key": None})
    assert without_text.changes({"epochs": 2}, ASKED, "ke2nt") == {}


@pytest.mark.parametrize("name", LearningOptions.model_fields)
def test_every_option_that_changes_what_is_learned_is_compared(name: str) -> None:
    values = {"classes": 7, "votes": "majority", "labels": None, "faces": 100, "keep_validation_copies": True} | {
        "few": "faces.csv"
    }
    changed = RunConfig.model_validate(STORED).changes({"epochs": 2}, ASKED.but(**{name: values[name]}), "faces")
    assert list(changed) == [name]
