"""MTCNN (Zhang et al., 2016): three small nets, each of which looks closer at what the one before has found.

The weights are those of the wheel `mtcnn` 1.0 (MIT), whose own code needs TensorFlow.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fercache.detectors import Detector
from fercache.detectors._mtcnn_nets import output_net, proposal_net, refinement_net, weight_file
from fercache.detectors._sizes import MOST_PIXELS, scaled, shrunk
from fercache.identity import file_hash
from fercache.images.alignment import FoundFace

Boxes = NDArray[np.float64]

LEAST_SIDE = 20
"""The smallest faces that are found, in pixels of the image that is searched."""
STEP = 0.709
"""Each level of the pyramid has half the area of the one before."""
WINDOW, STRIDE = 12, 2
LEAST_SCORES = (0.5, 0.6, 0.7)
"""Of the three nets. Those of the wheel's code, 0.1 higher, find fewer faces, and no fewer false ones."""
OVERLAP_AT_LEVEL, OVERLAP = 0.5, 0.7
WHITE, BRIGHT, DARKEST = 99.5, 200, 32
"""An image whose percentile WHITE is below BRIGHT is brightened, by at most 255 / DARKEST: the nets need light."""
VERSION = 1
"""Increase with every change of the code that alters faces: it is part of the identity."""


class MTCNN(Detector):
    """Five landmarks for each face."""

    modules = ("mtcnn", "lz4")

    def __init__(self, file: str = "") -> None:
        super().__init__(file)
        self._propose, self._refine, self._output = proposal_net(), refinement_net(), output_net()

    def identity(self) -> Mapping[str, Any]:
        """See `Detector.identity`."""
        search = {
            "least_side": LEAST_SIDE,
            "most_pixels": MOST_PIXELS,
            "step": STEP,
            "least_scores": list(LEAST_SCORES),
        }
        overlaps = {"overlap_at_level": OVERLAP_AT_LEVEL, "overlap": OVERLAP}
        weights = {name: file_hash(weight_file(name)) for name in ("pnet", "rnet", "onet")}
        return {"name": "mtcnn", "version": VERSION, "weights": weights, **search, **overlaps}

    @torch.inference_mode()
    def find(self, image: NDArray[np.uint8]) -> list[FoundFace]:
        """See `Detector.find`."""
        searched, scale = shrunk(image)
        pixels = torch.from_numpy(_lit(searched)).permute(2, 0, 1)[None].float().sub_(127.5).div_(128)
        boxes = self._proposals(pixels)
        boxes = self._refined(pixels, boxes)
        return [scaled(face, scale) for face in self._faces(pixels, boxes)]

    def _proposals(self, pixels: Tensor) -> Boxes:
        """Squares (N, 4) that may hold faces."""
        found = [np.zeros((0, 5))]
        for level in _pyramid(pixels):
            corrections, scores = (each[0].numpy() for each in self._propose(level))
            rows, columns = np.nonzero(scores > LEAST_SCORES[0])
            corner = np.column_stack([columns, rows]) * STRIDE + 1.0
            windows = np.hstack([corner, corner + WINDOW - 1])
            boxes = _corrected(windows, corrections[:, rows, columns].T)
            boxes /= np.tile([level.shape[3] / pixels.shape[3], level.shape[2] / pixels.shape[2]], 2)
            kept = distinct(boxes, scores[rows, columns], OVERLAP_AT_LEVEL)
            found.append(np.column_stack([boxes, scores[rows, columns]])[kept])
        together = np.concatenate(found)
        return _squares(together[distinct(together[:, :4], together[:, 4], OVERLAP), :4])

    def _refined(self, pixels: Tensor, boxes: Boxes) -> Boxes:
        """The squares (N, 4) that still look like faces."""
        if not len(boxes):
            return boxes
        corrections, scores = (each.numpy() for each in self._refine(_patches(pixels, boxes, 24)))
        likely = scores > LEAST_SCORES[1]
        boxes = _corrected(boxes[likely], corrections[likely])
        return _squares(boxes[distinct(boxes, scores[likely], OVERLAP)])

    def _faces(self, pixels: Tensor, boxes: Boxes) -> Iterator[FoundFace]:
        """The faces, the highest score first."""
        if not len(boxes):
            return
        corrections, places, scores = (each.numpy() for each in self._output(_patches(pixels, boxes, 48)))
        sides = (boxes[:, 2:] - boxes[:, :2])[:, None]
        landmarks = boxes[:, None, :2] + places.reshape(-1, 2, 5).swapaxes(1, 2) * sides
        exact = _corrected(boxes, corrections)
        likely = np.flatnonzero(scores > LEAST_SCORES[2])
        for row in likely[distinct(exact[likely], scores[likely], OVERLAP, by_smaller=True)]:
            points = tuple((float(x), float(y)) for x, y in landmarks[row])
            left, top, right, bottom = map(float, exact[row])
            yield FoundFace((left, top, right, bottom), float(scores[row]), points)


