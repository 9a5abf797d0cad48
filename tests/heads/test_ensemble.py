"""The mean log-probability of several heads."""

import pytest
import torch
from pydantic import ValidationError

from fercache.contracts.feature_space import faces, task
from fercache.heads import FittedHead, HeadSettings
from fercache.heads.ensemble import MEMBERS, Ensemble, EnsembleSettings
from fercache.heads.gda import SHRINKAGES, Gda, GdaSettings
from fercache.heads.knn import NEIGHBOURS
from fercache.heads.shift_gda import ShiftGda, ShiftGdaSettings
from fercache.heads.zero_shot import ZeroShot


def test_it_averages_log_probabilities() -> None:
    train, test = faces(140, 1), faces(35, 3)
    head = Ensemble(task(), EnsembleSettings(heads="gda, zero-shot"))
    gda = Gda(task(), GdaSettings())
    alone = ZeroShot(task(), HeadSettings()).logits(test).log_softmax(1)
    for ours, theirs in zip(head.candidates(train, 0), gda.candidates(train, 0), strict=True):
        assert ours == {"gda.shrinkage": theirs["shrinkage"]}
        torch.testing.assert_close(head.logits(test), (gda.logits(test).log_softmax(1) + alone) / 2)


def test_every_combination_of_candidates_is_a_candidate() -> None:
    head = Ensemble(task(), EnsembleSettings(heads="knn,gda"))
    combined = list(head.candidates(faces(70, 1), 0))
    assert combined == [{"knn.k": k, "gda.shrinkage": a} for k in NEIGHBOURS for a in SHRINKAGES]


def test_members_learn_the_shift() -> None:
    train, clean, corrupted = faces(70, 1), faces(35, 2).features, faces(35, 4).features
    head, alone = Ensemble(task(), EnsembleSettings()), ShiftGda(task(), ShiftGdaSettings())
    for each in (head, alone):
        each.learn_shift(clean, corrupted)
        list(each.candidates(train, 0))
    member = head.members["shift-gda"]
    assert isinstance(member, ShiftGda) and torch.equal(member.weight, alone.weight)


@pytest.mark.parametrize("heads", ["gda", "gda,gda", "gda,nothing", "gda,sigmoid-mask", "gda,ensemble", ""])
def test_other_members_are_refused(heads: str) -> None:
    with pytest.raises(ValidationError):
        EnsembleSettings(heads=heads)


def test_every_member_is_fitted_without_randomness() -> None:
    assert all(issubclass(head, FittedHead) and not head.seeded for head in MEMBERS.values())
