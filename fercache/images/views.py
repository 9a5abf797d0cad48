"""Augmented views of a face: a deterministic function of image, number and recipe.

Random numbers are seeded by a hash of the three, and all geometry is relative to the side. So an encoder and a trunk
on smaller crops see the same flip, shift and erased box, in every run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fercache.errors import UsageError, first_problem, nearest
from fercache.identity import key_of, seed_from
from fercache.toml_files import is_file, read_toml

ERASED = (124, 116, 104)
"""ImageNet's mean colour, which normalisation turns into about zero; CLIP's differs by one level."""
ASPECT = (0.3, 3.3)
"""Width over height of erased boxes."""
ATTEMPTS = 10
"""Attempts to draw a box that fits into the image, before the image is left unchanged."""

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels], Pixels]
Share = Annotated[float, Field(ge=0, le=1)]


class _Step(BaseModel):
    """A kind of change, applied with probability `p`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p: Share = 1.0

    def draw(self, generator: np.random.Generator) -> Change:
        """The change with random numbers from `generator`, for a square image (S, S, 3) of any S."""
        raise NotImplementedError


class Noise(_Step):
    """Gaussian noise of a `variance` on the 8-bit image at its own size, before it is resized."""

    kind: Literal["noise"] = "noise"
    variance: float = Field(gt=0, le=255**2)


class Flip(_Step):
    """Swaps left and right."""

    kind: Literal["flip"] = "flip"

    def draw(self, generator: np.random.Generator) -> Change:
        """See `_Step.draw`."""
        return _flip


class Shift(_Step):
    """Moves the image by up to `most` of the side each way, with black padding."""

    kind: Literal["shift"] = "shift"
    most: float = Field(gt=0, lt=1)

    def draw(self, generator: np.random.Generator) -> Change:
        """See `_Step.draw`."""
        right, down = generator.uniform(-self.most, self.most, size=2)
        return partial(_shift, right=float(right), down=float(down))


class Erase(_Step):
    """Paints over a box of `least` to `most` of the area."""

    kind: Literal["erase"] = "erase"
    least: Share
    most: Share

    @model_validator(mode="after")
    def _in_order(self) -> "Erase":
        if self.least > self.most:
            raise ValueError(f"least, {self.least}, is more than most, {self.most}")
        return self

    def draw(self, generator: np.random.Generator) -> Change:
        """See `_Step.draw`."""
        for _ in range(ATTEMPTS):
            area = generator.uniform(self.least, self.most)
            aspect = np.exp(generator.uniform(*np.log(ASPECT)))
            width, height = float(np.sqrt(area * aspect)), float(np.sqrt(area / aspect))
            left, top = generator.uniform(size=2)
            if width < 1 and height < 1:
                return partial(_erase, box=(left * (1 - width), top * (1 - height), width, height))
        return _unchanged


class Light(_Step):
    """Scales brightness and contrast by up to 1 +- `brightness` and 1 +- `contrast`."""

    kind: Literal["light"] = "light"
    brightness: Share = 0.2
    contrast: Share = 0.2

    def draw(self, generator: np.random.Generator) -> Change:
        """See `_Step.draw`."""
        brightness, contrast = 1 + generator.uniform(-1, 1, size=2) * (self.brightness, self.contrast)
        return partial(_light, brightness=float(brightness), contrast=float(contrast))


Step = Annotated[Noise | Flip | Shift | Erase | Light, Field(discriminator="kind")]


