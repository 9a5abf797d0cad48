"""Sampling: the face at each index of a synthetic dataset."""

from fercache.errors import UsageError, nearest
from fercache.synthetic_faces.anatomy import EXPRESSIONS, Face, contract, generator, pick, sample_identity
from fercache.synthetic_faces.styles import style_named

BACKGROUNDS = ((196, 204, 212), (222, 222, 216), (172, 186, 180), (206, 196, 186), (150, 166, 190), (188, 172, 168))
CLOTHES = ((52, 66, 96), (120, 44, 50), (64, 92, 70), (230, 230, 226), (44, 44, 50), (176, 140, 70), (104, 80, 120))


def sample_face(seed: int, index: int, style: str, expression: str | None = None) -> Face:
    """The face number `index` of `seed`, in `style`.

    The identity depends on seed and index alone: different seeds never share one, and one person can appear in several
    styles and expressions. Without an `expression`, consecutive indices cycle through all of them. Raises UsageError
    for an unknown style or expression.
    """
    camera = style_named(style).camera
    if expression is None:
        expression = EXPRESSIONS[index % len(EXPRESSIONS)]
    if expression not in EXPRESSIONS:
        raise UsageError(f"Synthetic faces show no expression '{expression}'. {nearest(expression, EXPRESSIONS)}")
    identity = sample_identity(generator("identity", seed, index))
    random = generator("picture", seed, index, style, expression)

    def within(limit: float) -> float:
        return float(limit * (2.0 * random.random() - 1.0))

    def between(least: float, most: float) -> float:
        return float(least + (most - least) * random.random())

    intensity = 0.0 if expression == "neutral" else between(*style_named(style).intensity)
    side = 1.0 if random.random() < 0.5 else -1.0
    return Face(
        **vars(identity),
        expression=expression,
        intensity=intensity,
        action_units=contract(expression, intensity, random),
        asymmetry=within(0.15),
        gaze=(within(0.25), within(0.1) + (0.35 * intensity if expression == "sadness" else 0.0)),
        yaw=within(camera.yaw),
        pitch=within(camera.pitch),
        roll=within(camera.roll),
        shift=(within(camera.shift), within(camera.shift)),
        zoom=between(*camera.zoom),
        light=(side * between(*camera.light), -0.5 * between(0.0, camera.light[1])),
        background=pick(random, BACKGROUNDS),
        clothing=pick(random, CLOTHES),
        style=style,
        noise_seed=int(random.integers(2**31)),
    )
