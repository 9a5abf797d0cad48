"""Words for captions."""

from dataclasses import replace

import pytest

from fercache.synthetic_faces import DOMAINS, STYLES, ActionUnits, describe, sample_face


def test_every_face_has_words_for_everything() -> None:
    for style in DOMAINS + STYLES:
        for index in range(14):
            words = describe(sample_face(0, index, style))
            assert list(words) == [
                "expression",
                "style",
                "light",
                "pose",
                "hair",
                "glasses",
                "beard",
                "age",
                "skin",
                "mouth",
            ]
            assert all(words.values())


def test_styles_have_phrases_of_their_own() -> None:
    assert len({describe(sample_face(0, 0, style))["style"] for style in DOMAINS + STYLES}) == len(DOMAINS + STYLES)


@pytest.mark.parametrize(
    ("aspect", "change", "words"),
    [
        ("pose", {}, "facing the camera"),
        ("pose", {"yaw": 20.0}, "head turned to the right"),
        ("pose", {"yaw": -20.0, "roll": 3.0}, "head turned to the left"),
        ("pose", {"roll": -10.0}, "head tilted to the left"),
        ("pose", {"pitch": 9.0}, "looking down"),
        ("light", {"light": (-0.5, 0.0)}, "lit from the left"),
        ("light", {"light": (0.05, -0.1)}, "evenly lit"),
        ("glasses", {"glasses": "none"}, "without glasses"),
        ("glasses", {"glasses": "sunglasses"}, "wearing sunglasses"),
        ("hair", {"hair": "bald"}, "bald"),
        ("hair", {"hair": "long", "hair_colour": "red"}, "long red hair"),
        ("beard", {"beard": "full"}, "with a full beard"),
        ("age", {"age": 0.9}, "an old person"),
        ("mouth", {}, "mouth closed"),
        ("mouth", {"action_units": ActionUnits(lip_corner_puller=1)}, "smiling with closed lips"),
        ("mouth", {"action_units": ActionUnits(lip_corner_puller=1, lips_part=1)}, "smiling with teeth"),
        ("mouth", {"action_units": ActionUnits(mouth_stretch=1)}, "mouth open"),
        ("mouth", {"action_units": ActionUnits(lip_corner_depressor=1)}, "corners of the mouth down"),
    ],
)
def test_words_follow_the_face(aspect: str, change: dict[str, object], words: str) -> None:
    plain = replace(
        sample_face(0, 6, "studio", "neutral"), action_units=ActionUnits(), yaw=0.0, pitch=0.0, roll=0.0, light=(0, 0)
    )
    assert describe(replace(plain, **change))[aspect] == words  # type: ignore[arg-type]
