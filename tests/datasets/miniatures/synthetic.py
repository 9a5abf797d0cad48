from pathlib import Path

from fercache.contracts import Miniature

EXPRESSIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


def synthetic(folder: Path) -> Miniature:
    return Miniature(None, {f"webcam-{i:05d}": EXPRESSIONS[i % 7] for i in range(3_200, 4_000)}, domain="webcam")
