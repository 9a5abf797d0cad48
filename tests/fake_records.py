"""Records that look like real ones, drawn from a seed: no training needed to test what reads them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fercache.expressions import EXPRESSIONS
from fercache.identity import key_of, seed_from
from fercache.images.corruptions import corruptions
from fercache.records import Record

CLASSES = EXPRESSIONS[:7]
SKILL = {"zero-shot": 0.55, "linear-probe": 0.84, "sigmoid-mask": 0.87, "text-similarity": 0.88}
TRUNKS = {"sigmoid-mask": "mlp", "text-similarity": "mlp"}
SETTINGS: dict[str, dict[str, Any]] = {
    "zero-shot": {},
    "linear-probe": {"strengths": [0.1, 1, 10]},
    "sigmoid-mask": {"trunk": "mlp", "learning_rate": 0.0002, "batch_size": 32, "epochs": 30, "variant": "paper"},
    "text-similarity": {"trunk": "mlp", "learning_rate": 0.002, "batch_size": 64, "epochs": 30, "variant": "paired"},
}
TARGETS = {"synthetic:studio": 0.0, "synthetic:webcam": 0.12, "synthetic:sketch": 0.24, "synthetic:night": 0.33}
HARM = {"blur": 0.05, "jpeg": 0.02, "dark": 0.04, "noise": 0.07, "occlusion": 0.06, "lowres": 0.08}
"""What a severity of each corruption costs."""
SELECTIONS = {"source-val": 0.0, "last": -0.01, "oracle": 0.015}


def scores_of(confusion: np.ndarray, classes: tuple[str, ...] = CLASSES) -> dict[str, Any]:
    """Plain scores of a (L, L) confusion matrix of counts."""
    support, right, named = confusion.sum(axis=1), confusion.diagonal(), confusion.sum(axis=0)
    recall = [float(r / s) if s else None for r, s in zip(right, support, strict=True)]
    f1 = [2 * r / (s + p) for r, s, p in zip(right, support, named, strict=True) if s]
    return {
        "n": int(support.sum()),
        "accuracy": float(right.sum() / support.sum()),
        "mean_class_recall": float(np.mean([r for r in recall if r is not None])),
        "macro_f1": float(np.mean(f1)),
        "recall": dict(zip(classes, recall, strict=True)),
        "support": dict(zip(classes, map(int, support), strict=True)),
        "confusion": confusion.tolist(),
    }


def drawn_scores(accuracy: float, seed: int, faces: int = 700) -> dict[str, Any]:
    """Scores of about that accuracy: fear and disgust are hard, and errors fall on neighbours."""
    random = np.random.default_rng(seed)
    support = (faces * np.array([0.15, 0.07, 0.09, 0.25, 0.14, 0.12, 0.18])).astype(int)
    hardness = np.array([0.02, -0.22, -0.12, 0.09, -0.06, -0.02, 0.04])
    confusion = np.zeros((7, 7), dtype=int)
    for row in range(7):
        rates = random.dirichlet(np.ones(7) * 0.8)
        rates[row] = 0
        hit = np.clip(accuracy + hardness[row] + random.normal(0, 0.015), 0.03, 0.99)
        rates = rates / rates.sum() * (1 - hit)
        rates[row] = hit
        confusion[row] = random.multinomial(support[row], rates / rates.sum())
    return scores_of(confusion)


def fake_record(
    head: str = "linear-probe",
    seed: int = 0,
    target: str = "synthetic:webcam",
    selection: str = "source-val",
    **changes: Any,
) -> Record:
    """One record of a run that was trained on synthetic:studio."""
    trunk, settings = TRUNKS.get(head, "none"), changes.get("settings", SETTINGS[head])
    source = changes.get("source", "synthetic:studio")
    method = key_of({"head": head, "trunk": trunk, "settings": settings, "source": source})
    run_key = key_of({"method": method, "seed": seed})
    clean, _, corruption = target.partition("+")
    kind, _, severity = corruption.partition(":")
    harm = HARM[kind] * int(severity) if corruption else 0
    skill = SKILL[head] - TARGETS.get(clean, 0.2) - harm + (SELECTIONS[selection] if trunk == "mlp" else 0)
    draw = seed_from(head, seed if head != "zero-shot" else 0, target, trunk == "mlp" and selection)
    scores = {"main": drawn_scores(skill, draw)}
    if head == "sigmoid-mask":
        scores["grouped"] = drawn_scores(skill - 0.03, draw + 1)
    main = scores["main"]
    values: dict[str, Any] = {
        "run": f"bundled-{source.replace(':', '-')}-{head}-{trunk}-{seed}-{run_key[:8]}",
        "method_key": method,
        "encoder": "bundled",
        "encoder_key": key_of({"encoder": "bundled"}),
        "head": head,
        "trunk": trunk,
        "settings": settings,
        "source": source,
        "target": target,
        "target_split": "test",
        "seed": seed,
        "selection": selection,
        "snapshot": "epoch-25" if trunk == "mlp" else "final",
        "policy": "majority",
        "classes": CLASSES,
        "scores": scores,
        "intervals": {
            name: (max(main[metric] - reach, 0), min(main[metric] + reach, 1))
            for name, metric, reach in (
                ("accuracy", "accuracy", 0.03),
                ("accuracy_unconditional", "accuracy", 0.035),
                ("mean_class_recall", "mean_class_recall", 0.04),
            )
        },
        "kept": main["n"],
        "dropped": {"no majority": 41, "contempt": 6} if clean == "ferplus" else {},
        "seen_by_encoder": clean == "ferplus",
        "keys": {"run": run_key, "source": key_of({"set": source}), "target": key_of({"set": target})},
        "versions": {"fercache": "0.1.0", "torch": "2.9.0"},
        "device": "cpu",
        "seconds": 0.4,
    }
    return Record(**(values | changes))


def demo_records(seeds: int = 3) -> Iterator[Record]:
    """4 heads x seeds (zero-shot: one) x 4 targets x 3 selections."""
    for head in SKILL:
        for seed in range(1 if head == "zero-shot" else seeds):
            for target in TARGETS:
                for selection in SELECTIONS:
                    yield fake_record(head, seed, target, selection)


def corrupted_records(clean: str = "ferplus", seeds: int = 3, corruption: str = "all") -> Iterator[Record]:
    """4 heads x seeds (zero-shot: one) x the corrupted versions of `clean` x 3 selections."""
    for head in SKILL:
        for seed in range(1 if head == "zero-shot" else seeds):
            for one in corruptions(corruption):
                for selection in SELECTIONS:
                    yield fake_record(head, seed, f"{clean}+{one}", selection)
