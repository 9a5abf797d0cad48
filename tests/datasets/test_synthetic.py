import os
import pickle
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from fercache.datasets import synthetic
from fercache.datasets.synthetic import plugin
from fercache.errors import UsageError
from fercache.synthetic_faces import other_drawing


def test_studio_has_all_splits_and_the_other_domains_only_a_test() -> None:
    sizes = {domain: Counter(face.split for face in plugin.faces(None, domain)) for domain in synthetic.DOMAINS}
    assert sizes["studio"] == {"train": 2_800, "validation": 400, "test": 800}
    assert {domain: dict(size) for domain, size in sizes.items() if domain != "studio"} == {
        domain: {"test": 800} for domain in ("webcam", "sketch", "night")
    }


def test_expressions_are_balanced_to_within_one_face() -> None:
    counts = Counter((face.split, face.label) for face in plugin.faces(None, "studio"))
    for split in ("train", "validation", "test"):
        of_split = [counts[split, name] for name in plugin.expressions]
        assert max(of_split) - min(of_split) <= 1


def test_no_person_is_in_two_splits_and_the_domains_show_the_people_of_the_test_split() -> None:
    people = {"train": set(), "validation": set(), "test": set()}
    for face in plugin.faces(None, "studio"):
        people[face.split].add(face.subject)
    assert not (people["train"] | people["validation"]) & people["test"]
    assert not people["train"] & people["validation"]
    assert {face.subject for face in plugin.faces(None, "night")} == people["test"]


def test_a_face_is_a_function_of_its_place() -> None:
    face = next(plugin.faces(None, "webcam"))
    first, second = face.read(), pickle.loads(pickle.dumps(face.read))()
    assert isinstance(first, np.ndarray)
    assert first.shape == (synthetic.SIZE, synthetic.SIZE, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)


def test_the_fingerprint_depends_on_all_that_changes_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = {face.fingerprint for domain in synthetic.DOMAINS for face in plugin.faces(None, domain)}
    assert len(prints) == 4_000 + 3 * 800
    before = synthetic.fingerprint("studio", 0, "fear")
    for constant in ("RENDERER_VERSION", "SEED", "SIZE"):
        with monkeypatch.context() as patch:
            patch.setattr(synthetic, constant, getattr(synthetic, constant) + 1)
            assert synthetic.fingerprint("studio", 0, "fear") != before
    assert synthetic.fingerprint("studio", 0, "fear") == before


def test_the_label_is_the_expression_that_is_drawn() -> None:
    for face in list(plugin.faces(None, "sketch"))[:7]:
        _, index, expression = face.read.args
        assert face.label == expression
        assert synthetic.sample_face(synthetic.SEED, index, "sketch", expression).expression == face.label


def test_check_agrees() -> None:
    findings = plugin.check(None, "studio")
    assert len(findings) == 3 * (1 + 7)
    assert all(finding.agrees and finding.expected for finding in findings)


def test_an_unknown_domain_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'sketch'"):
        next(plugin.faces(None, "scetch"))


def test_another_drawing_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pillow that paints otherwise must not mix its images with those of others under one key."""
    before = synthetic.fingerprint("studio", 0, "fear")
    monkeypatch.setattr(synthetic, "other_drawing", lambda: "0123")
    assert synthetic.fingerprint("studio", 0, "fear") != before


def test_the_reference_faces_are_drawn_as_everywhere() -> None:
    """With the lowest declared Pillow and the newest: else keys of the synthetic datasets differ."""
    assert other_drawing() == ""


def test_linear_algebra_for_another_processor_draws_the_same_faces() -> None:
    """OpenBLAS takes the kernels of the processor, which round in their own ways."""
    code = (
        "import hashlib; from fercache.synthetic_faces import draw, sample_face\n"
        "faces = [draw(sample_face(5, i, style), 64) for style in ('webcam', 'clay') for i in range(3200, 3300)]\n"
        "print(hashlib.sha256(b''.join(face.tobytes() for face in faces)).hexdigest())"
    )
    drawn = set[str]()
    for kernels in ("Haswell", "SkylakeX"):
        environment = {**os.environ, "OPENBLAS_CORETYPE": kernels}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        drawn.add(done.stdout)
    assert len(drawn) == 1
