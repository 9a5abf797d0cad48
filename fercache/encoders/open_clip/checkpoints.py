"""From `--encoder` and `--weights` to a model with its weights loaded.

No download is tried that cannot succeed, and no mismatch passes silently.
"""

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed, resize_text_pos_embed
from open_clip.pretrained import download_pretrained, download_pretrained_from_hf
from open_clip.transform import PreprocessCfg, merge_preprocess_dict

from fercache.encoders import OWN, slug
from fercache.encoders.open_clip import published
from fercache.encoders.open_clip.clip_encoder import Checkpoint
from fercache.encoders.open_clip.tokenizers import needs_transformers, tokenizer
from fercache.errors import UsageError, nearest
from fercache.weights.hub import HUB, fetched_before, reachable
from fercache.weights.key_names import way_out
from fercache.weights.state_dicts import INDEX, State, first_line, listed, read_state, weights_hash

SCHEMES = ("local-dir:", "hf-hub:")
CONFIG = "open_clip_config.json"
HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
OPENAI_MARKS = frozenset({"input_resolution", "context_length", "vocab_size"})  # extra entries of OpenAI's own files

UNUSED = "text_decoder."
"""CoCa's caption decoder."""
LAYERS = ("ln_final.weight", "visual.conv1.weight")
POSITIONS = "text.transformer.embeddings.position_ids"
"""A buffer of older text towers, which can be computed."""


@dataclass(frozen=True)
class WeightsSource:
    """A model config, the file of its weights, and the activation they need (None: unknown)."""

    name: str
    architecture: str
    config: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    weights: Path
    quick_gelu: bool | None
    tokenizer_of: str


def load(name: str, weights: Path | None, preset: str = OWN) -> Checkpoint:
    """The model of `--encoder` and `--weights`. Raises UsageError if they do not fit together.

    With a preprocessing `preset`, the weights' own preprocessing may be unknown.
    """
    source = find(name, weights, preset)
    config = dict(source.config)
    _check_activation(source, bool(config.get("quick_gelu", False)))
    model = _build(source)
    _load_weights(model, source)
    return Checkpoint(
        name=source.name,
        model=model,
        tokenizer=tokenizer(source.tokenizer_of, source.architecture, config),
        preprocessing=PreprocessCfg(
            **merge_preprocess_dict(PreprocessCfg(size=model.visual.image_size), source.preprocessing)
        ),
        dimension=int(config["embed_dim"]),
        origin={
            "family": "open_clip",
            "architecture": source.architecture,
            "config": config,
            "weights_sha256": weights_hash(source.weights),
            "activation": "quickgelu" if config.get("quick_gelu", False) else "gelu",
        },
    )


def find(name: str, weights: Path | None, preset: str = OWN) -> WeightsSource:
    """The source of config and weights: a folder, the hub, or a built-in architecture with a tag or a file."""
    if weights is not None and not weights.is_file():
        raise UsageError(f"--weights {weights}: no such file.")
    if name.startswith("local-dir:"):
        return _folder(Path(name.removeprefix("local-dir:")).expanduser(), weights)
    if name.startswith(SCHEMES) and weights is not None:
        raise UsageError(f"'{name}' has its own weights; omit --weights, or name an architecture: --encoder ViT-B-32.")
    if name.startswith("hf-hub:"):
        return _hub(name.removeprefix("hf-hub:"))
    architecture, _, tag = name.partition("/")
    config = open_clip.get_model_config(architecture)
    if config is None:
        raise UsageError(
            f"open_clip has no architecture '{architecture}'. {_few(architecture, open_clip.list_models())}"
        )
    if tag:
        return _tagged(architecture, tag, config, weights=weights)
    if weights is None:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        example = f"--encoder {architecture}/{tags[0]}, or " if tags else ""
        raise UsageError(f"'{architecture}' names no weights: add a tag ({example}--weights FILE). {_few('', tags)}")
    return _file(architecture, config, weights, preset=preset)


