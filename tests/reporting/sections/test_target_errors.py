"""Which errors are listed, that their counts are those of the confusion matrices, and whose answers are beside them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from fercache.expressions import EXPRESSIONS
from fercache.records import MAIN, Record
from fercache.reporting.predictions import known_to_target
from fercache.reporting.report import Report, ReportRequest
from fercache.reporting.sections import _target_errors
from fercache.reporting.sections._confident_errors import confident_errors
from fercache.reporting.sections._error_files import error_file
from fercache.reporting.sections._face_images import FaceFiles, face_files
from fercache.reporting.sections._face_votes import VotesReader
from fercache.reporting.sections._target_errors import CERTAIN, NOT_SCORED, TargetErrors, report_errors
from tests.fake_records import CLASSES, fake_record, scores_of
from tests.reporting.error_files import given as read_file
from tests.reporting.fake_predictions import IDS, TRUTH, readings, scored_record

HEADS = ("linear-probe", "sigmoid-mask", "text-similarity")
SHORT = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NO_FACES = FaceFiles({}, {})


@st.composite
def scored_heads(draw: st.DrawFn) -> dict[tuple[str, int], dict[str, tuple[int, int]]]:
    """By head and seed, the truth and prediction of faces; heads may be scored on some of the faces only."""
    count = draw(st.integers(8, 30))
    truth = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    scored = {}
    for head in HEADS[: draw(st.integers(1, 3))]:
        faces = draw(st.lists(st.integers(0, count - 1), min_size=4, unique=True))
        for seed in range(draw(st.integers(1, 2))):
            predicted = draw(st.lists(st.integers(0, 6), min_size=len(faces), max_size=len(faces)))
            scored[head, seed] = {f"f{i}": (truth[i], p) for i, p in zip(faces, predicted, strict=True)}
    return scored


def records_of(cache: Path, scored: Mapping[tuple[str, int], Mapping[str, tuple[int, int]]]) -> list[Record]:
    return [
        scored_record(
            cache,
            np.array([predicted for _, predicted in faces.values()]),
            truth=np.array([truth for truth, _ in faces.values()]),
            ids=np.array(list(faces), dtype=object),
            head=head,
            seed=seed,
            method_key=head,
        )
        for (head, seed), faces in scored.items()
    ]


def errors_of(records: Sequence[Record], cache: Path) -> TargetErrors:
    (found,) = report_errors(Report("latest", records, cache))
    return found


def data_of(errors: TargetErrors, cache: Path, faces: FaceFiles = NO_FACES) -> dict[str, Any]:
    name, data = read_file(error_file("errors/one.js", errors, faces, votes=VotesReader(cache)))
    assert name == "errors/one.js"
    return dict(data)


@SHORT
@given(scored=scored_heads())
def test_the_answers_in_a_file_add_up_to_the_errors_of_the_confusion_matrices(
    tmp_path: Path, scored: dict[tuple[str, int], dict[str, tuple[int, int]]]
) -> None:
    """And they are the methods' own, on the same faces; a pair adds up to the faces that both were scored on."""
    records = records_of(tmp_path, scored)
    errors = errors_of(records, tmp_path)
    check_pairs(errors, scored)
    data = data_of(errors, tmp_path)
    assert data["expressions"] == list(CLASSES)
    for method in data["methods"]:
        own = [record for record in records if record.head == method["name"].split(" ")[0]]
        expected = np.sum([record.scores[MAIN].confusion for record in own], axis=0)
        np.fill_diagonal(expected, 0)
        found = np.zeros((7, 7), dtype=int)
        faces: Counter[str] = Counter()
        for face, truth in enumerate(data["truth"]):
            answers = [seed[face] for seed in method["answers"]]
            for answer in answers:
                found[truth, answer] += answer not in (truth, NOT_SCORED)
            faces.update({f"{truth} {answer}" for answer in answers} - {f"{truth} {truth}", f"{truth} {NOT_SCORED}"})
        assert np.array_equal(found, expected)
        assert dict(faces) == method["faces"]


