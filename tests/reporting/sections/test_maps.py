"""Which faces are on a map and where, that they are placed once, and the description on the page."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fercache.expressions import EXPRESSIONS
from fercache.records import Record, frame, predictions_path
from fercache.reporting.boards import boards
from fercache.reporting.page import environment
from fercache.reporting.sections import maps
from fercache.reporting.sections.maps import (
    HUES,
    FeatureMap,
    Layout,
    Sampled,
    draw_map,
    draw_maps,
    feature_maps,
    sample,
)
from fercache.store.runs import StoredPredictions, read_predictions, write_predictions
from tests.fake_records import CLASSES, fake_record
from tests.reporting.test_page import Outline

TARGETS = ("synthetic:studio", "synthetic:night", "synthetic:webcam")
FACES = 42
"""Of each target, six of every expression."""


def predicted(cache: Path, record: Record, faces: int = FACES, scale: float = 1.0) -> Record:
    """Writes predictions whose features separate domains, and whose logits separate expressions."""
    random = np.random.default_rng(TARGETS.index(record.target))
    truth = np.arange(faces) % len(CLASSES)
    features = random.normal(size=(faces, 60)) + 30 * np.eye(60)[TARGETS.index(record.target)]
    logits = 10 * np.eye(len(CLASSES))[truth] + 0.1 * random.normal(size=(faces, len(CLASSES)))
    predictions = StoredPredictions(
        expressions=CLASSES,
        id=np.array([f"f{i}" for i in range(faces)], dtype=object),
        truth=truth,
        logits={"main": (scale * logits).astype(np.float32)},
        sample=np.arange(faces),
        features=features.astype(np.float16),
        mask_mean=None,
    )
    write_predictions(predictions_path(cache / "runs" / record.run, record), predictions, {})
    return record


def mapped(records: list[Record], cache: Path) -> list[FeatureMap]:
    return feature_maps(records, boards(frame(records)), cache)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def records(cache: Path) -> list[Record]:
    """Two seeds of the leading head, one of a worse one, and an untrained one."""
    seeds = {1: FACES, 2: 2 * FACES}
    written = [
        predicted(cache, fake_record("text-similarity", seed, target), faces)
        for target in TARGETS
        for seed, faces in seeds.items()
    ]
    return written + [fake_record(head, 1, target) for target in TARGETS for head in ("zero-shot", "linear-probe")]


@pytest.fixture(scope="module")
def found(records: list[Record], cache: Path) -> FeatureMap:
    (found,) = mapped(records, cache)
    return found


def dots(svg: str) -> int:
    """How many faces are drawn: the points of the paths with markers at them, but for the legend's single ones."""
    paths = re.findall(r'<path d="M([\d. -]+)" fill="none" marker-start', svg)
    return sum(len(path.split()) // 2 for path in paths if len(path.split()) > 2)


def test_a_board_has_the_maps_of_its_leading_methods_first_seed(found: FeatureMap) -> None:
    assert (found.method.head, found.seed, found.faces) == ("text-similarity", 1, len(TARGETS) * FACES)
    assert found.board.source == "synthetic:studio"


def test_every_face_is_drawn_in_its_expressions_colour_and_in_little_space(found: FeatureMap) -> None:
    for side in (found.before, found.after):
        svg = side.drawing.svg
        assert dots(svg) == found.faces and "<use" not in svg
        assert all(svg.count(HUES[name]) == len(TARGETS) + 1 for name in CLASSES)  # a marker per domain, and the legend
        assert all(f">{name}</text>" in svg for name in (*TARGETS, *CLASSES))
        assert len(svg) < 30_000
        for text in (svg.replace("<svg ", '<svg xmlns:xlink="x" ', 1), side.drawing.document):
            root = ElementTree.fromstring(text)
            assert "126 faces" in (root[0].text or "") and side.described in (root[0].text or "")


def test_neighbours_are_described_in_numbers(found: FeatureMap) -> None:
    """Planted: the features part the domains alone, the logits the expressions alone."""
    before = re.findall(r"(\d+) %", found.before.described)
    after = re.findall(r"(\d+) %", found.after.described)
    assert int(before[0]) < 25 and before[1:] == ["14", "100", "33"]
    assert after[0] == "100" and int(after[2]) < 50


def test_faces_are_placed_once(
    found: FeatureMap, records: list[Record], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps, "_place", None)
    (again,) = mapped(records, cache)
    assert again.before.drawing.svg == found.before.drawing.svg and again.after.drawing.svg == found.after.drawing.svg


def test_placing_again_gives_the_same_map_also_where_the_kept_one_is_damaged(
    found: FeatureMap, records: list[Record], cache: Path
) -> None:
    kept = sorted((cache / "maps").glob("*.npz"))
    assert len(kept) == 2 and all(re.fullmatch(r"[0-9a-f]{16}\.npz", path.name) for path in kept)
    for path in kept:
        path.write_bytes(path.read_bytes()[:500])
    (again,) = mapped(records, cache)
    assert again.before.drawing.svg == found.before.drawing.svg and again.after.drawing.svg == found.after.drawing.svg


def quick(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Places faces by their first two numbers; returns the list of what will have been placed."""
    placed: list[np.ndarray] = []

    def place(vectors: np.ndarray) -> Layout:
        placed.append(vectors)
        return Layout(vectors[:, :2], np.zeros((len(vectors), 10), np.int16))

    monkeypatch.setattr(maps, "_place", place)
    return placed


def test_answers_are_standardised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed = quick(monkeypatch)
    for target in TARGETS:
        mapped([predicted(tmp_path, fake_record(target=target), faces=70)], tmp_path)
    assert len(placed) == 6
    answers = [each for each in placed if each.shape[1] == len(CLASSES)]  # both are placed at once, in any order
    assert len(answers) == 3
    assert all(np.allclose(each.mean(axis=0), 0, atol=1e-5) and np.allclose(each.std(axis=0), 1) for each in answers)
    mapped([predicted(tmp_path, fake_record(target=TARGETS[0]), faces=70, scale=4)], tmp_path)
    assert len(placed) == 6  # the same faces and, but for their scale, the same answers: known


def test_targets_share_the_map_evenly_and_expressions_keep_their_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps, "MOST", 84)
    records = [
        predicted(tmp_path, fake_record(target=target), n) for target, n in zip(TARGETS, (70, 700, 14), strict=True)
    ]
    sampled = sample(records, tmp_path)
    assert sampled is not None and sampled.domains == tuple(sorted(TARGETS))
    assert np.bincount(sampled.domain).tolist() == [28, 28, 14]
    assert np.bincount(sampled.expression[sampled.domain == 0]).tolist() == [4] * 7
    again = sample(records[::-1], tmp_path)
    assert again is not None and np.array_equal(sampled.before, again.before)


def test_boards_of_one_encoder_share_the_map_before_the_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed = quick(monkeypatch)
    records = [
        predicted(tmp_path, fake_record(target=target, source=source), scale=scale)
        for source, scale in ((TARGETS[0], 1), (TARGETS[1], -1))
        for target in TARGETS
    ]
    assert [found.board.source for found in mapped(records, tmp_path)] == sorted(TARGETS[:2])
    assert len(placed) == 3


def test_a_faces_features_answers_and_expression_belong_together(tmp_path: Path) -> None:
    """Also where the sample is not the first faces."""
    record = predicted(tmp_path, fake_record(target=TARGETS[0]), 200)
    path = predictions_path(tmp_path / "runs" / record.run, record)
    whole = read_predictions(path)
    rows = np.arange(199, 99, -2)
    features = whole.features[rows]
    parts = {"id": whole.id, "truth": whole.truth, "logits": whole.logits, "mask_mean": None, "expressions": CLASSES}
    write_predictions(path, StoredPredictions(sample=rows, features=features, **parts), {})
    sampled = sample([record], tmp_path)
    assert sampled is not None and len(sampled.domain) == 50
    row_of = {feature.tobytes(): row for feature, row in zip(features.astype(np.float32), rows, strict=True)}
    of_face = [row_of[feature.tobytes()] for feature in sampled.before]
    assert np.array_equal(sampled.after, whole.logits["main"][of_face])
    assert np.array_equal(sampled.expression, whole.truth[of_face])


def test_there_is_no_map_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed = quick(monkeypatch)
    assert sample([], tmp_path) is None
    assert mapped([fake_record()], tmp_path) == []  # no predictions
    assert mapped([predicted(tmp_path, fake_record(target=TARGETS[0]), faces=49)], tmp_path) == []
    assert (
        mapped([predicted(tmp_path, fake_record(target=TARGETS[0]), 70, scale=0)], tmp_path) == []
    )  # all answers alike
    record = predicted(tmp_path, fake_record(target=TARGETS[0]), faces=70)
    path = predictions_path(tmp_path / "runs" / record.run, record)
    whole = read_predictions(path)
    parts = {"id": whole.id, "truth": whole.truth, "logits": whole.logits, "mask_mean": None, "expressions": CLASSES}
    nothing = StoredPredictions(sample=np.empty(0, np.int64), features=np.empty((0, 0), np.float16), **parts)
    write_predictions(path, nothing, {})  # as predictions are that another program made
    assert mapped([record], tmp_path) == []
    assert not placed


def test_more_domains_than_shapes_can_still_be_distinguished() -> None:
    count = 15
    every = np.arange(2 * count)
    sampled = Sampled(
        before=np.zeros((2 * count, 2), np.float32),
        after=np.zeros((2 * count, 2), np.float32),
        expression=np.zeros(2 * count, np.int64),
        domain=every // 2,
        expressions=CLASSES,
        domains=tuple(f"folder:{i}" for i in range(count)),
    )
    layout = Layout(np.stack([every, every**2], axis=1).astype(np.float32), np.zeros((2 * count, 10), np.int16))
    svg = draw_map(sampled, layout, "Many.").drawing.svg
    assert dots(svg) == 2 * count and "<use" not in svg
    shapes = re.findall(rf'<marker [^>]*><path d="([^"]*)"[^>]*{HUES["surprise"]}', svg)
    assert len(set(shapes)) == count + 1  # and the legend's


def test_a_map_is_drawn_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    sampled = sample([predicted(tmp_path, fake_record(target=TARGETS[0]), faces=70)], tmp_path)
    (tmp_path / "maps").write_text("a file where the folder should be")
    assert sampled is not None
    assert all(dots(side.drawing.svg) == 70 for side in draw_maps(sampled, "a head", tmp_path))


def luminance(colour: str) -> float:
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(channels, (0.2126, 0.7152, 0.0722)))


def test_colours_stand_on_white_and_on_black() -> None:
    assert tuple(HUES) == EXPRESSIONS and len(set(HUES.values())) == len(EXPRESSIONS)
    for colour in HUES.values():
        assert 1.05 / (luminance(colour) + 0.05) >= 2, colour
        assert (luminance(colour) + 0.05) / (luminance("#1b1f23") + 0.05) >= 2.5, colour


def test_the_page_shows_both_maps_with_what_they_mean(found: FeatureMap) -> None:
    part = environment().from_string(maps.plugin.template).render(maps=[found])
    outline = Outline(part)
    assert outline.open == [] and part.count("<svg") == 2
    (region,) = [tag for tag in outline.all("div") if tag.get("class") == "cards"]
    assert region["tabindex"] == "0" and "text-similarity" in (region["aria-label"] or "")
    assert "mean nothing" in part and found.before.described in part and found.after.described in part
    assert not re.search(r"https?:|url\((?!#)", part)
