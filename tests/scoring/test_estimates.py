"""Estimates without labels: what may be learnt from, what is refused, and how often intervals cover."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from fercache.scoring import estimates
from fercache.scoring.estimates import (
    COMBINED,
    COMMITTEE,
    ESTIMATORS,
    SHARES,
    Calibrated,
    Domain,
    signals_of,
    usable,
    why_not,
)

SIGNALS = dict.fromkeys((*SHARES, *COMMITTEE, "A-distance", "MMD"))


def domain(images: str, generator: np.random.Generator, **changes: object) -> Domain:
    """A domain with a logit accuracy about 1; every signal shows it, with errors that all runs there share."""
    level = float(changes.pop("level", generator.normal(1, 0.6)))  # type: ignore[arg-type]
    accuracy = float(expit(level))
    shown = {name: float(expit(0.5 * level + 0.5 + generator.normal(0, 0.15))) for name in SIGNALS}
    shown |= {"Fréchet distance": float(np.exp(2 - level)), "recall": shown["confidence"], "norm ratio": 1.0}
    values = {
        "run": "run",
        "head": "knn",
        "name": images,
        "images": images,
        "source": "source",
        "source_images": frozenset({"source"}),
        "faces": 500,
        "signals": shown,
        "scores": {"accuracy": accuracy, "mean_class_recall": accuracy},
    }
    return Domain(**(values | changes))  # type: ignore[arg-type]


def domains(count: int, seed: int = 0) -> list[Domain]:
    generator = np.random.default_rng(seed)
    return [domain(f"domain {i}", generator, run=f"run {r}") for i in range(count) for r in range(2)]


def test_nothing_related_is_learnt_from() -> None:
    generator = np.random.default_rng(0)
    unrelated = domain("other", generator)
    clean, corrupted = domain("asked", generator), domain("asked", generator, name="asked+blur:3")
    trained_there = domain("other", generator, source="asked", source_images=frozenset({"asked"}))
    assert usable([unrelated, clean, corrupted, trained_there], "asked", "source") == [unrelated]


def test_a_source_that_is_asked_about_keeps_its_own_runs_and_validation() -> None:
    generator = np.random.default_rng(0)
    test, other = domain("source", generator), domain("other", generator)
    validation = replace(test, validation=True)
    of_another = replace(validation, source="theirs", source_images=frozenset({"theirs"}))
    assert usable([test, validation, of_another, other], "source", "source") == [validation, other]


def test_few_known_domains_are_refused() -> None:
    known = domains(3)
    target = replace(known[-1], images="asked", scores={})
    assert why_not(target, known) == ""
    assert "2 unrelated known domains: domain 0, domain 1; 3 are needed" in why_not(target, known[:4])


def test_a_far_or_unmeasured_target_is_refused() -> None:
    known = domains(4)
    farthest = max(each.signals["Fréchet distance"] for each in known)
    target = replace(known[0], images="asked", scores={})
    for factor, reason in ((1.9, ""), (2.1, f"that of known domains at most {farthest:.1f}")):
        signals = {**target.signals, "Fréchet distance": factor * farthest}
        assert reason in why_not(replace(target, signals=signals), known)
        assert bool(reason) == bool(why_not(replace(target, signals=signals), known))
    unmeasured = {name: value for name, value in target.signals.items() if name != "Fréchet distance"}
    assert "distance from the source is unknown" in why_not(replace(target, signals=unmeasured), known)


def test_labels_of_the_target_and_its_relatives_change_nothing() -> None:
    known = domains(5)
    asked = domain("asked", np.random.default_rng(7))
    wrong = replace(asked, scores={"accuracy": 0.01, "mean_class_recall": 0.99})
    corrupted = replace(asked, name="asked+blur:3", scores={"accuracy": 0.3, "mean_class_recall": 0.2})
    found = []
    for beside in ([], [asked], [wrong], [wrong, corrupted]):
        calibrated = Calibrated([*known, *beside], "asked", "source")
        estimator = calibrated.best(asked)
        assert estimator is not None
        found.append(
            (calibrated.errors, [calibrated.estimate(wrong, m, estimator) for m in ("accuracy", "mean_class_recall")])
        )
    assert all(each == found[0] for each in found)


def test_an_estimator_without_its_signals_is_not_used() -> None:
    known, lacking = domains(5), {"agreement": float("nan")}
    calibrated = Calibrated(known, "asked", "source")
    target = replace(known[0], signals={**known[0].signals, **lacking})
    assert set(calibrated.errors) == set(ESTIMATORS)
    best = calibrated.best(target)
    assert best is not None and "agreement" not in signals_of(best)
    assert calibrated.best(replace(target, signals={})) is None


def test_a_signal_that_tells_accuracy_is_found_and_followed() -> None:
    generator = np.random.default_rng(1)
    known = [domain(f"domain {i}", generator) for i in range(12)]
    exact = [
        replace(each, signals={**each.signals, "dispersity": float(expit(2 * logit(each.scores["accuracy"]) - 1))})
        for each in known
    ]
    calibrated = Calibrated(exact[:-1], exact[-1].images, "source")
    assert min(calibrated.errors, key=lambda name: calibrated.errors[name]) == "dispersity"
    found = calibrated.estimate(exact[-1], "accuracy", "dispersity")
    assert found.value == pytest.approx(exact[-1].scores["accuracy"], abs=0.04)


def test_a_stranger_domain_gets_a_wider_interval() -> None:
    known = domains(8)
    calibrated = Calibrated(known, "asked", "source")
    widths = []
    for away in (0.0, 2.0, 6.0):  # all signals stay within their range, but they contradict each other
        shown = {
            name: float(expit(logit(value) + away * (-1) ** place)) if name in COMBINED else value
            for place, (name, value) in enumerate(known[0].signals.items())
        }
        target = replace(known[0], images="asked", signals=shown, faces=10**9)
        found = calibrated.estimate(target, "accuracy", "three signals")
        widths.append(logit(found.high) - logit(found.low))
    assert widths[0] < widths[1] < widths[2]


@pytest.mark.parametrize("count", [4, 6, 12])
def test_intervals_cover(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated domains, each of which differs from the rule by an error that all its runs share."""
    monkeypatch.setattr(estimates, "ESTIMATORS", {"dispersity": ESTIMATORS["dispersity"]})
    covered = []
    for seed in range(200):
        *known, asked = domains(count + 1, seed=seed)[::2]
        found = Calibrated(known, asked.images, "source").estimate(asked, "accuracy", "dispersity")
        covered.append(found.low <= asked.scores["accuracy"] <= found.high)
    assert 0.78 <= np.mean(covered) <= 0.97  # 0.84, 0.88 and 0.92 of 600
