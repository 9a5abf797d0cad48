"""Which faces are on a map and where, that they are placed once, and the description on the page."""

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fercache.expressions import EXPRESSIONS
from fercache.records import Record, frame, predictions_path
from fercache.reporting.boards import boards
from fercache.reporting.page import environment
from fercache.reporting.sections import _map_faces, maps
from fercache.reporting.sections._face_images import FaceFiles
from fercache.reporting.sections._map_faces import Layout, Placed, Sampled, placed_faces, sample
from fercache.reporting.sections.maps import HUES, OTHERS, FeatureMap, draw_map, drawn_map, map_file
from fercache.store.runs import StoredPredictions, read_predictions, write_predictions
from tests.fake_records import CLASSES, fake_record
from tests.reporting.error_files import given
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


def placed(records: list[Record], cache: Path) -> list[Placed]:
    return placed_faces(records, boards(frame(records)), cache)


def mapped(records: list[Record], cache: Path) -> list[FeatureMap]:
    return [drawn_map(each, "maps/one.js") for each in placed(records, cache)]


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
    """How many faces are drawn: the points of the coloured paths, but for the legend's single ones."""
    markers = re.findall(r'<marker id="(\w+)".*?style="([^"]*)"', svg, re.DOTALL)
    coloured = {id for id, style in markers if any(hue in style for hue in HUES.values())}
    paths = re.findall(r'<path d="M([\d. -]+)" fill="none" marker-start="url\(#(\w+)\)', svg)
    return sum(len(points.split()) // 2 for points, id in paths if id in coloured and len(points.split()) > 2)


def test_a_board_has_the_maps_of_its_leading_methods_first_seed(found: FeatureMap) -> None:
    assert (found.method.head, found.seed, found.faces) == ("text-similarity", 1, len(TARGETS) * FACES)
    assert found.board.source == "synthetic:studio"


def test_every_face_is_drawn_in_its_expressions_colour_and_in_little_space(found: FeatureMap) -> None:
    for side in (found.before, found.after):
        svg = side.drawing.svg
        assert dots(svg) == found.faces and "<use" not in svg
        assert all(svg.count(HUES[name]) == 2 for name in CLASSES)  # once for all maps, and the legend
        assert all(f">{name}</text>" in svg for name in (*TARGETS, *CLASSES))
        assert len(svg) < 40_000
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
    monkeypatch.setattr(_map_faces, "_place", None)
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

    monkeypatch.setattr(_map_faces, "_place", place)
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
    monkeypatch.setattr(_map_faces, "MOST", 84)
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


def drawn_domains(count: int, each: int = 2) -> tuple[Sampled, Layout]:
    """Domains of a few faces each, on a parabola."""
    every = np.arange(count * each)
    sampled = Sampled(
        before=np.zeros((len(every), 2), np.float32),
        after=np.zeros((len(every), 2), np.float32),
        id=np.array([f"f{i}" for i in every], dtype=object),
        expression=every % 7,
        predicted=(every + every % 2) % 7,
        domain=every // each,
        expressions=CLASSES,
        domains=tuple(f"folder:{i}" for i in range(count)),
        targets=tuple(f"folder:{i}" for i in range(count)),
    )
    return sampled, Layout(np.stack([every, every**2], axis=1).astype(np.float32), np.zeros((len(every), 10), np.int16))


@pytest.mark.parametrize("count", [1, 2, 15])
def test_every_domain_has_a_small_map_of_its_own_and_points_lie_within_it(count: int) -> None:
    sampled, layout = drawn_domains(count, 14)
    drawn = draw_map(sampled, layout, "Many.")
    assert dots(drawn.drawing.svg) == 14 * count and "<use" not in drawn.drawing.svg
    width, height = 340, drawn.drawing.figure.get_figheight() * 72
    assert (drawn.points >= 0).all() and (drawn.points <= [width, height]).all()
    side, columns = width / min(2, count), min(2, count)
    assert np.array_equal(drawn.points[:, 0] // side, sampled.domain % columns)
    rows = [drawn.points[sampled.domain // columns == row, 1] for row in range(-(-count // columns))]
    assert all(above.max() < below.min() for above, below in pairwise(rows))


def test_points_are_where_the_dots_are(found: FeatureMap) -> None:
    markers = re.findall(r'<path d="M([\d. -]+)" fill="none" marker-start', found.after.drawing.source)
    drawn = {tuple(map(float, pair)) for path in markers for pair in re.findall(r"([\d.-]+) ([\d.-]+)", path)}
    far = np.abs(found.after.points[:, None] - np.array(sorted(drawn))).max(axis=2).min(axis=1)
    assert far.max() < 0.06


def test_the_faces_of_other_domains_are_a_limited_number_behind() -> None:
    sampled, layout = drawn_domains(3, 700)
    assert draw_map(sampled, layout, "Many.").drawing.source.count("marker-mid") <= 3 * 8 + 7
    grey = re.findall(r'<path d="M([\d. -]+)" fill="none"', draw_map(sampled, layout, "Many.").drawing.source)
    assert sum(len(path.split()) // 2 == OTHERS for path in grey) == 3


def test_the_file_of_a_map_names_its_faces(records: list[Record], cache: Path) -> None:
    (each,) = placed(records, cache)
    drawn = drawn_map(each, "maps/one.js")
    faces = FaceFiles({TARGETS[1]: {"f3": "data:3", "f5": "data:5"}}, {TARGETS[1]: "faces/night"})
    name, data = given(map_file(drawn, each.sampled, faces))
    assert name == "maps/one.js" and len(data["id"]) == drawn.faces == len(data["before"]) == len(data["after"])
    assert data["domains"] == sorted(TARGETS) and data["images"][data["domains"].index(TARGETS[1])]["files"]
    shown = {(data["domains"][d], id): i for d, id, i in zip(data["domain"], data["id"], data["image"], strict=True)}
    assert {face: place for face, place in shown.items() if place >= 0} == {
        (TARGETS[1], "f3"): 0,
        (TARGETS[1], "f5"): 1,
    }
    assert data["truth"] == data["predicted"]  # the logits separate expressions
    assert all(CLASSES[truth] == CLASSES[int(id[1:]) % 7] for truth, id in zip(data["truth"], data["id"], strict=True))


def test_a_map_is_drawn_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    record = predicted(tmp_path, fake_record(target=TARGETS[0]), faces=70)
    (tmp_path / "maps").write_text("a file where the folder should be")
    (drawn,) = mapped([record], tmp_path)
    assert all(dots(side.drawing.svg) == 70 for side in (drawn.before, drawn.after))


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
    assert part.count('data-file="maps/one.js"') == 2
    (region,) = [tag for tag in outline.all("div") if tag.get("class") == "cards"]
    assert region["tabindex"] == "0" and "text-similarity" in (region["aria-label"] or "")
    assert "mean nothing" in part and found.before.described in part and found.after.described in part
    assert not re.search(r"https?:|url\((?!#)", part)