def distinct(
    boxes: Boxes, scores: NDArray[np.floating[Any]], most: float, by_smaller: bool = False
) -> NDArray[np.intp]:
    """The rows of `boxes` (N, 4), the highest score first, that share at most `most` of their area with one before.

    The share is of the area that both cover together, or `by_smaller`, of the smaller one's.
    """
    order, kept = np.argsort(-scores, kind="stable"), []
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        sides = np.minimum(boxes[first, 2:], boxes[rest, 2:]) - np.maximum(boxes[first, :2], boxes[rest, :2])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        whole = np.minimum(areas[first], areas[rest]) if by_smaller else areas[first] + areas[rest] - shared
        order = rest[shared <= most * whole]
    return np.array(kept, np.intp)


def _lit(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image, brighter if it is dark."""
    white = float(np.percentile(pixels[::4, ::4], WHITE))
    if white >= BRIGHT:
        return pixels
    factor = 255 / max(white, DARKEST)
    level = np.clip(np.arange(256) * factor + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(level[pixels])


def _pyramid(pixels: Tensor) -> Iterator[Tensor]:
    """The image (1, 3, H, W), smaller and smaller, so that faces of every size fit the WINDOW."""
    height, width = pixels.shape[2:]
    scale = WINDOW / LEAST_SIDE
    while min(height, width) * scale >= WINDOW:
        size = round(height * scale), round(width * scale)
        yield F.interpolate(pixels, size, mode="area")
        scale *= STEP


def _corrected(boxes: Boxes, corrections: NDArray[np.float32]) -> Boxes:
    """Boxes (N, 4), moved by `corrections` (N, 4), which are shares of their sides."""
    return boxes + corrections * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def _squares(boxes: Boxes) -> Boxes:
    """Squares around the same middles, as large as the longer sides."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.hstack([middle - half, middle + half])


def _patches(pixels: Tensor, boxes: Boxes, side: int) -> Tensor:
    """(N, 3, side, side): the pixels in each box (N, 4), grey outside the image.

    Each value is the mean of four points: fewer miss the thin lines of a large face.
    """
    height, width = pixels.shape[2:]
    ends = torch.from_numpy(boxes / np.tile([width, height], 2) * 2 - 1).float()
    along = (torch.arange(2 * side) + 0.5) / (2 * side)
    x, y = (ends[:, [i]] + along * (ends[:, [i + 2]] - ends[:, [i]]) for i in (0, 1))
    grid = torch.stack([x[:, None].expand(-1, 2 * side, -1), y[:, :, None].expand(-1, -1, 2 * side)], dim=3)
    sampled = F.grid_sample(pixels, grid.reshape(1, -1, 2 * side, 2), align_corners=False)
    return F.avg_pool2d(sampled, 2).reshape(3, -1, side, side).transpose(0, 1)


plugin = MTCNN
