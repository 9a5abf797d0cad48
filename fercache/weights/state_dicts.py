"""Files of weights: read without running their code, and loaded into a network, or refused with the wrong keys."""

import hashlib
import json
import pickle
import re
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fercache.errors import FercacheError, UsageError
from fercache.identity import file_hash
from fercache.weights import torchscript
from fercache.weights.key_names import way_out

NAMED = 6
"""Keys named in a message."""

INDEX = ".safetensors.index.json"
"""Suffix of the index of a sharded file, which lists the file of each tensor."""
_SHARD = re.compile(r"(.*)-\d{5}-of-\d{5}\.safetensors")

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module", "ema")
"""Usual names of the entry with the weights; the first one present is used."""

_DEEPEST = 4
"""Entries within entries, as in `checkpoint["ema"]["model"]["state_dict"]`."""

_COMPILED = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""What `torch.compile` and others insert into names, at any level."""

_PARALLEL = "module"
"""The prefix of `DataParallel`, which is also an ordinary name."""

_PREFIXES = ("module.", "model.", "net.", "network.", "backbone.", "encoder.")
"""Usual prefixes of training scripts, for files whose expected names are unknown."""

_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
_WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint64, torch.uint32, torch.uint16, torch.uint8)
NUMBERS = frozenset((*_FLOATS, *_WHOLE, torch.bool))
"""Types that networks compute with or convert: not complex, quantised, or raw bits."""

State = dict[str, Tensor]


def read_state(path: Path, wanted: Collection[str] = ()) -> State:
    """Names and tensors, without the wrapping of training scripts: other entries, nesting, prefixes of names.

    A prefix is whatever precedes the `wanted` names of a network.

    Raises UsageError for a file without weights, with code, or with anything but plain tensors of numbers;
    FercacheError if it does not fit in memory.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file.")
    try:
        loaded = _read(path)
    except MemoryError:
        raise _too_large(path) from None
    except Exception as error:  # unpickling raises nearly anything on damaged files
        reason = first_line(error)
        if "allocate memory" in reason:
            raise _too_large(path) from None
        if isinstance(error, pickle.UnpicklingError):  # PyTorch's message explains how to run the code
            reason = "it holds more than names and tensors (save `model.state_dict()` alone), or is damaged."
        elif isinstance(error, KeyError):  # its text is not a sentence
            reason = "it is damaged, or its format does not match its name."
        raise UsageError(
            f"{path} cannot be read as weights: {reason} Expected .safetensors, the {INDEX.removeprefix('.')} of a "
            "sharded file, a state dict saved with torch.save, or a TorchScript archive such as OpenAI's."
        ) from None
    found = [(place, _plainly_named(state, wanted)) for place, state in _states(loaded)]
    if not found:
        entries = f" of {listed(map(str, loaded))}" if isinstance(loaded, dict) and loaded else ""
        about = f"{type(loaded).__name__}{entries}"
        raise UsageError(f"{path} is not a state dict: expected names and tensors, found {about}.")
    state = _fitting(path, found, wanted)
    odd = [name for name, tensor in state.items() if not _is_plain(tensor)]
    if odd:
        raise UsageError(
            f"{path} holds more than plain tensors of real numbers: {listed(odd)}. Sparse, nested, quantised, complex "
            "and meta tensors are not read; leave them out, or save the plain network's."
        )
    return state


def _too_large(path: Path) -> FercacheError:
    return FercacheError(f"{path} ({path.stat().st_size / 2**20:.0f} MiB) does not fit in memory.")


