"""Targets in a cache whose labels are known, and what the runs in it say about them."""

import numpy as np

from fercache.datasets import DatasetName
from fercache.loading.committee import Committee, read_committee
from fercache.loading.labelled_faces import Labelling, labels_of
from fercache.loading.tables import find_table
from fercache.settings import Settings
from fercache.store.tables import read_table
from tests.few_labels.simulated import Known

TARGETS = ("ferplus", *(f"synthetic:{domain}" for domain in ("studio", "webcam", "night", "sketch")))


def known_of(settings: Settings, target: str) -> tuple[Committee, Known, np.ndarray]:
    """The committee, its answers about the faces that have a label, and which those are."""
    info = find_table(settings.cache, target, None)
    committee = read_committee(settings, info, DatasetName.parse(target))
    truth = labels_of(read_table(info.path), slice(None), Labelling(committee.expressions)).index[committee.row]
    kept = truth >= 0
    answers = np.stack([member.answers for member in committee.members])
    return committee, Known(truth[kept], committee.posterior[kept], answers[:, kept]), kept


def alone(committee: Committee, known: Known, kept: np.ndarray, run: int) -> Known:
    """The same with one member as its own committee."""
    own = committee.members[run]
    return Known(known.truth, own.probabilities[kept], own.answers[None, kept])
