"""Options of `fercache extract`, and of every command that loads an encoder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from fercache.errors import UsageError, first_problem
from fercache.options import EngineOptions, Options, device_option, option
from fercache.policies import LARGEST, Which

BUNDLED = "bundled"
BUNDLED_VERSIONS = ("bundled@1", "bundled@2", "bundled@3")
"""What the cache calls the bundled encoder, the last being the current one: a later version must not change what a run
was trained on."""


class EncoderOptions(Options):
    """An encoder and how it computes. `name` is a family, or an architecture and tag in open_clip's notation."""

    name: str = option(
        BUNDLED,
        "Encoder: bundled, bundled-general, an open_clip name (ViT-B-32/openai), or timm/MODEL.",
        flag="encoder",
    )
    weights: Path | None = option(None, "Checkpoint file of the encoder.")
    preprocessing: Literal["clip", "imagenet-224"] = option(
        "clip", "Preprocessing: clip is the model's own, imagenet-224 that of the papers' code."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto", "Precision; auto is the fastest that agrees with fp32."
    )


class EncoderRequest(EncoderOptions):
    """An encoder on a device."""

    device: str = device_option()

    def stored(self) -> dict[str, Any]:
        """As JSON, to repeat the request from any folder."""
        name = BUNDLED_VERSIONS[-1] if self.name == BUNDLED else self.name
        return {**self.model_dump(), "name": name, "weights": str(self.weights.resolve()) if self.weights else None}

    @classmethod
    def of(cls, stored: Mapping[str, Any], *, device: str = "auto", precision: str = "auto") -> "EncoderRequest":
        """The same encoder, on another device and in another precision. Raises UsageError for unknown values.

        What was stored without a version is the first one.
        """
        asked = {name: stored[name] for name in ("name", "weights", "preprocessing")}
        asked["name"] = {BUNDLED: BUNDLED_VERSIONS[0], BUNDLED_VERSIONS[-1]: BUNDLED}.get(asked["name"], asked["name"])
        try:
            return cls.model_validate({**asked, "device": device, "precision": precision})
        except ValidationError as error:
            problem = first_problem(error)
            raise UsageError(f"The stored encoder has {problem.name} = {problem.given}: {problem.message}.") from None


NO_FACES = "none"
"""The value of `--faces` for images that are faces, against a setting in `fercache.toml`."""


class ContentOptions(Options):
    """What a feature table holds besides the clean features. Experiments have these options too.

    `prompts` is a TOML file or a built-in set; the built-in sets are always encoded. `crops` is the side of the crops
    stored for trunks that look at pixels.
    """

    prompts: str = option("faces", "Prompt set: faces, ke2nt, or a TOML file.")
    views: int = option(0, "Augmented views to encode besides the clean one.", ge=0, le=64)
    recipe: str = option("cafe", "Recipe of the views: cafe, ke2nt, or a TOML file.")
    crops: int | None = option(
        None, "Also store crops of this side in pixels, for trunks that read pixels.", ge=16, le=512
    )


class ExtractRequest(ContentOptions, EngineOptions):
    """Which dataset to encode, and with which encoder.

    `shifted` adds a table of the validation split in shifted images, for the selection policy `source-shifted`.
    """

    dataset: str = option(
        "synthetic:studio",
        "Dataset to encode, NAME[:DOMAIN][+CORRUPTION[:SEVERITY]]; see `fercache datasets`.",
        shown="synthetic, all domains",
    )
    root: Path | None = option(
        None, "Folder of the dataset; for manifest, its list file. [default: as in fercache.toml]"
    )
    unlabelled: bool = option(
        False, "Read no labels; the root is a folder with images at any depth, or a list without a label column."
    )
    faces: str | None = option(
        None,
        "For photographs instead of face crops: the detector that finds the faces (auto, mtcnn, yunet:FILE), or a list "
        "of their boxes (FILE.csv: image,left,top,right,bottom). [default: as in fercache.toml, else none]",
        metavar="DETECTOR",
    )
    which: Which = option(LARGEST, "Faces to take from a photograph; single: the only one, none if there are several.")
    encoder: EncoderRequest = EncoderRequest()
    shifted: bool = option(
        True, "Also encode shifted images of the validation split, to select snapshots by. [default: shifted]"
    )
    batch_size: int | None = option(None, "Images per batch. [default: depends on the device]", ge=1, le=65536)
    shard_rows: int = option(2048, "Images per shard; finished shards survive an interrupt.", ge=1)