def _states(entry: object, place: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Every dictionary of named tensors, with its place; those with usual names first."""
    if not isinstance(entry, Mapping) or depth > _DEEPEST:
        return
    named = {name: value for name, value in entry.items() if isinstance(name, str)}
    for name in WRAPPERS:
        yield from _states(named.get(name), f"{place}{name}/", depth + 1)
    state = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    if state:
        yield place, state
    for name in (name for name in named if name not in WRAPPERS):
        yield from _states(named[name], f"{place}{name}/", depth + 1)


def _plainly_named(state: State, wanted: Collection[str]) -> State:
    """Names without the parts inserted for compiled or distributed modules."""
    left_out = set(_COMPILED)
    if wanted and not any(_PARALLEL in name.split(".") for name in wanted):
        left_out.add(_PARALLEL)
    return {".".join(part for part in name.split(".") if part not in left_out): value for name, value in state.items()}


def _fitting(path: Path, found: Sequence[tuple[str, State]], wanted: Collection[str]) -> State:
    """The state at the place and prefix with most of the `wanted` names; without `wanted`, the likeliest."""
    fits = [(count, place, prefix, state) for place, state in found for prefix, count in _prefixes(state, wanted)]
    most = max((count for count, *_ in fits), default=0)
    if 2 * most <= len(wanted) or not most:
        return without_prefix(found[0][1])
    best = [(place, prefix, state) for count, place, prefix, state in fits if count == most]
    place, prefix, state = best[0]
    others = [f"{p}{other}" for p, other, s in best[1:] if not _alike(s, other, state, its=prefix, wanted=wanted)]
    if others:
        print(f"warning: {path}: reading {place}{prefix}; {listed(others)} would fit as well", file=sys.stderr)
    below = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return {name: value for name, value in state.items() if not name.startswith(prefix)} | below


def _prefixes(state: State, wanted: Collection[str]) -> list[tuple[str, int]]:
    """The prefixes of `wanted` names, and how many names have each, the shortest first."""
    counts: Counter[str] = Counter()
    for name in state:
        parts = name.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in wanted:
                counts["".join(f"{part}." for part in parts[:cut])] += 1
    return sorted(counts.items(), key=lambda pair: len(pair[0]))


def _alike(one: State, prefix: str, other: State, its: str, wanted: Collection[str]) -> bool:
    return all(one.get(prefix + name) is other.get(its + name) for name in wanted)


def _is_plain(tensor: Tensor) -> bool:
    if tensor.is_nested:  # checked first: such tensors do not support the other checks
        return False
    return not tensor.is_meta and tensor.layout == torch.strided and tensor.dtype in NUMBERS


def fill(
    network: nn.Module,
    path: Path,
    name: str,
    adapt: Callable[[State, nn.Module], State] | None = None,
) -> list[str]:
    """Loads the weights of `path` into `network`, called `name` in messages; returns the unused keys.

    `adapt` renames and resizes as the library does. Raises UsageError with the keys if any of the network's own is
    missing or of another shape.
    """
    wanted = network.state_dict()
    state = read_state(path, wanted=wanted.keys())
    if adapt is not None:
        try:
            state = adapt(state, network)
        except (RuntimeError, KeyError, ValueError, TypeError, IndexError, AssertionError) as error:
            raise UsageError(f"{path} does not fit {name}: {first_line(error)}") from None
    # A counter that is not used after training, and that older files lack.
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    shapes = [
        f"{key} has {_shape(state[key])} instead of {_shape(wanted[key])}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if missing or shapes:
        problems = [f"missing {listed(missing)}"] if missing else []
        problems += [f"of another shape: {listed(shapes)}"] if shapes else []
        known = f" The file has {listed(state)}." if wanted.keys().isdisjoint(state) else ""
        wrong = "; ".join(problems)
        remedy = way_out(state, "timm") or "Name the network that it was saved from."
        raise UsageError(f"{path} does not fit {name}: {wrong}.{known} {remedy}")
    network.load_state_dict({key: value for key, value in state.items() if key in wanted}, strict=False)
    return [key for key in state if key not in wanted]


def state_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and numbers, in hexadecimal, whatever the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def without_prefix(state: Mapping[str, Tensor]) -> State:
    """The same without the prefixes of `DataParallel` and training scripts."""
    for prefix in _PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            return without_prefix({key.removeprefix(prefix): value for key, value in state.items()})
    return dict(state)


def listed(keys: Iterable[str]) -> str:
    """The first few keys, and how many more there are."""
    names = list(keys)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}" if names else "none"


def first_line(error: Exception) -> str:
    """The first line of an error, as a sentence."""
    return f"{(str(error).splitlines() or [type(error).__name__])[0].rstrip('.')}."


def weights_hash(path: Path) -> str:
    """SHA-256 of a file of weights; for an index, of it and all its files."""
    if not path.name.endswith(INDEX):
        return file_hash(path)
    digests = [file_hash(path), *(file_hash(shard) for shard in _shards(path))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _shards(index: Path) -> list[Path]:
    """The files that an index lists, by name. Raises ValueError for a malformed index, and for an absent file."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it lists no files ({type(error).__name__}).") from None
    absent = [name for name in names if Path(name).name != name or not (index.parent / name).is_file()]
    if absent:
        raise ValueError(f"{listed(absent)} of its {len(names)} files are not beside it.")
    return [index.parent / name for name in names]


def _read(path: Path) -> object:
    if path.name.endswith(INDEX):
        return {name: value for shard in _shards(path) for name, value in load_file(shard).items()}
    if shard := _SHARD.fullmatch(path.name):
        raise ValueError(f"it is one of several files. Name their index, --weights {shard[1]}{INDEX}.")
    if path.suffix == ".safetensors":
        return load_file(path)
    if zipfile.is_zipfile(path):
        if torchscript.is_archive(path):
            return torchscript.read(path)
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                # torch.save never compresses, and PyTorch would read the compressed bytes as numbers.
                raise ValueError("its records are compressed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about archives with code; the error is clearer
        # Files of torch.save from before it wrote archives cannot be mapped.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"
