"""Augmented views: the same in every order, thread and size; recipes of one's own; crops in the encoder's views."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg
from PIL import Image

from fercache.encoders._resizing import Resizing, on_pixels
from fercache.encoders.open_clip.clip_encoder import steps as open_clip_steps
from fercache.encoders.timm import AS_CAFE
from fercache.encoders.timm import steps as timm_steps
from fercache.errors import UsageError
from fercache.identity import pixel_hash
from fercache.images import views
from fercache.images.views import (
    CLEAN,
    ERASED,
    RECIPES,
    Erase,
    Framing,
    Light,
    Noise,
    Recipe,
    draw_view,
    load_recipe,
    render_crop,
)

Pixels = NDArray[np.uint8]
CAFE, KE2NT = RECIPES["cafe"], RECIPES["ke2nt"]
EVERYTHING = """
seed = 7
steps = [
  {kind = "noise", variance = 30},
  {kind = "light"},
  {kind = "flip", p = 0.5},
  {kind = "shift", most = 0.2, p = 0.5},
  {kind = "erase", least = 0.1, most = 0.2, p = 0.5},
]
"""


def image(seed: int, height: int = 48, width: int = 48) -> Pixels:
    """Smooth, and away from black and white, where noise would be cut off."""
    corners = np.random.default_rng(seed).integers(60, 196, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR))


def hash_of(number: int) -> bytes:
    return pixel_hash(np.full((1, 1, 3), number % 256, np.uint8) + np.uint8(number // 256))


def resized(pixels: Pixels, side: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def rendered(recipe: Recipe, number: int, pixels: Pixels, side: int = 32) -> Pixels:
    view = draw_view(recipe, number, pixel_hash(pixels))
    return view.on_square(resized(view.on_image(pixels), side))


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def everything(tmp_path: Path) -> Recipe:
    """A recipe of one's own, of all kinds of steps."""
    return load_recipe(str(written(tmp_path, EVERYTHING)))


def test_a_view_is_the_same_in_every_order_and_thread(everything: Recipe) -> None:
    jobs = [(r, number, seed) for r in (CAFE, KE2NT, everything) for number in range(4) for seed in range(3)]

    def render(job: tuple[Recipe, int, int]) -> bytes:
        recipe, number, seed = job
        return rendered(recipe, number, image(seed)).tobytes()

    first = [render(job) for job in jobs]
    assert [render(job) for job in reversed(jobs)] == first[::-1]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(render, jobs)) == first


def test_a_view_is_today_what_it_was() -> None:
    """Features of views are stored: drawn otherwise one day, they would no longer agree with crops of the same view."""
    view = draw_view(Recipe(name="fixed", steps=CAFE.steps), 6, bytes(32))
    assert view.noise == (3946162345, 30**0.5)
    np.testing.assert_allclose(box(view.on_square(halves(100))), (0.16, 0.44, 0.24, 0.88))


def test_number_image_and_recipe_each_make_another_view(everything: Recipe) -> None:
    flat = np.full((16, 16, 3), 128, np.uint8)

    def changed(recipe: Recipe, number: int, hash: bytes) -> bytes:
        view = draw_view(recipe, number, hash)
        return view.on_square(view.on_image(flat)).tobytes()

    one = changed(everything, 1, hash_of(0))
    assert changed(everything, 2, hash_of(0)) != one
    assert changed(everything, 1, hash_of(1)) != one
    assert changed(everything.model_copy(update={"seed": 8}), 1, hash_of(0)) != one
    assert changed(everything.model_copy(update={"steps": everything.steps[:-1]}), 1, hash_of(0)) != one


@pytest.mark.parametrize("recipe", [CLEAN, CAFE, KE2NT], ids=lambda recipe: recipe.name)
def test_view_0_is_the_image_as_it_is(recipe: Recipe) -> None:
    pixels = image(1)
    view = draw_view(recipe, 0, pixel_hash(pixels))
    assert np.array_equal(view.on_image(pixels), pixels)
    assert np.array_equal(view.on_square(pixels), pixels)
    assert np.array_equal(render_crop(pixels, (480, 640), view), pixels)


def test_an_image_is_never_changed_in_place(everything: Recipe) -> None:
    pixels = image(3)
    pixels.setflags(write=False)
    for number in range(1, 20):
        rendered(everything, number, pixels)
        rendered(KE2NT, number, pixels, side=48)


