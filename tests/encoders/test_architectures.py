"""Every family of networks: features equal the library's own, on its own transform, or a refusal that says why."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from fercache.errors import UsageError
from tests.encoders.architectures import OPEN_CLIP, TIMM, open_clip_agreement, reduced, timm_agreement

LEAST = 0.9999
HAS_TRANSFORMERS = find_spec("transformers") is not None
REFUSAL = (
    r"The tokenizer of \S+, \S+, is not on this machine.*local-dir:FOLDER|The text tower of \S+ needs the config of"
    if HAS_TRANSFORMERS
    else r"reads text with Hugging Face's transformers, which is not installed: pip install 'fercache\[transformers\]'"
)
"""Of those whose tokenizers or towers are Hugging Face's: here nothing can be fetched."""


def of_hugging_face(architecture: str) -> bool:
    return not {"hf_model_name", "hf_tokenizer_name"}.isdisjoint(reduced(architecture)["text_cfg"])


def test_every_family_is_there() -> None:
    assert len(OPEN_CLIP) >= 40 and len(TIMM) >= 20
    families = ("quickgelu", "RN50", "convnext", "EVA02", "SigLIP-", "SigLIP2", "MobileCLIP-", "MobileCLIP2", "ViTamin")
    for family in (*families, "coca", "nllb", "xlm-roberta", "PE-Core", "CLIPA", "worldwide"):
        assert any(family in name for name in OPEN_CLIP), family


@pytest.mark.parametrize("architecture", [name for name in OPEN_CLIP if not of_hugging_face(name)])
def test_features_and_prompts_are_open_clips_own(architecture: str, tmp_path: Path) -> None:
    images, texts = open_clip_agreement(architecture, tmp_path)
    assert images >= LEAST and texts >= LEAST


@pytest.mark.parametrize("architecture", [name for name in OPEN_CLIP if of_hugging_face(name)])
def test_what_reads_text_with_another_library_says_how_to_get_it(architecture: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=REFUSAL):
        open_clip_agreement(architecture, tmp_path)


@pytest.mark.parametrize("name", TIMM)
def test_features_are_timms_own(name: str, tmp_path: Path) -> None:
    assert timm_agreement(name, tmp_path) >= LEAST
