"""timm's networks without their classifiers: built by name, with weights from a file or from timm."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fercache.errors import UsageError, nearest
from fercache.runtime.vision_libraries import timm
from fercache.weights.hub import HUB, fetched_before, reachable
from fercache.weights.state_dicts import State, fill, first_line

PRETRAINED = "pretrained"
"""Means the weights that timm fetches: ImageNet's for most, CLIP's for `vit_base_patch16_clip_224`."""

HUB_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
GIVE_FILE = "Give a file of weights: --weights FILE for an encoder, --trunk-weights FILE for a trunk."


def not_here(name: str) -> str:
    """The URL of timm's weights of a network, empty if they are on this machine."""
    known = timm.get_pretrained_cfg(name)
    repository = known.hf_hub_id if known else None
    return f"{HUB}/{repository}" if repository and fetched_before(repository, HUB_WEIGHTS) is None else ""


class Backbone(nn.Module):
    """(B, S, S, 3) uint8 -> (B, width), pooled as timm pools it, with random weights until `load` is called."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: str, side: int | None, options: Mapping[str, Any]) -> None:
        """`side` S matters for networks of fixed size. Raises UsageError if timm cannot build it."""
        super().__init__()
        check_name(name)
        self.name = name
        expected = timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()
        self._arguments = {"num_classes": 0, **options}
        if expected.fixed_input_size and side is not None:
            self._arguments["img_size"] = side
        self.network = self._create(pretrained=False)
        self.width = int(getattr(self.network, "head_hidden_size", None) or self.network.num_features)
        for buffer, values in (("mean", expected.mean), ("deviation", expected.std)):
            self.register_buffer(buffer, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images are normalised as the architecture's own weights expect."""
        # Permuted, not copied: that is already the layout in which convolutions are fastest.
        pixels = (images.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.deviation
        features: Tensor = self.network(pixels)
        return features

    def load(self, weights: str) -> list[str]:
        """Loads the weights of a file, or PRETRAINED; returns the unused keys of the file (a classifier's).

        Raises UsageError for a file that does not fit, with the keys, and if nothing can be fetched.
        """
        if weights != PRETRAINED:
            return fill(self.network, Path(weights), self.name, adapt=self._adapt)
        self._check_fetchable()
        self.network.load_state_dict(self._create(pretrained=True).state_dict())
        return []

    def _check_fetchable(self) -> None:
        """Raises UsageError if timm would try for a minute, and fail."""
        known = self.network.pretrained_cfg
        repository = known.get("hf_hub_id")
        if not repository and not known.get("url"):
            raise UsageError(f"timm has no weights of {self.name}. {GIVE_FILE}")
        if repository and fetched_before(repository, HUB_WEIGHTS) is None and not reachable(HUB):
            raise UsageError(
                f"timm's weights of {self.name} are not on this machine and {HUB} does not answer. "
                f"Fetch {HUB}/{repository}/resolve/main/{HUB_WEIGHTS[0]} elsewhere. {GIVE_FILE}"
            )

    def _create(self, *, pretrained: bool) -> Any:
        given = ", ".join(f"{key}={value}" for key, value in self._arguments.items())
        try:
            network = timm.create_model(self.name, pretrained=pretrained, **self._arguments)
        except (TypeError, ValueError, RuntimeError, AssertionError, OSError) as error:
            how = f" {GIVE_FILE}" if pretrained else ""
            raise UsageError(f"timm cannot build {self.name} with {given}: {first_line(error)}{how}") from None
        return network.to(memory_format=torch.channels_last)

    def _adapt(self, state: State, network: nn.Module) -> State:
        """The checkpoint as timm itself adapts foreign ones: other names, other sizes of image or patch."""
        known = getattr(import_module(type(network).__module__), "checkpoint_filter_fn", None)
        return dict(known(state, network)) if known else state


def check_name(name: str) -> None:
    """Raises UsageError for an architecture, or a tag after its dot, unknown to timm."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        close = get_close_matches(architecture, timm.list_models(), n=1)
        meant = f"Did you mean '{close[0]}'?" if close else "timm.list_models() names all."
        raise UsageError(f"timm has no architecture '{architecture}'. {meant}")
    tags = [known.partition(".")[2] for known in timm.list_models(f"{architecture}.*", include_tags=True)]
    if tag and tag not in tags:
        raise UsageError(f"timm has no weights '{tag}' of {architecture}. {nearest(tag, tags)}")