def not_here(name: str) -> str:
    """The URL of the weights, empty if they are on this machine. Does not use the network."""
    if name.startswith("local-dir:"):
        return ""
    entry = {"hf_hub": name.removeprefix("hf-hub:") + "/"}
    if not name.startswith("hf-hub:"):
        architecture, _, tag = name.partition("/")
        entry = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
    repository, _, filename = entry.get("hf_hub", "").rpartition("/")
    if repository:
        there = fetched_before(repository, (filename,) if filename else HUB_WEIGHTS)
        return "" if there else f"{HUB}/{repository}"
    url = str(entry.get("url", ""))
    return "" if not url or _cached(url).is_file() else url


def _cached(url: str) -> Path:
    return Path.home() / ".cache" / "clip" / Path(url).name


def _few(name: str, known: list[str]) -> str:
    return nearest(name, known) if len(known) <= 12 or not name else nearest(name, known).split(" Known:")[0]


def _tagged(architecture: str, tag: str, config: dict[str, Any], weights: Path | None) -> WeightsSource:
    """A tag implies activation and preprocessing; its weights may be in a local file."""
    known = open_clip.list_pretrained_tags_by_model(architecture)
    if tag not in known:
        raise UsageError(f"open_clip has no weights '{tag}' for {architecture}. {_few(tag, known)}")
    entry = open_clip.get_pretrained_cfg(architecture, tag)
    said = entry.get("quick_gelu")
    quick_gelu = bool(config.get("quick_gelu", False) if said is None else said)  # as open_clip builds it
    if not config.get("quick_gelu", False):
        config = {**config, "quick_gelu": quick_gelu}
    source = f"{architecture}/{tag}"
    return WeightsSource(
        slug(architecture, tag),
        architecture,
        config,
        preprocessing=entry,
        weights=weights or _fetched(source, entry),
        quick_gelu=quick_gelu,
        tokenizer_of=architecture,
    )


def _file(architecture: str, config: Mapping[str, Any], weights: Path, preset: str) -> WeightsSource:
    """A file of weights: described by a config beside it, by a known file name, or not at all."""
    beside = weights.with_name(CONFIG)
    quick_gelu: bool | None = None
    preprocessing: Mapping[str, Any] = {}
    if beside.is_file():
        own = _read_config(beside)
        quick_gelu, preprocessing = bool(own["model_cfg"].get("quick_gelu", False)), own.get("preprocess_cfg", {})
    else:
        known = published.of_file(architecture, weights.name)
        if known is None:
            published.refuse_ambiguous(architecture, weights, any_preprocessing=preset != OWN)
        else:
            quick_gelu, preprocessing = bool(known.get("quick_gelu", False)), known
    return WeightsSource(
        slug(architecture, weights.stem),
        architecture,
        config,
        preprocessing=preprocessing,
        weights=weights,
        quick_gelu=quick_gelu,
        tokenizer_of=architecture,
    )


def _folder(folder: Path, weights: Path | None) -> WeightsSource:
    if not (folder / CONFIG).is_file():
        raise UsageError(
            f"local-dir:{folder} holds no {CONFIG}. Expected a folder saved by open_clip: config and weights."
        )
    own = _read_config(folder / CONFIG)
    name = folder.resolve().name
    return WeightsSource(
        slug(name) if weights is None else slug(name, weights.stem),
        name,
        own["model_cfg"],
        preprocessing=own.get("preprocess_cfg", {}),
        weights=weights or _weights_in(folder),
        quick_gelu=None,
        tokenizer_of=f"local-dir:{folder}",
    )


def _weights_in(folder: Path) -> Path:
    """The one file of weights in a folder. Raises UsageError for none, and for several without a usual name."""
    usual = [folder / name for name in HUB_WEIGHTS if (folder / name).is_file()]
    index = sorted(folder.glob("*" + INDEX))
    there = usual[:1] or index or sorted(path for path in folder.iterdir() if path.suffix in WEIGHT_SUFFIXES)
    if not there:
        raise UsageError(f"local-dir:{folder} holds no weights. Expected {HUB_WEIGHTS[0]} beside {CONFIG}.")
    if len(there) > 1:
        raise UsageError(
            f"local-dir:{folder} holds several files of weights: {', '.join(path.name for path in there)}. Choose one: "
            f"--encoder local-dir:{folder} --weights {there[0]}"
        )
    return there[0]


