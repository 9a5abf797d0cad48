"""Networks without text: `timm/` and any of timm's names, as in `timm/vit_small_patch14_dinov2.lvd142m`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from timm.data.config import resolve_model_data_config
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.data.transforms_factory import create_transform
from torch import nn

from fercache.encoders import IMAGENET_224, NetworkEncoder, Preprocessing, slug, square_side
from fercache.encoders._resizing import kernels
from fercache.errors import UsageError
from fercache.options.extract import EncoderRequest
from fercache.weights.state_dicts import state_hash, weights_hash
from fercache.weights.timm_backbone import PRETRAINED, Backbone, not_here

PREFIX = "timm/"
GEOMETRY = ("interpolation", "crop_pct", "crop_mode", "kernels")
AS_CAFE = {
    "input_size": (3, 224, 224),
    "interpolation": "bilinear",
    "mean": IMAGENET_DEFAULT_MEAN,
    "std": IMAGENET_DEFAULT_STD,
    "crop_pct": 1.0,
    "crop_mode": "squash",
}
"""The preset imagenet-224, in timm's terms."""


class Timm(NetworkEncoder):
    """Features as timm pools them, before the classifier.

    A network of fixed size is built for the preset's size: its position embeddings are resized, as timm does.
    """

    @classmethod
    def knows(cls, name: str) -> bool:
        """Whether `name` begins with `timm/`."""
        return name.startswith(PREFIX)

    @classmethod
    def load(cls, request: EncoderRequest) -> "Timm":
        """See `Encoder.load`. Without a file, timm's own weights are fetched."""
        asked = request.name.removeprefix(PREFIX)
        cafe = request.preprocessing == IMAGENET_224
        backbone = Backbone(asked, 224 if cafe else None, {})
        config = AS_CAFE if cafe else resolve_model_data_config(backbone.network)
        label, sha256 = fill(backbone, request.weights)
        # A tag after the dot names weights and their preprocessing, which are in the identity anyway.
        architecture = asked.partition(".")[0]
        origin = {"family": "timm", "architecture": architecture, "weights_sha256": sha256}
        preprocessing = described_as(request.preprocessing, config)
        name = slug("timm", architecture, label)
        return cls(name, backbone.network, backbone.width, origin, preprocessing, request)

    @classmethod
    def unfetched(cls, request: EncoderRequest) -> str:
        """See `Encoder.unfetched`."""
        return "" if request.weights else not_here(request.name.removeprefix(PREFIX))

    def _image_network(self) -> nn.Module:
        """See `NetworkEncoder`."""
        network: nn.Module = self.network
        return network


def fill(backbone: Backbone, weights: Path | None) -> tuple[str, str]:
    """Loads the weights of a file, or timm's own, into a backbone; returns their name and SHA-256.

    Keys of a classifier are ignored. Raises UsageError for weights that do not fit, or cannot be fetched.
    """
    if weights is None:
        backbone.load(PRETRAINED)
        return backbone.network.pretrained_cfg.get("tag") or PRETRAINED, state_hash(backbone.network.state_dict())
    if not weights.is_file():
        raise UsageError(f"--weights {weights}: no such file.")
    backbone.load(str(weights))
    return weights.stem, weights_hash(weights)


def described_as(preset: str, config: dict[str, Any]) -> Preprocessing:
    """timm's own preprocessing."""
    side = square_side(*config["input_size"][1:])
    described = {"preset": preset, **config, "size": side, "kernels": kernels(steps(config, side))}
    del described["input_size"]
    # Borders, if any, have the mean colour.
    geometry = (*GEOMETRY, "mean") if config["crop_mode"] == "border" else GEOMETRY
    return Preprocessing(
        side,
        config["mean"],
        config["std"],
        described=described,
        geometry=geometry,
        steps=lambda side: steps(config, side),
    )


def steps(config: dict[str, Any], side: int) -> Sequence[Any]:
    """The steps of timm's evaluation transform to images of `side` pixels."""
    transforms: Sequence[Any] = create_transform(**{**config, "input_size": (3, side, side)}).transforms
    return transforms


plugin = Timm
