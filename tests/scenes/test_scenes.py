"""Scenes: what is said of them is what is in them."""

from itertools import islice

import numpy as np
import pytest

from fercache.images.alignment import FoundFace
from fercache.synthetic_faces import EXPRESSIONS
from tests.scenes import HEIGHT, MOST_FACES, SIDES, STYLES, WIDTH, Look, Portrait, compose, drawn_portraits
from tests.scenes.compose import _box
from tests.scenes.matching import match

FLAT = [
    Portrait(np.full((50, 50, 3), (255, number, 0), np.uint8), (0.2, 0.2, 0.8, 1.0), "fear", str(number))
    for number in range(0, 240, 20)
]


def test_portraits_are_where_the_truth_says() -> None:
    pixels, truths = compose(FLAT)
    assert pixels.shape == (HEIGHT, WIDTH, 3) and len(truths) == MOST_FACES
    assert {round(truth.side) for truth in truths} == set(SIDES)
    for truth in truths:
        left, top, right, bottom = (round(edge) for edge in truth.portrait_box)
        assert (pixels[top:bottom, left:right] == truth.portrait.pixels[0, 0]).all()
        assert 0 <= left < right <= WIDTH and 0 <= top < bottom <= HEIGHT
        np.testing.assert_allclose(
            np.subtract(truth.box, truth.portrait_box), np.array([0.2, 0.2, -0.2, 0]) * truth.side
        )


def test_a_scene_is_a_function_of_its_seed() -> None:
    for look in (Look(), Look(angle=30, light=0.3, covered=True)):
        once, again, other = (compose(FLAT, seed=seed, look=look)[0] for seed in (1, 1, 2))
        assert np.array_equal(once, again) and not np.array_equal(once, other)


def test_turned_boxes_keep_their_size_and_turn_with_the_portrait() -> None:
    box = _box((0.0, 0.5, 1.0, 1.5), 100, np.array([300.0, 200.0]), angle=90)
    np.testing.assert_allclose(box, (200, 150, 300, 250), atol=1e-9)  # what was below is left after a turn clockwise
    pixels, truths = compose(FLAT, look=Look(angle=45))
    for truth in truths:
        x, y = (round(sum(truth.portrait_box[i::2]) / 2) for i in (0, 1))
        assert (pixels[y, x] == truth.portrait.pixels[0, 0]).all() and abs(truth.angle) == 45


def test_looks() -> None:
    plain, dark, covered = (compose(FLAT, look=look)[0] for look in (Look(), Look(light=0.25), Look(covered=True)))
    assert abs(dark.mean() / plain.mean() - 0.25) < 0.02
    x = [truth.portrait_box for truth in compose(FLAT, look=Look(covered=True))[1]]
    shares = []
    for number, (left, top, right, bottom) in enumerate(np.round(x).astype(int)):
        shares.append((covered[top:bottom, left:right] != FLAT[number].pixels[0, 0]).any(-1).mean())
    np.testing.assert_allclose(shares, 0.35, atol=0.03)


def test_drawn_portraits_show_every_style_and_expression() -> None:
    some = list(islice(drawn_portraits(), len(STYLES) * len(EXPRESSIONS)))
    assert {(each.name.partition("-")[0], each.expression) for each in some} == {
        (style, expression) for style in STYLES for expression in EXPRESSIONS
    }
    boxes = np.array([each.box for each in some])
    assert (boxes[:, :2] < boxes[:, 2:]).all() and (boxes > -0.2).all() and (boxes < 1.2).all()


def test_more_portraits_than_a_scene_has_room_for() -> None:
    with pytest.raises(ValueError, match="13 portraits"):
        compose([FLAT[0]] * 13)


def test_faces_are_matched_once_and_others_are_false() -> None:
    _, truths = compose(FLAT[:3], sides=(100,))
    exact = [FoundFace(truth.box) for truth in truths]
    left, top, right, bottom = truths[0].box
    near = FoundFace((left + 5, top, right + 5, bottom), 0.9)
    tiny = FoundFace((left + 20, top + 20, left + 30, top + 30))
    corner = FoundFace((0.0, 0.0, 1.0, 1.0))
    matched = match([near, *exact[:2], tiny, corner], truths)
    assert matched.faces == (exact[0], exact[1], None) and matched.false == (corner,)
    assert match([near], truths).faces == (near, None, None)
    assert match([], truths).faces == (None, None, None)