def check_pairs(errors: TargetErrors, scored: Mapping[tuple[str, int], Mapping[str, tuple[int, int]]]) -> None:
    firsts = []
    for each in errors.methods:
        own = [faces for (head, _), faces in scored.items() if head == each.method.head]
        assert each.seeds == tuple(range(len(own)))
        for seed, faces in enumerate(own):
            expected = [faces.get(id, (0, NOT_SCORED))[1] for id in errors.id]
            assert each.answer[seed].tolist() == expected
        firsts.append(own[0])
    assert len(errors.pairs) == len(list(combinations(firsts, 2)))
    for pair in errors.pairs:
        a, b = firsts[pair.a], firsts[pair.b]
        right = Counter((a[id][0] == a[id][1], b[id][0] == b[id][1]) for id in a.keys() & b.keys())
        found = (pair.both, pair.only_a, pair.only_b, pair.neither)
        assert found == (right[True, True], right[True, False], right[False, True], right[False, False])
        alone = pair.only_a + pair.only_b
        assert pair.p == pytest.approx(binomtest(pair.only_a, alone).pvalue if alone else 1.0)


def test_probabilities_are_means_over_the_seeds(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    stored = [random.normal(size=(210, 7)).astype(np.float32) for _ in range(2)]
    records = [
        scored_record(tmp_path, logits.argmax(axis=1), logits=logits, seed=seed, method_key="one")
        for seed, logits in enumerate(stored)
    ]
    errors = errors_of(records, tmp_path)
    powers = [np.exp(logits) for logits in stored]
    expected = np.mean([each / each.sum(axis=1, keepdims=True) for each in powers], axis=0)
    rows = [IDS.tolist().index(id) for id in errors.id]
    assert np.allclose(errors.methods[0].sure / CERTAIN, expected[rows], atol=1e-4)
    assert np.allclose(
        errors.methods[0].first / CERTAIN, (powers[0] / powers[0].sum(axis=1, keepdims=True))[rows], atol=1e-4
    )
    assert errors.truth.tolist() == TRUTH[rows].tolist()


def test_the_most_confident_error_comes_first_and_there_are_nine(tmp_path: Path) -> None:
    sure = np.linspace(0.3, 0.9, 30)
    logits = np.log(np.repeat((1 - sure)[:, None] / 6, 7, axis=1))
    truth = np.arange(30) % 7
    logits[np.arange(30), (truth + 1) % 7] = np.log(sure)
    ids = np.array([f"f{i}" for i in range(30)], dtype=object)
    record = scored_record(tmp_path, logits.argmax(axis=1), truth=truth, ids=ids, logits=logits.astype(np.float32))
    found = confident_errors(errors_of([record], tmp_path), NO_FACES)
    assert [error.id for error in found] == [f"f{i}" for i in range(29, 20, -1)]
    assert [error.confidence for error in found] == pytest.approx(sure[:-10:-1], abs=1e-4)
    assert (found[0].truth, found[0].predicted, found[0].image) == (CLASSES[29 % 7], CLASSES[30 % 7], None)


def test_a_face_that_seeds_get_wrong_in_two_ways_is_one_error(tmp_path: Path) -> None:
    truth, ids = np.zeros(5, dtype=int), IDS[:5]
    records = [
        scored_record(tmp_path, np.full(5, wrong), truth=truth, ids=ids, seed=wrong, method_key="one")
        for wrong in (1, 2)
    ]
    assert [error.id for error in confident_errors(errors_of(records, tmp_path), NO_FACES)] == ids.tolist()


def test_an_expression_that_the_target_does_not_know_is_no_prediction() -> None:
    scores = {MAIN: scores_of(np.eye(8, dtype=int), EXPRESSIONS)}
    of_eight: dict[str, Any] = {"classes": EXPRESSIONS, "scores": scores, "kept": 8}
    assert set(EXPRESSIONS) - set(known_to_target(fake_record(target="mmafedb", **of_eight))) == {"contempt"}
    assert known_to_target(fake_record(target="affectnet", **of_eight)) == EXPRESSIONS


def test_very_many_errors_are_listed_up_to_a_number_of_each_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 120_000
    truth = np.arange(count) % 7
    random = np.random.default_rng(0)
    logits = random.normal(size=(count, 7)).astype(np.float32)
    logits[np.arange(count), truth] -= 9  # almost all are wrong
    ids = np.array([f"f{i}" for i in range(count)], dtype=object)
    record = scored_record(tmp_path, logits.argmax(axis=1), truth=truth, ids=ids, logits=logits)
    errors = errors_of([record], tmp_path)
    assert len(errors.id) <= _target_errors.MOST_ON_TARGET and errors.most == 100
    assert sum(errors.methods[0].counts.values()) == count - np.trace(record.scores[MAIN].confusion) > 100_000
    assert {len(rows) for rows in errors.cells(0).values()} == {100}
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    whole = np.sort(shares[(truth == 0) & (logits.argmax(axis=1) == 1), 1])[::-1]
    assert np.allclose(errors.methods[0].sure[errors.cells(0)[0, 1], 1] / CERTAIN, whole[:100], atol=1e-4)
    monkeypatch.setattr(_target_errors, "MOST_IN_CELL", (3,))
    assert len(errors_of([record], tmp_path).id) == 3 * len(errors.methods[0].counts)


def test_methods_without_predictions_are_named_and_no_test_assumes_that_one_persons_faces_are_independent(
    tmp_path: Path,
) -> None:
    subject = np.array([f"s{i // 5}" for i in range(210)], dtype=object)
    scored = [
        scored_record(tmp_path, readings(i, 0.7), subject=subject, head=head, method_key=head)
        for i, head in enumerate(HEADS[:2])
    ]
    errors = errors_of([*scored, fake_record(HEADS[2])], tmp_path)
    assert [pair.p for pair in errors.pairs] == [None]
    alone = [
        scored_record(tmp_path, readings(i, 0.7), subject=IDS, head=head, method_key=head, target="synthetic:night")
        for i, head in enumerate(HEADS[:2])
    ]
    assert [pair.p is not None for pair in errors_of(alone, tmp_path).pairs] == [True]
    assert len(errors.missing) == 1 and HEADS[2] in errors.missing[0]
    assert report_errors(Report("latest", [fake_record()], tmp_path)) == []
    assert report_errors(Report("latest", [fake_record()])) == []


def test_images_are_asked_for_once_per_target_and_only_those_that_are_there_have_a_place(tmp_path: Path) -> None:
    asked: list[tuple[str, list[str]]] = []

    def images(target: str, ids: Sequence[str]) -> Mapping[str, str]:
        asked.append((target, list(ids)))
        return {id: f"data:{id}" for id in ids if id != ids[1]}

    records = [scored_record(tmp_path, readings(i, 0.3), head=head, method_key=head) for i, head in enumerate(HEADS)]
    report = Report("latest", records, tmp_path, ReportRequest(images=images))
    (errors,) = report.once(report_errors)
    faces = report.once(face_files)
    ((target, ids),) = asked
    assert target == "synthetic:webcam" and ids == errors.id.tolist() and len(ids) > 100
    files = dict(read_file(text) for text in faces.files.values())
    assert list(files) == [f"faces/synthetic-webcam-{i}.js" for i in range(3)]
    data = data_of(errors, tmp_path, faces)
    assert data["image"][1] == -1 and data["images"] == {"files": "faces/synthetic-webcam", "each": 100}
    for id, place in zip(data["id"], data["image"], strict=True):
        if place >= 0:
            assert files[f"faces/synthetic-webcam-{place // 100}.js"][place % 100] == f"data:{id}"
