"""Killed anywhere, also while it goes on from an earlier kill, an extraction ends with the undisturbed table."""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.__main__ import draw_faces, report, trials
from tests.faults.kills import WHOLE, Outcome, Trial, attempted, kind_of, prepare

KILLS = 10
KINDS = {
    *(f"shard: {step}" for step in ("encoding", "writing", "before rename", "done")),
    *(f"assembly: {step}" for step in ("writing", "before rename", "done")),
}

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@needs_fork
def test_killed_anywhere_the_table_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, whole, phases = prepare(tmp_path, draw_faces(tmp_path / "drawn"))
    assert {kind_of(phase) for phase in phases} == KINDS
    chosen = trials(KILLS, phases, seed=0)
    outcomes = list(attempted(root, tmp_path, chosen, whole))
    assert sum(len(outcome.struck) for outcome in outcomes) >= KILLS - 1
    assert any(len(outcome.struck) == 2 for outcome in outcomes)
    assert report(outcomes, phases) == 0, capsys.readouterr().out


def test_a_table_that_differs_or_a_phase_that_was_not_met_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    trial = Trial("t", (0, WHOLE))
    assert report([Outcome(trial, ("shard 0: done",), True)], ["shard 1: done"]) == 0
    assert report([Outcome(trial, ("shard 0: done",), False)], ["shard 1: done"]) == 1
    assert "another table: (0, -1)" in capsys.readouterr().out
    assert report([Outcome(trial, ("shard 0: done",), True)], ["shard 1: done", "assembly: done"]) == 1
    assert "never struck: assembly: done" in capsys.readouterr().out


def test_every_kind_of_phase_is_met_and_a_seed_is_a_plan() -> None:
    phases = [f"shard {n}: {step}" for n in range(9) for step in ("encoding", "done")] + ["assembly: done"]
    chosen = trials(30, phases, seed=3)
    assert chosen == trials(30, phases, seed=3) != trials(30, phases, seed=4)
    assert sum(len(trial.fatal) - 1 for trial in chosen) == 30
    met = Counter(kind_of(phases[trial.fatal[0]]) for trial in chosen)
    assert min(met.values()) >= 5 and len(met) == 3
