"""Which errors are the most confident, whose they are, and what the page shows of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fercache.expressions import EXPRESSIONS
from fercache.records import Record, ScoresRecord, frame, predictions_path
from fercache.reporting.boards import boards
from fercache.reporting.page import environment
from fercache.reporting.report import Report
from fercache.reporting.sections._confident_errors import ConfidentError, board_errors, confident_errors
from fercache.reporting.sections._leader import leader
from fercache.store.runs import StoredPredictions, write_predictions
from tests.fake_records import demo_records, fake_record, scores_of
from tests.reporting.test_page import Outline

SURE = (0.2, 0.9, 0.5, 0.8)
"""How sure a head is of its answers on the faces f0, f1 ..., all of which it reads as the expression after the true."""


def predicted(cache: Path, record: Record, sure: Sequence[float] = SURE, wrong: bool = True) -> Record:
    """Writes predictions with that confidence; the rest is shared by the other expressions."""
    count, size = len(sure), len(record.classes)
    truth = np.arange(count) % size
    likely = np.repeat((1 - np.array(sure))[:, None] / (size - 1), size, axis=1)
    likely[np.arange(count), (truth + wrong) % size] = sure
    predictions = StoredPredictions(
        expressions=record.classes,
        id=np.array([f"f{i}" for i in range(count)], dtype=object),
        truth=truth,
        logits={"main": np.log(likely).astype(np.float32)},
        sample=np.array([], dtype=np.int64),
        features=np.empty((0, 4), np.float16),
        mask_mean=None,
    )
    write_predictions(predictions_path(cache / "runs" / record.run, record), predictions, {})
    return record


def rendered(errors: Sequence[ConfidentError], target: str = "synthetic:webcam") -> str:
    macros: Any = environment().get_template("confident_errors.html").module
    return str(macros.confident_errors(errors, target))


def test_the_most_confident_error_comes_first(tmp_path: Path) -> None:
    record = predicted(tmp_path, fake_record())
    errors = confident_errors([record], tmp_path, None)
    assert [(error.id, error.truth, error.predicted) for error in errors] == [
        ("f1", "fear", "disgust"),
        ("f3", "happiness", "sadness"),
        ("f2", "disgust", "happiness"),
        ("f0", "surprise", "fear"),
    ]
    assert [error.confidence for error in errors] == pytest.approx([0.9, 0.8, 0.5, 0.2])
    assert {error.run for error in errors} == {record.run} and {error.image for error in errors} == {None}


def test_there_are_eight_at_most_and_none_of_a_head_that_is_right(tmp_path: Path) -> None:
    sure = np.linspace(0.3, 0.9, 30).tolist()
    errors = confident_errors([predicted(tmp_path, fake_record(), sure)], tmp_path, None)
    assert [error.id for error in errors] == [f"f{i}" for i in range(29, 21, -1)]
    assert confident_errors([predicted(tmp_path, fake_record(seed=3), wrong=False)], tmp_path, None) == []


def test_the_first_seed_under_source_validation_counts(tmp_path: Path) -> None:
    records = [
        predicted(tmp_path, fake_record("sigmoid-mask", seed, selection=selection), [0.3 + seed / 10])
        for seed in (2, 1)
        for selection in ("oracle", "source-val")
    ]
    (error,) = confident_errors(records, tmp_path, None)
    assert error.run == next(record.run for record in records if record.seed == 1)
    assert error.confidence == pytest.approx(0.4)


def test_an_expression_that_the_target_does_not_know_is_no_answer(tmp_path: Path) -> None:
    """Scores let a head with eight expressions answer with seven on a set of seven; so do its errors."""
    scores = {"main": scores_of(np.eye(8, dtype=int), EXPRESSIONS)}
    more: dict[str, Any] = {"classes": EXPRESSIONS, "scores": scores, "kept": 8}
    assert EXPRESSIONS[7] == "contempt"
    sure = [0.9] * 8  # the seventh expression, neutral, is read as the eighth
    of_seven = confident_errors([predicted(tmp_path, fake_record(target="mmafedb", **more), sure)], tmp_path, None)
    of_eight = confident_errors([predicted(tmp_path, fake_record(target="affectnet", **more), sure)], tmp_path, None)
    assert "contempt" in {error.predicted for error in of_eight}
    assert "contempt" not in {error.predicted for error in of_seven}


def test_nothing_is_shown_without_predictions_or_of_faces_without_duplicates(tmp_path: Path) -> None:
    record = predicted(tmp_path, fake_record())
    assert confident_errors([], tmp_path, None) == []
    assert confident_errors([fake_record(seed=1)], tmp_path, None) == []
    unique = record.model_copy(update={"without_duplicates": True})
    (board,) = boards(frame([record, unique]))
    leading = leader(board, [record, unique])
    assert leading is not None and leading.records == {record.target_label: [record]}


def test_images_are_asked_for_by_target_and_id_and_may_be_missing(tmp_path: Path) -> None:
    asked: list[tuple[str, list[str]]] = []

    def images(target: str, ids: Sequence[str]) -> Mapping[str, str]:
        asked.append((target, list(ids)))
        return {"f3": "data:image/jpeg;base64,AAAA"}

    errors = confident_errors([predicted(tmp_path, fake_record())], tmp_path, images)
    assert asked == [("synthetic:webcam", ["f1", "f3", "f2", "f0"])]
    assert {error.id: error.image for error in errors if error.image} == {"f3": "data:image/jpeg;base64,AAAA"}


def test_a_board_is_led_by_the_trained_method_that_is_best_on_unseen_targets(tmp_path: Path) -> None:
    records = list(demo_records())
    (board,) = boards(frame(records))
    leading = leader(board, records)
    assert leading is not None and leading.method.head == "text-similarity"
    assert list(leading.records) == list(board.columns)
    assert {record.selection for some in leading.records.values() for record in some} == {"source-val"}
    untrained = [record for record in records if record.head == "zero-shot"]
    (board,) = boards(frame(untrained))
    assert leader(board, untrained) is None


def test_who_leads_is_decided_on_the_targets_that_all_methods_have() -> None:
    missing = ("text-similarity", 1, "synthetic:night")
    records = [record for record in demo_records() if (record.head, record.seed, record.target) != missing]
    (board,) = boards(frame(records))
    leading = leader(board, records)
    assert board.counted == ("synthetic:sketch", "synthetic:webcam")
    assert leading is not None and leading.method.head == "text-similarity"


def test_errors_are_found_by_target(tmp_path: Path) -> None:
    targets = ("synthetic:studio", "synthetic:webcam", "synthetic:night")
    records = [fake_record("sigmoid-mask", target=target) for target in targets]
    for record in records[:2]:
        predicted(tmp_path, record)
    (board,) = boards(frame(records))
    assert list(board_errors(board, Report("latest", records, tmp_path))) == ["synthetic:studio", "synthetic:webcam"]


def error(id: str, image: str | None) -> ConfidentError:
    return ConfidentError("bundled-run-0", id, "fear", "surprise", 0.9876, image)


def test_the_page_shows_images_with_their_labels() -> None:
    part = rendered([error("a<b>.png", "data:image/jpeg;base64,AAAA"), error("gone.png", None)])
    assert Outline(part.replace("<img", "<path")).open == []
    assert part.count("<img") == 1 and 'alt="Face a&lt;b&gt;.png"' in part
    assert "98.8 % confident" in part and "<b>fear</b> predicted as <b>surprise</b>" in part
    assert "no image" in part and "--thumbnails" not in part


def test_the_page_says_how_to_show_images_and_nothing_where_there_is_no_error() -> None:
    part = rendered([error("a.png", None)])
    assert "<img" not in part and "no image" not in part and "fercache compare --thumbnails" in part
    assert rendered([]).strip() == ""


def test_a_method_that_was_scored_on_fewer_faces_does_not_lead() -> None:
    """The best of all, but it knows six expressions."""
    kept = [record for record in demo_records() if record.head != "text-similarity"]
    few = [record for record in demo_records() if record.head == "text-similarity"]
    six = [record.model_copy(update={"kept": record.kept - 90}) for record in few]
    records = [*kept, *(record.model_copy(update={"scores": _without_faces(record, 90)}) for record in six)]
    (board,) = boards(frame(records))
    leading = leader(board, records)
    assert leading is not None and leading.method.head == "sigmoid-mask"


def _without_faces(record: Record, count: int) -> dict[str, ScoresRecord]:
    return {name: scores.model_copy(update={"n": scores.n - count}) for name, scores in record.scores.items()}
