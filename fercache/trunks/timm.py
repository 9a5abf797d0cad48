"""Any timm backbone, on face crops: `resnet18`, `swin_tiny_patch4_window7_224`, `vit_base_patch16_clip_224`."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fercache.runtime.vision_libraries import timm
from fercache.trunks import Faces, Trunk
from fercache.weights.timm_backbone import Backbone


class TimmTrunk(Trunk):
    """A backbone; `options` are timm's for that model, such as `patch_size=2`, KE2NT's for Swin-T at 112 pixels."""

    needs_crops = True

    @classmethod
    def knows(cls, name: str) -> bool:
        """Whether timm has an architecture of this name."""
        return bool(timm.is_model(name))

    def __init__(self, name: str, dimension: int, crop_side: int | None, options: Mapping[str, Any]) -> None:
        super().__init__(name, dimension, crop_side, options)
        self.backbone = Backbone(name, crop_side, options)
        self.width = self.backbone.width

    def forward(self, faces: Faces) -> Tensor:
        """(B, width)."""
        assert isinstance(faces.crops, Tensor)
        activation: Tensor = self.backbone(faces.crops)
        return activation

    def load_weights(self, weights: str) -> list[str]:
        """See `Trunk.load_weights`."""
        return self.backbone.load(weights)


plugin = TimmTrunk