class Recipe(BaseModel):
    """Steps in order; noise is added before the resize, so it can only be the first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = 0
    steps: tuple[Step, ...] = ()

    @model_validator(mode="after")
    def _noise_first(self) -> "Recipe":
        if any(isinstance(step, Noise) for step in self.steps[1:]):
            raise ValueError("noise is added before the image is resized, so it has to be the first step")
        return self

    def identity(self) -> dict[str, Any]:
        """Everything that affects pixels, as JSON."""
        return self.model_dump(mode="json")


CLEAN = Recipe(name="clean")
_HALF = 0.5
RECIPES = {
    recipe.name: recipe
    for recipe in (
        CLEAN,
        Recipe(name="cafe", steps=(Noise(p=_HALF, variance=30), Flip(p=_HALF), Erase(p=_HALF, least=0.02, most=0.25))),
        Recipe(
            name="ke2nt", steps=(Shift(p=_HALF, most=4 / 112), Flip(p=_HALF), Erase(p=_HALF, least=0.02, most=0.25))
        ),
    )
}
"""The papers' augmentations. Neither gives the probability of erasing; one half is torchvision's default."""


@dataclass(frozen=True)
class View:
    """The changes to one image: noise (seed and deviation) at its native size, then `changes` to the square."""

    noise: tuple[int, float] | None = None
    changes: tuple[Change, ...] = ()

    def on_image(self, pixels: Pixels) -> Pixels:
        """The decoded image (H, W, 3) with noise."""
        return pixels if self.noise is None else _added(pixels, _noise_field(self.noise, pixels.shape[:2]))

    def on_square(self, square: Pixels) -> Pixels:
        """The square (S, S, 3), of any S, after all steps except noise."""
        for change in self.changes:
            square = change(square)
        return np.ascontiguousarray(square)


@dataclass(frozen=True)
class Framing:
    """The part of an image that an encoder sees: all of it `squashed`, or the middle `share` of its middle square.

    `interpolation` is named as in Pillow, open_clip and timm.
    """

    squashed: bool = False
    share: float = 1.0
    interpolation: str = "bicubic"

    @classmethod
    def of(cls, geometry: Mapping[str, Any]) -> "Framing":
        """From open_clip's (`resize_mode`) or timm's (`crop_mode`, `crop_pct`) preprocessing.

        Modes that add borders are treated as a middle square: noise then has the same strength, but other positions.
        """
        squashed = "squash" in (geometry.get("resize_mode"), geometry.get("crop_mode"))
        return cls(squashed, geometry.get("crop_pct", 1.0), geometry.get("interpolation", "bicubic"))

    def resized(self, field: NDArray[np.float32], side: int) -> NDArray[np.float32]:
        """(H, W, 3) -> (`side`, `side`, 3), rounded as in torchvision: half a pixel off, the noise would differ."""
        size = np.array(field.shape[1::-1])
        scaled = int(side / self.share)
        width, height = (scaled, scaled) if self.squashed else map(int, scaled * size / size.min())
        left, top = round((width - side) / 2), round((height - side) / 2)
        planes = (Image.fromarray(np.ascontiguousarray(field[:, :, channel])) for channel in range(3))
        resampling = Image.Resampling[self.interpolation.upper()]
        scaled_planes = [np.asarray(plane.resize((width, height), resampling)) for plane in planes]
        return np.stack(scaled_planes, axis=2)[top : top + side, left : left + side]


MIDDLE = Framing()


def load_recipe(text: str) -> Recipe:
    """A built-in recipe by name, or one from a TOML file. Raises UsageError for anything else."""
    if text in RECIPES:
        return RECIPES[text]
    path = Path(text)
    if not is_file(path):
        raise UsageError(f"'{text}' is neither a recipe nor a file. {nearest(text, RECIPES)}")
    try:
        recipe = Recipe.model_validate({"name": path.stem.lower().replace("_", "-"), **read_toml(path)})
    except ValidationError as error:
        raise UsageError(f"{path}: {_complaint(error)}") from None
    if recipe.name in RECIPES:
        raise UsageError(f"{path}: '{recipe.name}' is the name of a built-in recipe; choose another: name = \"...\".")
    return recipe


def _complaint(error: ValidationError) -> str:
    problem = first_problem(error)
    *place, last = map(str, problem.place or ("steps",))
    if problem.kind != "extra_forbidden":
        return f"{'.'.join([*place, last])}: {problem.message}."
    kinds: dict[str, type[BaseModel]] = {"noise": Noise, "flip": Flip, "shift": Shift, "erase": Erase, "light": Light}
    known = kinds[place[-1]].model_fields if place and place[-1] in kinds else Recipe.model_fields
    return f"'{last}' is not a key of {' '.join(place) or 'a recipe'}. {nearest(last, known)}"


def view_names(recipe: Recipe, count: int) -> tuple[str, ...]:
    """Names of the first `count` augmented views in a table: `cafe-1`, `cafe-2`."""
    return tuple(f"{recipe.name}-{number}" for number in range(1, count + 1))


@cache
def _key(recipe: Recipe) -> str:
    return key_of(recipe.identity())


def draw_view(recipe: Recipe, number: int, pixel_sha256: bytes) -> View:
    """View `number` of the image with this hash; number 0 is the unchanged image, whatever the recipe."""
    if number == 0:
        return View()
    generator = np.random.default_rng(seed_from("view", _key(recipe), number, pixel_sha256.hex()))
    noise, changes = None, []
    for step in recipe.steps:
        chosen = generator.uniform() < step.p
        if isinstance(step, Noise):
            drawn = int(generator.integers(2**32)), step.variance**0.5
            noise = drawn if chosen else None
            continue
        change = step.draw(generator)  # drawn either way, so that p does not affect later steps
        changes += [change] if chosen else []
    return View(noise, tuple(changes))


def render_crop(crop: Pixels, native: tuple[int, int], view: View, framing: Framing = MIDDLE) -> Pixels:
    """The view of a stored clean crop (S, S, 3), cut by `framing` from an image of `native` (height, width).

    Equal, up to rounding, to the `View` of the image at this size: noise is drawn at the image's native size, and cut
    and resized like the image.
    """
    if view.noise is not None:
        crop = _added(crop, framing.resized(_noise_field(view.noise, native), len(crop)))
    return view.on_square(crop)


def _noise_field(noise: tuple[int, float], size: Sequence[int]) -> NDArray[np.float32]:
    seed, deviation = noise
    field = np.random.default_rng(seed).standard_normal((*size, 3), dtype=np.float32)
    return field * np.float32(deviation)


def _added(pixels: Pixels, field: NDArray[np.float32]) -> Pixels:
    return _clipped(pixels + field)


def _clipped(levels: NDArray[np.floating]) -> Pixels:
    rounded: Pixels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return rounded


def _unchanged(square: Pixels) -> Pixels:
    return square


def _flip(square: Pixels) -> Pixels:
    return square[:, ::-1]


def _shift(square: Pixels, right: float, down: float) -> Pixels:
    side = len(square)
    x, y = round(right * side), round(down * side)
    moved = np.zeros_like(square)
    moved[max(y, 0) : side + min(y, 0), max(x, 0) : side + min(x, 0)] = square[
        max(-y, 0) : side + min(-y, 0), max(-x, 0) : side + min(-x, 0)
    ]
    return moved


def _erase(square: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    left, top, width, height = (part * len(square) for part in box)
    erased = square.copy()
    erased[round(top) : round(top + height), round(left) : round(left + width)] = ERASED
    return erased


def _light(square: Pixels, brightness: float, contrast: float) -> Pixels:
    middle = square.mean()
    return _clipped(((square - middle) * contrast + middle) * brightness)
