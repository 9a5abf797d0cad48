"""Weights of 8 bits, and what they cost."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fercache.onnx_files.check import by_file, drawn_faces, session
from fercache.runtime.progress import progress
from fercache.store.atomic import replacing
from fercache.synthetic_faces import DOMAINS, EXPRESSIONS

PER_EXPRESSION = 10
"""Synthetic faces of each expression and domain that the cost is measured on."""


def quantise(file: Path, target: Path) -> None:
    """Writes `file` with weights of 8 bits to `target`; activations are rounded to 8 bits as they come.

    In two passes, because products are fastest with signed weights, and convolutions take unsigned ones only.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with replacing(target) as temporary, _without_advice():
        quantize_dynamic(file, temporary, op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8)
        quantize_dynamic(temporary, temporary, op_types_to_quantize=["Conv"], weight_type=QuantType.QUInt8)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Without onnxruntime's warnings, which are about other kinds of quantisation."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def cost(file: Path, quantised: Path, classes: list[str], side: int | None) -> dict[str, Any]:
    """Accuracy of both files on synthetic faces, by domain and in all, and how often they give the same answer."""
    names, whole, small = np.array(classes), session(file), session(quantised)
    counts: dict[str, Counter[str]] = {domain: Counter() for domain in DOMAINS}
    faces = len(DOMAINS) * (1 + PER_EXPRESSION * len(EXPRESSIONS))
    with progress("accuracy in 8 bits", faces, "face") as bar:
        for drawn in drawn_faces(side, PER_EXPRESSION + 1):
            truth = np.array(drawn.expressions)
            one, other = (names[by_file(running, drawn.images).argmax(axis=1)] for running in (whole, small))
            counts[drawn.domain] += Counter(
                faces=len(truth),
                fp32=int((one == truth).sum()),
                int8=int((other == truth).sum()),
                same=int((one == other).sum()),
            )
            bar.update(len(truth))
    total = sum(counts.values(), Counter[str]())
    return {
        "faces": total["faces"],
        "same_answer": total["same"] / total["faces"],
        "accuracy": total["int8"] / total["faces"],
        "accuracy_fp32": total["fp32"] / total["faces"],
        "by_domain": {
            domain: {"accuracy": found["int8"] / found["faces"], "accuracy_fp32": found["fp32"] / found["faces"]}
            for domain, found in counts.items()
        },
    }
