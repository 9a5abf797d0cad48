"""Architectures of every family, small enough to build in a test, and what becomes of them as encoders.

`python -m tests.encoders.architectures` writes the table of docs/encoders.md.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import open_clip
import timm
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config

from fercache import registry
from fercache.encoders import TextEncoder
from fercache.encoders.open_clip.tokenizers import needs_transformers
from fercache.errors import UsageError
from fercache.options.extract import EncoderRequest

TEXTS = ("a photo of a happy face.", "a sad person, close up", "something else")

OPEN_CLIP = (
    *("ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-H-14", "ViT-g-14", "ViT-bigG-14", "ViT-S-32", "ViT-M-16"),
    *("ViT-B-32-quickgelu", "ViT-B-16-quickgelu", "ViT-L-14-quickgelu", "ViT-H-14-378-quickgelu"),
    *("ViT-B-16-plus-240", "ViT-L-14-CLIPA-336", "ViT-H-14-CLIPA", "ViT-H-14-worldwide-378"),
    *("RN50", "RN101", "RN50x4", "RN50-quickgelu"),
    *("convnext_base", "convnext_base_w", "convnext_large_d"),
    *("EVA01-g-14", "EVA02-B-16", "EVA02-L-14"),
    *("ViT-B-16-SigLIP", "ViT-SO400M-14-SigLIP", "ViT-B-16-SigLIP-i18n-256"),
    *("ViT-B-16-SigLIP2", "ViT-SO400M-16-SigLIP2-256"),
    *("MobileCLIP-S1", "MobileCLIP-B", "MobileCLIP2-S0", "MobileCLIP2-S3", "MobileCLIP2-L-14"),
    *("ViTamin-S",),
    *("coca_ViT-B-32", "coca_ViT-L-14"),
    *("nllb-clip-base", "nllb-clip-large-siglip", "xlm-roberta-base-ViT-B-32", "roberta-ViT-B-32"),
    *("PE-Core-T-16-384", "PE-Core-B-16"),
)
TIMM = (
    *("vit_small_patch14_dinov2.lvd142m", "vit_small_patch14_reg4_dinov2.lvd142m"),
    *("vit_base_patch16_224.augreg_in21k", "vit_base_patch16_siglip_224.webli"),
    *("deit3_small_patch16_224.fb_in22k_ft_in1k", "beit_base_patch16_224.in22k_ft_in22k", "beitv2_base_patch16_224"),
    *("eva02_tiny_patch14_224.mim_in22k", "swin_tiny_patch4_window7_224.ms_in22k", "swinv2_tiny_window8_256.ms_in1k"),
    *("convnext_atto.d2_in1k", "convnextv2_atto.fcmae", "resnet10t.c3_in1k", "resnet50.a1_in1k"),
    *("efficientnet_b0.ra_in1k", "mobilenetv3_small_100.lamb_in1k", "regnety_004.tv2_in1k"),
    *("mixer_s32_224", "xcit_nano_12_p16_224.fb_in1k", "cait_xxs24_224.fb_dist_in1k"),
    "maxvit_rmlp_pico_rw_256.sw_in1k",
    *("mobilevit_xxs.cvnets_in1k", "tiny_vit_5m_224.dist_in22k"),
)

PREPROCESSING = frozenset({"mean", "std", "interpolation", "resize_mode", "fill_color"})
SMALL = (  # what timm's builders take, of the names that begin so
    (r"^(vit|deit|eva|beit)", {"depth": 1, "embed_dim": 192, "num_heads": 3}),
    (r"^(mixer|cait|vit|deit|eva|beit)", {"depth": 1}),
    (r"^convnext", {"depths": (1, 1, 1, 1), "dims": (16, 32, 64, 128)}),
    (r"^swin", {"depths": (1, 1, 1, 1), "embed_dim": 24, "num_heads": (1, 2, 4, 8)}),
    (r"^fastvit_mci[0-2]", {"layers": (1, 1, 1, 1)}),
    (r"^fastvit_mci", {"layers": (1, 1, 1, 1, 1)}),
)


@contextmanager
def small() -> Iterator[None]:
    """timm's networks narrow and with one block a stage, where their builders take it: for us and for the library."""
    whole = timm.create_model

    def create(name: str, *args: Any, **options: Any) -> Any:
        for pattern, less in SMALL:
            if re.match(pattern, name.removeprefix("timm/")):
                try:
                    return whole(name, *args, **{**options, **less})
                except (TypeError, RuntimeError, AssertionError):  # this one has sizes of its own
                    continue
        return whole(name, *args, **options)

    with patch("timm.create_model", create), patch("open_clip.timm_model.timm.create_model", create):
        yield