def _hub(repository: str) -> WeightsSource:
    how = f"Put {CONFIG} and the weights into a folder and pass --encoder local-dir:FOLDER."
    config_file = _from_hub(repository, (CONFIG,), how)
    own = _read_config(config_file)
    weights = _from_hub(repository, HUB_WEIGHTS, how)
    return WeightsSource(
        slug(repository),
        repository,
        own["model_cfg"],
        preprocessing=own.get("preprocess_cfg", {}),
        weights=weights,
        quick_gelu=None,
        tokenizer_of=f"hf-hub:{repository}",
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        own = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(own["model_cfg"], dict):
            raise TypeError("model_cfg is not a table")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is not an open_clip config: {error}. Expected JSON with an entry 'model_cfg'."
        ) from None
    return dict(own)


def _fetched(source: str, entry: Mapping[str, Any]) -> Path:
    """The file of a tag's weights, from the cache or the network."""
    repository, _, filename = entry.get("hf_hub", "").rpartition("/")
    how = f"Pass it as: --encoder {source} --weights FILE"
    if repository:
        return _from_hub(repository, (filename,) if filename else HUB_WEIGHTS, how)
    url = entry["url"]
    if not _cached(url).is_file() and not reachable(url):
        raise UsageError(
            f"The weights of {source} are not on this machine and the network does not answer. "
            f"Fetch {url} elsewhere. {how}"
        )
    return Path(download_pretrained(dict(entry), prefer_hf_hub=False))


def _from_hub(repository: str, filenames: tuple[str, ...], how: str) -> Path:
    cached = fetched_before(repository, filenames)
    if cached is not None:
        return cached
    url = f"{HUB}/{repository}/resolve/main/{filenames[0]}"
    if not reachable(HUB):
        raise UsageError(f"{repository} is not on this machine and {HUB} does not answer. Fetch {url} elsewhere. {how}")
    try:
        return Path(download_pretrained_from_hf(repository, filename=filenames[-1]))
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{url} cannot be fetched: {first_line(error)}. {how}") from None


def _check_activation(source: WeightsSource, built: bool) -> None:
    """Raises UsageError when the weights are known to need the other activation."""
    if source.quick_gelu is None or source.quick_gelu == built:
        return
    names = {True: "QuickGELU", False: "GELU"}
    plain = source.architecture.removesuffix("-quickgelu")
    remedy = f"Use --encoder {plain}-quickgelu." if source.quick_gelu else f"Use --encoder {plain}."
    if source.tokenizer_of.startswith(SCHEMES):  # whose config says what is built
        remedy = f'Write "quick_gelu": {str(source.quick_gelu).lower()} into model_cfg of {CONFIG}.'
    raise UsageError(
        f"{source.weights.name} was trained with {names[source.quick_gelu]}, "
        f"but {source.architecture} computes {names[built]}: "
        f"its features would be silently wrong. {remedy}"
    )


def _build(source: WeightsSource) -> Any:
    """The model of a config with random weights, without downloads. Raises UsageError for a wrong config."""
    config = deepcopy(dict(source.config))
    try:
        config["vision_cfg"]["timm_model_pretrained"] = False
        config["text_cfg"]["hf_model_pretrained"] = False
        _refuse_unreachable_tower(source.architecture, config["text_cfg"].get("hf_model_name"))
        custom_text = config.pop("custom_text", False) or "hf_model_name" in config["text_cfg"]
        if "multimodal_cfg" in config:
            return open_clip.CoCa(**config)
        return (open_clip.CustomTextCLIP if custom_text else open_clip.CLIP)(**config)
    except (RuntimeError, KeyError, TypeError, AttributeError, ValueError, AssertionError, OSError) as error:
        needs_transformers(source.architecture, config.get("text_cfg"))
        wrong = f"has no entry {error}" if isinstance(error, KeyError) else first_line(error)
        raise UsageError(
            f"open_clip cannot build the config of {source.architecture}: {wrong} Expected model_cfg with embed_dim, "
            "vision_cfg and text_cfg, as open_clip saves it."
        ) from None


