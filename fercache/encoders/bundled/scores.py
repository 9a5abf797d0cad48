"""Score a bundled encoder by text similarity alone: `python -m fercache.encoders.bundled.scores --ferplus ROOT`.

On FERPlus, and on synthetic faces of unseen seeds, with wordings that no training caption has.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from fercache.encoders import TextEncoder
from fercache.encoders.bundled.captions import VALUES
from fercache.encoders.bundled.faces import FERPLUS_SIZE, VOTE_COLUMNS, SyntheticFaces, draw_faces, read_ferplus
from fercache.expressions import EXPRESSIONS
from fercache.options.extract import EncoderRequest
from fercache.prompts import prompt_set
from fercache.synthetic_faces import DOMAINS, STYLES
from fercache.votes import voted_labels

HELD_OUT_SEED = 90_001
STYLED_FACES, DOMAIN_FACES = 1_400, 700


@dataclass(frozen=True)
class Wordings:
    """Two wordings each for the presence and absence of an attribute, none of which was used in training."""

    yes: tuple[str, ...]
    no: tuple[str, ...]


HELD_OUT: Mapping[str, Wordings] = {
    "glasses": Wordings(
        ("spectacles on the nose of a person", "somebody's eyes are behind a pair of glasses"),
        ("nothing on the nose of a person", "somebody's eyes are bare, without a pair of glasses"),
    ),
    "smile": Wordings(
        ("a man has a big grin on the face", "her mouth is in a wide smile"),
        ("a man has no grin on the face", "her mouth is without a smile"),
    ),
    "turn": Wordings(
        ("the side of a face", "he is facing away to one side"),
        ("the front of a face", "he is facing us, straight ahead"),
    ),
}


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1."""
    scaled: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def encode(encoder: TextEncoder, pixels: NDArray[np.uint8], side: int | None = None) -> NDArray[np.float32]:
    """(N, S, S) or (N, S, S, 3) uint8 -> (N, D), at `side` pixels, by default the encoder's own."""
    coloured = pixels if pixels.ndim == 4 else np.repeat(pixels[..., None], 3, axis=3)
    faces = np.stack([encoder.preprocess(face, side) for face in coloured])
    return np.concatenate([encoder.encode_images(faces[at : at + 128]) for at in range(0, len(faces), 128)])


def on_ferplus(encoder: TextEncoder, root: Path, split: str, side: int | None = None) -> dict[str, Any]:
    """Accuracy and mean class recall over eight and over seven expressions, labels by majority, prompts `faces`.

    The images have `side` pixels, by default the encoder's own.
    """
    real = read_ferplus(root, split, FERPLUS_SIZE)
    labels = voted_labels(EXPRESSIONS, real.votes, [f"new:{name}" for name in VOTE_COLUMNS])
    prompts = prompt_set("faces")
    text = np.stack([encoder.encode_texts(prompts[name]).mean(axis=0) for name in EXPRESSIONS])
    features, truth = encode(encoder, real.pixels[labels.kept], side), labels.index[labels.kept]
    likeness = unit(features) @ unit(text).T
    seven = truth < len(EXPRESSIONS) - 1  # without contempt, the last
    return {
        **_scored(truth, likeness),
        "seven_expressions": _scored(truth[seven], likeness[seven, :-1]),
        "mean_norm": round(float(np.linalg.norm(features, axis=1).mean()), 3),
    }


def _scored(truth: NDArray[np.int64], likeness: NDArray[np.float32]) -> dict[str, Any]:
    predicted = likeness.argmax(axis=1)
    return {
        "faces": len(truth),
        "accuracy": round(float((predicted == truth).mean()), 4),
        "mean_class_recall": round(float(balanced_accuracy_score(truth, predicted)), 4),
    }


def on_synthetic(encoder: TextEncoder, faces: SyntheticFaces) -> dict[str, Any]:
    """Accuracy of the expressions, and the AUC of every held-out pair of wordings and of their mean.

    None if the faces do not differ in the attribute.
    """
    features, attributes = unit(encode(encoder, faces.pixels)), list(VALUES)
    prompts = prompt_set("faces")
    text = np.stack([encoder.encode_texts(prompts[name]).mean(axis=0) for name in EXPRESSIONS[:-1]])
    scores: dict[str, Any] = {
        "expression_accuracy": round(float(((features @ unit(text).T).argmax(axis=1) == faces.expression).mean()), 4)
    }
    for name, wordings in HELD_OUT.items():
        value = faces.attributes[:, attributes.index(name)]
        known = value >= 0
        truth = value[known] == VALUES[name].index("yes")
        likeness = (
            features[known] @ (unit(encoder.encode_texts(wordings.yes)) - unit(encoder.encode_texts(wordings.no))).T
        )
        scores[name] = {
            "auc": _auc(truth, likeness.mean(axis=1)),
            "auc_of_each_pair": [_auc(truth, one) for one in likeness.T],
        }
    return scores


def _auc(truth: NDArray[np.bool_], likeness: NDArray[np.float32]) -> float | None:
    return round(float(roc_auc_score(truth, likeness)), 4) if 0 < truth.sum() < len(truth) else None


def rate(encoder: TextEncoder, faces: int = 2_048, batch: int = 128) -> float:
    """Faces per second for encoding alone, on random pixels."""
    side = encoder.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    encoder.encode_images(pixels)
    start = time.perf_counter()
    for _ in range(faces // batch):
        encoder.encode_images(pixels)
    return faces / (time.perf_counter() - start)


def score(encoder: TextEncoder, ferplus: Path) -> dict[str, Any]:
    """Everything that the card reports."""
    groups = {"styles": STYLES, **{domain: (domain,) for domain in DOMAINS}}
    drawn = {
        group: on_synthetic(
            encoder, draw_faces(HELD_OUT_SEED, STYLED_FACES if group == "styles" else DOMAIN_FACES, styles)
        )
        for group, styles in groups.items()
    }
    return {
        "ferplus": {split: on_ferplus(encoder, ferplus, split) for split in ("validation", "test")},
        "drawn_faces": drawn,
        "held_out_wordings": {name: {"yes": list(w.yes), "no": list(w.no)} for name, w in HELD_OUT.items()},
        "faces_per_second": round(rate(encoder)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the scores as JSON."""
    from fercache.encoders.bundled import Bundled, weights

    parser = argparse.ArgumentParser(description="Score a bundled encoder.")
    parser.add_argument("--ferplus", type=Path, required=True, help="folder of FERPlus")
    parser.add_argument("--weights", type=Path, help="weights other than the bundled ones")
    parser.add_argument("--encoder", choices=weights.FILES, default="bundled", help="default: bundled")
    options = parser.parse_args(arguments)
    encoder = Bundled.load(EncoderRequest(name=options.encoder, weights=options.weights))
    print(json.dumps(score(encoder, options.ferplus), indent=2))


if __name__ == "__main__":
    main()