def reduced(architecture: str) -> dict[str, Any]:
    """Its config with few and narrow layers."""
    config: dict[str, Any] = deepcopy(open_clip.get_model_config(architecture))
    vision = config["vision_cfg"]
    if isinstance(vision.get("layers"), list):
        vision.update(layers=[1, 1, 1, 1], width=16)
    elif "layers" in vision:
        head = vision.get("head_width", 64)
        vision.update(layers=1, width=2 * head)
        if vision.get("attentional_pool"):
            vision["attn_pooler_heads"] = 2
    for text in (config["text_cfg"], config.get("multimodal_cfg", {})):
        if "layers" in text:
            text.update(layers=1, width=64, heads=2)
    return config


def faces() -> list[np.ndarray]:
    """Smooth images of different shapes, of which none has the network's own."""
    random = np.random.default_rng(0)
    small = [Image.fromarray(random.integers(0, 256, (6, 5, 3), dtype=np.uint8)) for _ in range(4)]
    sizes = ((90, 120), (150, 100), (400, 380), (48, 48))
    return [np.array(face.resize(size, Image.Resampling.BICUBIC)) for face, size in zip(small, sizes, strict=True)]


def likeness(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The least cosine of rows, without what all have in common."""
    one, other = (rows - rows.mean(axis=0) for rows in (ours.astype(float), theirs.astype(float)))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / norms).min())


def open_clip_agreement(architecture: str, folder: Path) -> tuple[float, float]:
    """Least centred cosine of images and of texts with open_clip's own.

    Raises UsageError where the encoder is refused.
    """
    tag = next(iter(open_clip.list_pretrained_tags_by_model(architecture)), "")
    entry = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
    config = reduced(architecture)
    config["quick_gelu"] = bool(config.get("quick_gelu") or entry.get("quick_gelu"))
    needs_transformers(architecture, config["text_cfg"])
    if "hf_model_name" in config["text_cfg"]:  # refused before the weights are looked at
        loaded(
            EncoderRequest(
                name=f"{architecture}/{tag}".rstrip("/"), weights=saved(torch.nn.Linear(1, 1), folder), device="cpu"
            )
        )
    with small(), patch.dict(open_clip.factory._MODEL_CONFIGS, {architecture: config}):
        torch.manual_seed(0)
        model: Any = open_clip.create_model(architecture, load_weights=False).eval()
        weights = saved(model, folder)
        encoder = loaded(EncoderRequest(name=f"{architecture}/{tag}".rstrip("/"), weights=weights, device="cpu"))
        known = {name: value for name, value in entry.items() if name in PREPROCESSING}
        own = PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(size=model.visual.image_size), known))
        transform = image_transform_v2(own, is_train=False)
        with torch.inference_mode():
            pixels = torch.stack([transform(Image.fromarray(face)) for face in faces()])
            shown = model.encode_image(pixels, normalize=False)
            said = model.encode_text(open_clip.get_tokenizer(architecture)(list(TEXTS)), normalize=False)
        assert isinstance(encoder, TextEncoder)
        return likeness(encoded(encoder), shown.numpy()), likeness(encoder.encode_texts(TEXTS), said.numpy())


def timm_agreement(name: str, folder: Path) -> float:
    """Least centred cosine of images with timm's own."""
    with small():
        torch.manual_seed(0)
        model = timm.create_model(name, pretrained=False).eval()
        encoder = loaded(EncoderRequest(name=f"timm/{name}", weights=saved(model, folder), device="cpu"))
        model.reset_classifier(0)
        transform = create_transform(**resolve_model_data_config(model), is_training=False)
        with torch.inference_mode():
            shown = model(torch.stack([transform(Image.fromarray(face)) for face in faces()])).numpy()
        return likeness(encoded(encoder), shown)


def saved(model: torch.nn.Module, folder: Path) -> Path:
    """The weights of a network as a file."""
    path = folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path


def loaded(request: EncoderRequest) -> Any:
    """What `--encoder` and `--weights` make of it."""
    return registry.encoder_family(request.name).load(request)


def encoded(encoder: Any) -> np.ndarray:
    """(4, D) of `faces`."""
    features: np.ndarray = encoder.encode_images(np.stack([encoder.preprocess(face) for face in faces()]))
    return features


def table() -> Iterator[str]:
    """Lines of Markdown: every architecture with its agreement, or why it is refused here."""
    yield "| architecture | images | texts |"
    yield "|---|---|---|"
    for architecture in OPEN_CLIP:
        with tempfile.TemporaryDirectory() as folder:
            try:
                images, texts = open_clip_agreement(architecture, Path(folder))
                yield f"| `{architecture}` | {images:.6f} | {texts:.6f} |"
            except UsageError as error:
                yield f"| `{architecture}` | refused: {str(error)[:160]} | |"
    for name in TIMM:
        with tempfile.TemporaryDirectory() as folder:
            yield f"| `timm/{name}` | {timm_agreement(name, Path(folder)):.6f} | |"


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)