def _refuse_unreachable_tower(architecture: str, name: str | None) -> None:
    """Raises UsageError for a Hugging Face text tower that is not on this machine: loading would try for minutes."""
    if name and not Path(name).is_dir() and fetched_before(name, ("config.json",)) is None and not reachable(HUB):
        raise UsageError(
            f"The text tower of {architecture} needs the config of {name} from {HUB}, which does not answer. Load it "
            "once with a network connection, and copy its cache (~/.cache/huggingface) here."
        )


def _load_weights(model: torch.nn.Module, source: WeightsSource) -> None:
    path = source.weights
    state = read_state(path, wanted=model.state_dict().keys())
    if OPENAI_MARKS & state.keys() and not source.config.get("quick_gelu", False):
        _check_activation(WeightsSource(**{**vars(source), "quick_gelu": True}), False)
    _warn_of_activation(state, source)
    try:
        state = _adapted(state, model)
        _forget_weights(model)
        missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    except (RuntimeError, KeyError, AttributeError, TypeError, ValueError, AssertionError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UsageError(f"{path} does not fit {source.architecture}: {'; '.join(lines[-4:])}") from None
    computed = {name for name, _ in model.named_buffers()}  # in archives, but not in state dicts
    unexpected = [key for key in unexpected if key not in OPENAI_MARKS | computed]
    if missing or unexpected:
        remedy = "Name the architecture that the weights were saved from: --encoder ARCHITECTURE."
        raise UsageError(
            f"{path} does not fit {source.architecture}: missing {listed(missing)}; unexpected {listed(unexpected)}. "
            f"{way_out(state, 'open_clip') or remedy}"
        )
    model.float()
    used = {name: value for name, value in model.state_dict().items() if not name.startswith(UNUSED)}
    wrong = [name for name, value in used.items() if not value.isfinite().all()]
    if wrong:
        raise UsageError(f"{path} holds weights that are NaN or infinite: {listed(wrong)}. Use another file.")


def _warn_of_activation(state: State, source: WeightsSource) -> None:
    """Warns of fine-tuned copies of OpenAI's weights, which lack their marks but keep their mix of precisions."""
    halves = {name.endswith("ln_final.weight"): value.dtype for name, value in state.items() if name.endswith(LAYERS)}
    other = f"{source.architecture}-quickgelu"
    unknown = source.quick_gelu is None and not source.config.get("quick_gelu", False)
    if unknown and halves == {True: torch.float32, False: torch.float16} and other in open_clip.list_models():
        print(
            f"warning: {source.weights} does not state its activation, and has the precisions of OpenAI's models. "
            f"If it was fine-tuned from one of them, use --encoder {other}.",
            file=sys.stderr,
        )


def _adapted(state: State, model: Any) -> State:
    """The state dict as open_clip itself adapts it: older and foreign names, other sizes of images and texts."""
    state = convert_state_dict(model, state)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    if getattr(model, "logit_bias", None) is not None and "logit_bias" not in state and "logit_scale" in state:
        state["logit_bias"] = torch.zeros_like(state["logit_scale"])  # only SigLIP models train it
    for name in ("logit_scale", "logit_bias"):  # a scalar, or a list of one
        if name in state and getattr(model, name, None) is not None:
            state[name] = state[name].reshape(getattr(model, name).shape)
    if POSITIONS not in model.state_dict():
        state.pop(POSITIONS, None)
    resize_pos_embed(state, model)
    resize_text_pos_embed(state, model)
    return state


def _forget_weights(model: torch.nn.Module) -> None:
    """Frees the random weights before the file's are loaded, so that a large model is never in memory twice."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, torch.nn.Parameter(parameter.to("meta"), requires_grad=False))
