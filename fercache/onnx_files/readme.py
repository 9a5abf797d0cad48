"""The instructions beside the files."""

from collections.abc import Mapping, Sequence
from typing import Any

_CODE = """\
import json

import numpy as np
import onnxruntime
from PIL import Image

classes = json.load(open("card.json"))["classes"]
model = onnxruntime.InferenceSession("pixels.onnx")
face = np.asarray(Image.open("face.jpg").convert("RGB"){resize})  # a square crop of a face
(probabilities,) = model.run(None, {{"faces": face[None]}})
for name, share in zip(classes, probabilities[0]):
    print(f"{{name}}: {{share:.1%}}")
"""
_FEATURES = """\
import json

import numpy as np
import onnxruntime

classes = json.load(open("card.json"))["classes"]
model = onnxruntime.InferenceSession("features.onnx")
features = np.load("features.npy").astype(np.float32)  # (N, {dimension}), of the encoder {encoder}
(probabilities,) = model.run(None, {{"features": features}})
print([classes[best] for best in probabilities.argmax(axis=1)])
"""


def readme(card: Mapping[str, Any]) -> str:
    """Markdown: what the files take and return, code, and what the card says first of all."""
    side, files = card["input"]["side"], card["files"]
    resize = f".resize(({side}, {side}), Image.Resampling.BICUBIC)" if side else ""
    encoder = card["encoder"]["name"]
    code = _CODE.format(resize=resize) if "pixels.onnx" in files else _FEATURES.format(**card["input"], encoder=encoder)
    parts = [
        f"# {card['model']} as ONNX",
        f"Written by fercache {card['versions']['fercache']}. It needs `onnxruntime`, `numpy` and `pillow`:",
        f"```python\n{code}```",
        _inputs(card),
        _checked(files),
        _trained(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _inputs(card: Mapping[str, Any]) -> str:
    side, files, classes = card["input"]["side"], card["files"], len(card["classes"])
    square = f"S = {side}" if side else "any S: the file resizes as fercache does"
    taken = {
        "pixels.onnx": f"`faces` (N, S, S, 3) uint8, RGB, {square}",
        "pixels.int8.onnx": f"the same, with weights of 8 bits{_cost(card)}",
        "features.onnx": f"`features` (N, {card['input']['dimension']}) float32, raw, as in fercache's feature tables",
    }
    rows = [f"| {name} | {what} |" for name, what in taken.items() if name in files]
    missing = [f"There is no {name}: {why}" for name, why in card["left_out"].items()]
    table = "\n".join(["| file | takes |", "|---|---|", *rows])
    returned = (
        f"Each returns `probabilities` (N, {classes}) float32, calibrated, in the order of `classes` in card.json."
    )
    return "\n\n".join([table, returned, *missing])


def _cost(card: Mapping[str, Any]) -> str:
    cost = card.get("int8")
    if not cost:
        return ""
    return (
        f"; the same answer on {cost['same_answer']:.1%} of {cost['faces']} synthetic faces, accuracy "
        f"{cost['accuracy']:.1%} instead of {cost['accuracy_fp32']:.1%}"
    )


def _checked(files: Mapping[str, Mapping[str, Any]]) -> str:
    largest = max(file["largest_difference"] for file in files.values() if "largest_difference" in file)
    return f"No probability differs from PyTorch's by more than {largest:.1e}, on synthetic faces of every domain."


def _trained(card: Mapping[str, Any]) -> str:
    datasets: Sequence[str] = [each["dataset"] for each in card["trained_on"]]
    head = f"The head was trained on {', '.join(datasets)}." if datasets else "No head was trained: text is compared."
    seen = card["encoder"]["trained_on"]
    encoder = f"The encoder was trained on {', '.join(seen)}." if isinstance(seen, list) else f"{seen}."
    unseen = card["never_shown"]
    scored = f" Scores on {', '.join(unseen)}, which it has never seen, are in card.json." if unseen else ""
    licence = f"Licence of the encoder's weights: {card['encoder']['licence']}."
    return f"{head} {encoder[0].upper()}{encoder[1:]} {licence}{scored}"
