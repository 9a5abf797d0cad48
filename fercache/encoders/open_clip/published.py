"""Activation and preprocessing of an architecture's published weights, from open_clip's list."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import open_clip
from open_clip.transform import PreprocessCfg, merge_preprocess_dict

from fercache.errors import UsageError

QUICK = "-quickgelu"
NAMED = 4
"""Kinds of weights named in a message."""

_DEFAULT = PreprocessCfg(size=224)

Kind = tuple[bool, str]
"""QuickGELU or GELU, and the preprocessing in words."""


def of_file(architecture: str, name: str) -> Mapping[str, Any] | None:
    """The entry of the published weights with this file name, or None."""
    found = None
    for model, tag in open_clip.list_pretrained():
        entry: Mapping[str, Any] = open_clip.get_pretrained_cfg(model, tag)
        if entry.get("url", "").endswith(f"/{name}") and model.startswith(architecture.removesuffix(QUICK)):
            found = entry
    return found


def refuse_ambiguous(architecture: str, weights: Path, any_preprocessing: bool = False) -> None:
    """Raises UsageError if the architecture's published weights are of several kinds, or not of open_clip's default.

    A file without a config could be any of them, and its features would be silently wrong.
    """
    kinds: dict[Kind, str] = {}
    for name in (architecture, architecture.removesuffix(QUICK)):
        for tag in open_clip.list_pretrained_tags_by_model(name):
            kinds.setdefault(_kind(name, tag, any_preprocessing), f"{name}/{tag}")
    if architecture.endswith(QUICK):  # implies the activation
        kinds = {kind: name for kind, name in kinds.items() if kind[0]}
    if set(kinds) <= {(architecture.endswith(QUICK), "" if any_preprocessing else _words(_DEFAULT))}:
        return
    listed = [
        f"--encoder {name} ({'QuickGELU' if quick else 'GELU'}{', ' * bool(words)}{words})"
        for (quick, words), name in kinds.items()
    ]
    more = f", and {len(listed) - NAMED} kinds more" if len(listed) > NAMED else ""
    raise UsageError(
        f"{weights} does not state its activation and preprocessing, and the published weights of {architecture} have "
        f"{', '.join(listed[:NAMED])}{more}. Name the one it is, or was fine-tuned from, and --weights {weights}; or "
        "put its open_clip_config.json beside it."
    )


def _kind(architecture: str, tag: str, any_preprocessing: bool) -> Kind:
    entry = dict(open_clip.get_pretrained_cfg(architecture, tag))
    quick_gelu = bool(entry.get("quick_gelu", False)) or architecture.endswith(QUICK)
    if any_preprocessing:
        return quick_gelu, ""
    known = {name: value for name, value in entry.items() if name in asdict(_DEFAULT) and name != "size"}
    return quick_gelu, _words(PreprocessCfg(**merge_preprocess_dict(_DEFAULT, known)))


def _words(preprocessing: PreprocessCfg) -> str:
    mean = "/".join(f"{value:.3g}" for value in preprocessing.mean)
    return f"mean {mean}, {preprocessing.interpolation}, {preprocessing.resize_mode}"