@pytest.mark.parametrize("recipe", [CAFE, KE2NT], ids=lambda recipe: recipe.name)
def test_flip_shift_and_box_are_the_same_at_two_sizes(recipe: Recipe) -> None:
    """Each change alone: the box, what is not black, and where the left half went."""
    seen = set()
    for number in range(1, 40):
        for change in draw_view(recipe, number, hash_of(5)).changes:
            small, large = change(halves(64)), change(halves(224))
            for what, extent in {"box": box, "rest": lit, "left": left_half}.items():
                if what == "left" and box(small).any():
                    continue  # it may hide the half's edge
                np.testing.assert_allclose(extent(large), extent(small), atol=1 / 64 + 1 / 224)
            seen.add((box(small).any(), lit(large).tolist() != [0, 1, 0, 1], left_half(large)[3] > 0.8))
    kinds = {(True, False, False), (False, True, False), (False, False, True)}  # a box, a shift, a flip
    assert seen >= (kinds if recipe is KE2NT else kinds - {(False, True, False)})


LEFT, RIGHT = (200, 50, 50), (50, 200, 50)


def halves(side: int) -> Pixels:
    square = np.full((side, side, 3), LEFT, np.uint8)
    square[:, side // 2 :] = RIGHT
    return square


def extent(found: NDArray[np.bool_]) -> NDArray[np.float64]:
    """First and last row and column, as shares of the side; zeros where there are none."""
    rows, columns = np.nonzero(found)
    if not len(rows):
        return np.zeros(4)
    return np.array([rows.min(), rows.max() + 1, columns.min(), columns.max() + 1]) / len(found)


def box(square: Pixels) -> NDArray[np.float64]:
    return extent((square == ERASED).all(axis=2))


def lit(square: Pixels) -> NDArray[np.float64]:
    return extent(square.any(axis=2))


def left_half(square: Pixels) -> NDArray[np.float64]:
    return extent((square == LEFT).all(axis=2))


def as_open_clip(side: int, **options: str) -> Resizing:
    return on_pixels(open_clip_steps(PreprocessCfg(size=side, **options), side))


def as_timm(side: int, **options: object) -> Resizing:
    return on_pixels(timm_steps(AS_CAFE | options, side))


CUTS = {
    "clip": (as_open_clip, {"resize_mode": "shortest", "interpolation": "bicubic"}),
    "squashed": (as_open_clip, {"resize_mode": "squash", "interpolation": "bilinear"}),
    "timm": (as_timm, {"crop_mode": "center", "crop_pct": 0.875, "interpolation": "bicubic"}),
    "timm, squashed": (as_timm, {"crop_mode": "squash", "crop_pct": 0.95, "interpolation": "bilinear"}),
}
SIZES = [(48, 48), (61, 48), (48, 67), (101, 40)]


@pytest.mark.parametrize("side", [24, 48, 96])
@pytest.mark.parametrize("how", CUTS)
def test_a_stored_crop_is_rendered_as_the_image_is(how: str, side: int) -> None:
    """Up to rounding: far closer than the noise, whose seed and place would show in any mistake."""
    library, geometry = CUTS[how]
    cut = library(side, **geometry)
    noisy = Recipe(name="noisy", steps=(Noise(variance=200), *CAFE.steps[1:]))
    for number, (height, width) in enumerate(SIZES, start=1):
        pixels = image(number, height, width)
        view = draw_view(noisy, number, pixel_hash(pixels))
        clean, with_noise = map(cut, (pixels, view.on_image(pixels)))
        expected = view.on_square(with_noise).astype(float)
        crop = render_crop(clean, (height, width), view, Framing.of(geometry))
        assert crop.dtype == np.uint8
        difference = np.abs(crop - expected).mean()
        assert difference < 0.7
        assert np.abs(view.on_square(clean) - expected).mean() > 2 * difference


def test_the_papers_recipes_by_number() -> None:
    flip = {"p": 0.5, "kind": "flip"}
    erase = {"p": 0.5, "kind": "erase", "least": 0.02, "most": 0.25}
    noise, shift = {"p": 0.5, "kind": "noise", "variance": 30.0}, {"p": 0.5, "kind": "shift", "most": 4 / 112}
    assert CAFE.identity() == {"name": "cafe", "seed": 0, "steps": [noise, flip, erase]}
    assert tuple(round(255 * mean) for mean in (0.485, 0.456, 0.406)) == ERASED, "ImageNet's"
    assert KE2NT.identity() == {"name": "ke2nt", "seed": 0, "steps": [shift, flip, erase]}


def test_the_shares_of_cafes_changes() -> None:
    """Half are flipped, half have a box of 2 to 25 % of the area, half have noise of variance 30."""
    draws = 400
    grey, sides = np.full((32, 32, 3), 128, np.uint8), halves(64)
    flipped, boxes, variances = 0, [], []
    for number in range(draws):
        view = draw_view(CAFE, 1 + number % 4, hash_of(number))
        square = view.on_square(sides)
        erased = (square == ERASED).all(axis=2)
        left = square[:, :32][~erased[:, :32]]  # a box never covers a whole half
        flipped += bool((left == RIGHT).all())
        boxes += [erased.mean()] if erased.any() else []
        noise = view.on_image(grey).astype(float) - 128
        variances += [noise.var()] if noise.any() else []
    for count in (flipped, len(boxes), len(variances)):
        assert 0.4 < count / draws < 0.6
    assert min(boxes) > 0.01 and max(boxes) < 0.27 and 0.11 < np.mean(boxes) < 0.155
    assert 29 < np.mean(variances) < 31.5


def boxes_of(least: float, most: float, draws: int = 400) -> NDArray[np.float64]:
    """(N, 4) left, top, width and height of the boxes that are drawn, in shares of the side."""
    recipe = Recipe(name="erasing", steps=(Erase(least=least, most=most),))
    changes = [draw_view(recipe, 1, hash_of(number)).changes[0] for number in range(draws)]
    return np.array([change.keywords["box"] for change in changes if isinstance(change, partial)])


def test_boxes_are_as_often_wide_as_tall_from_0_3_to_3_3() -> None:
    """Log-uniform as torchvision draws it: the median is about 1."""
    _, _, width, height = boxes_of(0.02, 0.25).T
    aspect = width / height
    assert 0.3 <= aspect.min() < 0.34 and 2.9 < aspect.max() <= 3.3
    assert 0.85 < np.median(aspect) < 1.15


def test_a_box_that_does_not_fit_is_drawn_again() -> None:
    """Of half the area, two boxes in five are wider or taller than the image."""
    assert len(boxes_of(0.5, 0.5)) > 390


def test_noise_has_mean_zero() -> None:
    """Cut down to whole numbers instead of rounded, it would darken images by half a level."""
    recipe = Recipe(name="noisy", steps=(Noise(variance=30),))
    grey = np.full((64, 64, 3), 128, np.uint8)
    noisy = [draw_view(recipe, number, hash_of(number)).on_image(grey).astype(float) for number in range(1, 9)]
    assert abs(np.mean(noisy) - 128) < 0.1


def test_light_multiplies_the_distance_to_the_mean_then_all() -> None:
    square = image(5, 32, 32)
    middle = square.mean()
    for step in (Light(brightness=0, contrast=0.3), Light(brightness=0.2, contrast=0)):
        (change,) = draw_view(Recipe(name="lit", steps=(step,)), 1, hash_of(1)).changes
        lit_square = change(square)
        factors = change.keywords  # type: ignore[attr-defined]
        expected = ((square - middle) * factors["contrast"] + middle) * factors["brightness"]
        np.testing.assert_allclose(lit_square, np.clip(expected, 0, 255), atol=0.51)
    assert Light() == Light(brightness=0.2, contrast=0.2)


def test_ke2nt_moves_half_of_the_faces_by_up_to_four_pixels_of_112() -> None:
    rows = []
    for number in range(400):
        black = (draw_view(KE2NT, 1, hash_of(number)).on_square(halves(112)) == 0).all(axis=2)
        rows.append(int(black.all(axis=1).sum()))
    assert max(rows) == 4
    assert 0.35 < np.mean(np.array(rows) > 0) < 0.55  # a shift of under half a pixel is none


@pytest.mark.parametrize("step", range(4))
def test_a_probability_changes_nothing_of_what_comes_after(
    everything: Recipe, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The box stays where it is whether or not an earlier step is made; the recipe's key, a part of the seed, aside."""
    monkeypatch.setattr(views, "_key", lambda recipe: "the same")
    certain = [one.model_copy(update={"p": 1.0}) for one in everything.steps]
    skipped = [one.model_copy(update={"p": float(place != step)}) for place, one in enumerate(certain)]
    for number in range(1, 9):
        with_it, without = (
            draw_view(everything.model_copy(update={"steps": tuple(steps)}), number, hash_of(0)).changes
            for steps in (certain, skipped)
        )
        assert len(without) == len(with_it) - (step > 0)
        assert np.array_equal(with_it[-1](halves(32)), without[-1](halves(32)))


shares = st.floats(0, 1)
steps = st.one_of(
    st.builds("kind = 'flip', p = {!r}".format, shares),
    st.builds("kind = 'shift', most = {!r}".format, st.floats(0, 1, exclude_min=True, exclude_max=True)),
    st.builds("kind = 'light', brightness = {!r}, contrast = {!r}, p = {!r}".format, shares, shares, shares),
    st.tuples(shares, shares).map(lambda two: "kind = 'erase', least = {!r}, most = {!r}".format(*sorted(two))),
)
noises = st.builds("kind = 'noise', variance = {!r}".format, st.floats(0, 255**2, exclude_min=True))


@given(
    noise=st.lists(noises, max_size=1),
    others=st.lists(steps, max_size=5),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    side=st.integers(1, 40),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_recipe_keeps_what_an_image_is(
    tmp_path: Path, noise: list[str], others: list[str], size: tuple[int, int], side: int
) -> None:
    lines = "".join(f"{{{step}}},\n" for step in noise + others)
    recipe = load_recipe(str(written(tmp_path, f"steps = [\n{lines}]\n")))
    assert len(recipe.steps) == len(noise + others)
    pixels = image(0, *size)
    for number in (1, 2):
        view, again = (draw_view(recipe, number, bytes(32)) for _ in range(2))
        noisy = view.on_image(pixels)
        square = view.on_square(resized(noisy, side))
        crop = render_crop(resized(pixels, side), size, view, Framing(squashed=True))
        assert noisy.shape == pixels.shape and square.shape == crop.shape == (side, side, 3)
        assert noisy.dtype == square.dtype == crop.dtype == np.uint8
        assert np.array_equal(again.on_square(resized(again.on_image(pixels), side)), square)
        assert np.array_equal(render_crop(resized(pixels, side), size, again, Framing(squashed=True)), crop)


def test_a_recipe_is_called_as_its_file_unless_it_says(tmp_path: Path) -> None:
    assert load_recipe(str(written(tmp_path, "", "My_Own.toml"))).name == "my-own"
    assert load_recipe(str(written(tmp_path, 'name = "other"'))).name == "other"
    assert load_recipe("cafe") is CAFE


FLIP = "[[steps]]\nkind = 'flip'\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sede = 1", "'sede' is not a key of a recipe. Did you mean 'seed'?"),
        (
            "[[steps]]\nkind = 'noise'\nvarience = 30",
            "'varience' is not a key of steps 0 noise. Did you mean 'variance'?",
        ),
        ("[[steps]]\nkind = 'flip'\np = 0.5\nmost = 1", "'most' is not a key of steps 0 flip. Known: kind, p."),
        (FLIP + "[[steps]]\nkind = 'noise'\nvariance = 30", "noise .* has to be the first step"),
        ("[[steps]]\nkind = 'blur'", "steps.0: .*'blur'.*'noise', 'flip', 'shift', 'erase', 'light'"),
        ("[[steps]]\np = 1", "steps.0: .*'kind'"),
        ("[[steps]]\nkind = 'flip'\np = 1.5", "steps.0.flip.p: .*less than or equal to 1"),
        ("[[steps]]\nkind = 'noise'\nvariance = inf", "steps.0.noise.variance: "),
        ("[[steps]]\nkind = 'noise'\nvariance = nan", "steps.0.noise.variance: "),
        ("[[steps]]\nkind = 'shift'\nmost = 1", "steps.0.shift.most: "),
        ("[[steps]]\nkind = 'erase'\nleast = 0.3\nmost = 0.2", "steps.0.erase: least, 0.3, is more than most, 0.2"),
        ("steps = 'flip'", "steps: "),
        ("name = 'Mine!'", "name: "),
        ("name = 'ke2nt'", "'ke2nt' is the name of a built-in recipe"),
        ("steps = [", "is not TOML"),
    ],
)
def test_a_wrong_recipe_is_reported(tmp_path: Path, text: str, expected: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=expected) as caught:
        load_recipe(str(path))
    assert str(path) in str(caught.value)


def test_what_is_no_recipe_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'caffe' is neither a recipe nor a file\. Did you mean 'cafe'"):
        load_recipe("caffe")
    with pytest.raises(UsageError, match="neither a recipe nor a file"):
        load_recipe(str(tmp_path))
    (tmp_path / "picture.toml").write_bytes(b"\xff\xd8")
    with pytest.raises(UsageError, match="is not TOML"):
        load_recipe(str(tmp_path / "picture.toml"))
    with pytest.raises(UsageError, match="'cafe' is the name of a built-in recipe"):
        load_recipe(str(written(tmp_path, "seed = 1", "cafe.toml")))
