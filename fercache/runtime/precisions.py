"""Reduced precisions: which ones a device supports, and whether a network's features agree with fp32's."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fercache.errors import UsageError

REDUCED = {"bf16": torch.bfloat16, "fp16": torch.float16}
DTYPES = {"fp32": torch.float32, **REDUCED}
PRECISIONS = tuple(DTYPES)
LEAST_COSINE, LEAST_MEAN_COSINE = 0.995, 0.999
# A lower precision has to be clearly faster: it is part of a table's key, and a close result would vary from day to
# day.
WORTHWHILE = 1.2

Encode = Callable[[str], NDArray[np.float32]]
"""precision -> (N, D) features of some faces."""


def check_precision(asked: str, device: str) -> str:
    """The initial precision. Raises UsageError for one that the device only emulates."""
    if asked == "auto":
        return "fp32"
    if asked != "fp32" and asked not in reduced_precisions(device):
        raise UsageError(f"--precision {asked}: not native on this {device}. Use --precision auto or fp32.")
    return asked


def reduced_precisions(device: str) -> tuple[str, ...]:
    """The precisions below fp32 that are native on the device."""
    kind = device.partition(":")[0]
    if kind == "cuda":
        return ("bf16", "fp16") if torch.cuda.is_bf16_supported(including_emulation=False) else ("fp16",)
    if kind == "mps":
        return ("fp16",)
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return ("bf16",) if any(probe is not None and probe() for probe in probes) else ()


def casting(device: str, precision: str) -> AbstractContextManager[object]:
    """The context in which a network computes in `precision`."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.partition(":")[0], REDUCED[precision])


def fastest(device: str, encode: Encode) -> tuple[str, dict[str, Any]]:
    """The fastest precision whose features agree with fp32's, and the measurements of each."""
    reference, seconds = timed(encode, "fp32")
    trials = {"fp32": {"faces_per_second": round(len(reference) / seconds, 1)}}
    best, least_seconds = "fp32", seconds / WORTHWHILE
    for precision in reduced_precisions(device):
        features, seconds = timed(encode, precision)
        cosine = centred_cosine(features, reference)
        trials[precision] = {
            "faces_per_second": round(len(reference) / seconds, 1),
            "cosine_least": round(float(cosine.min()), 6),
            "cosine_mean": round(float(cosine.mean()), 6),
        }
        if agree(cosine) and seconds < least_seconds:
            best, least_seconds = precision, seconds
    return best, trials


def timed(encode: Encode, precision: str) -> tuple[NDArray[np.float32], float]:
    """Features, and the seconds of the better of two runs after a warm-up."""
    features = encode(precision)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        encode(precision)
        seconds.append(time.perf_counter() - start)
    return features, min(seconds)


def centred_cosine(features: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) cosines between rows, both (N, D) centred by the mean of `reference`.

    Features of faces share a large common part, which would make any two of them look similar.
    """
    ours, theirs = features - reference.mean(axis=0), reference - reference.mean(axis=0)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine: NDArray[np.float32] = (ours * theirs).sum(axis=1) / np.maximum(lengths, np.float32(1e-12))
    return cosine


def agree(cosine: NDArray[np.float32]) -> bool:
    """Whether features are as good as fp32's; False if they are not finite."""
    return bool(cosine.min() >= LEAST_COSINE and cosine.mean() >= LEAST_MEAN_COSINE)
