"""Sources by targets: what counts in an average, and what does not."""

import pytest

from fercache.records import Record
from fercache.reporting.report import Report
from fercache.reporting.sections.matrix import Matrices, average, content, matrices
from fercache.reporting.table_rows import Cell
from tests.fake_records import fake_record

SOURCES = ("synthetic:studio", "synthetic:webcam")
TARGETS = (*SOURCES, "synthetic:night", "ferplus")
HEADS = ("zero-shot", "linear-probe", "text-similarity")


def run_records(sources: tuple[str, ...] = SOURCES) -> list[Record]:
    """Three heads trained on each source; the encoder has seen ferplus."""
    return [
        fake_record(head, seed, target, source=source, options={"train": {"source": source}})
        for source in sources
        for head in HEADS
        for seed in range(1 if head == "zero-shot" else 2)
        for target in TARGETS
    ]


def of(records: list[Record]) -> Matrices:
    (found,) = matrices(Report("trial", records))
    return found


def test_one_source_has_no_matrix() -> None:
    assert content(Report("trial", run_records(SOURCES[:1]))) is None
    assert content(Report("trial", run_records())) is not None


def test_a_method_is_the_same_whatever_its_source() -> None:
    found = of(run_records())
    assert {each.method.head for each in found.matrices} == set(HEADS) and len(found.matrices) == 3
    assert all([line.source for line in each.lines] == list(SOURCES) for each in found.matrices)
    overall = [each.overall["accuracy"].mean or 0 for each in found.matrices]
    assert overall == sorted(overall, reverse=True)


def test_what_is_not_unseen_is_marked_and_in_no_average() -> None:
    found = of(run_records())
    first = found.matrices[0]
    studio, webcam = first.lines
    marks = {target: place.not_counted for target, place in studio.places.items()}
    assert marks == {SOURCES[0]: "source", SOURCES[1]: "", "synthetic:night": "", "ferplus": "seen by encoder"}
    counted = [studio.places[target].scores["accuracy"].mean or 0 for target in (SOURCES[1], "synthetic:night")]
    assert studio.average["accuracy"].mean == pytest.approx(sum(counted) / 2)
    assert first.by_target["ferplus"] == {}
    assert first.by_target[SOURCES[0]] == {m: webcam.places[SOURCES[0]].scores[m] for m in first.overall}
    night = [line.places["synthetic:night"].scores["accuracy"].mean or 0 for line in first.lines]
    assert first.by_target["synthetic:night"]["accuracy"].mean == pytest.approx(sum(night) / 2)
    lines = [line.average["mean_class_recall"].mean or 0 for line in first.lines]
    assert first.overall["mean_class_recall"].mean == pytest.approx(sum(lines) / 2)


def test_a_missing_source_voids_the_averages() -> None:
    found = of([r for r in run_records() if (r.head, r.source) != ("linear-probe", SOURCES[1])])
    probe = next(each for each in found.matrices if each.method.head == "linear-probe")
    assert probe.overall["accuracy"].mean is None and probe.by_target["synthetic:night"]["accuracy"].mean is None
    assert probe.lines[0].average["accuracy"].mean is not None and found.matrices[-1] is probe


def test_a_method_on_fewer_faces_is_never_best() -> None:
    records = run_records()
    plain = of(records).matrices[0]
    assert of(records).best("", "accuracy") == round(plain.overall["accuracy"].mean or 0, 1)
    head = plain.method.head
    short = [
        r.model_copy(update={"scores": {n: s.model_copy(update={"n": s.n - 90}) for n, s in r.scores.items()}})
        if r.head == head
        else r
        for r in records
    ]
    found = of(short)
    assert found.matrices[0].fewer
    assert found.best("", "accuracy") == round(found.matrices[1].overall["accuracy"].mean or 0, 1)


def test_an_average_is_by_seed_where_seeds_are_as_many() -> None:
    two, other, one = Cell((1.0, 3.0)), Cell((3.0, 7.0)), Cell((4.0,))

    def scores(cell: Cell) -> dict[str, Cell]:
        return {"accuracy": cell, "mean_class_recall": cell}

    assert average([scores(two), scores(other)])["accuracy"] == Cell((2.0, 5.0))
    assert average([scores(two), scores(one)])["accuracy"] == Cell((3.0,))
    assert average([scores(two), scores(Cell())])["accuracy"] == Cell()
    assert average([]) == {}
