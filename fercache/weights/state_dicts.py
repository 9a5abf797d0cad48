"""Files of weights: read without running anything that is in them, and put into a network, or refused by name."""

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
"""Keys that a message names."""

INDEX = ".safetensors.index.json"
"""How the name of a file ends that lists, for each tensor, which of several files has it."""
_SHARD = re.compile(r"(.*)-\d{5}-of-\d{5}\.safetensors")

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module", "ema")
"""What training scripts call the entry that holds the weights; where several fit, the first of them counts."""

_DEEPEST = 4
"""Entries within entries, as in `checkpoint["ema"]["model"]["state_dict"]`."""

_COMPILED = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""What `torch.compile` and its like write into names, wherever the module that they wrap lies."""

_PARALLEL = "module"
"""What `DataParallel` writes, which is also a plain name."""

_PREFIXES = ("module.", "model.", "net.", "network.", "backbone.", "encoder.")
"""What training scripts write before all names; for files of which it is not known what names are wanted."""

_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
_WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint64, torch.uint32, torch.uint16, torch.uint8)
NUMBERS = frozenset((*_FLOATS, *_WHOLE, torch.bool))
"""Types that networks compute with, or that turn into such: not complex, quantised, or mere bits."""

State = dict[str, Tensor]


def read_state(path: Path, wanted: Collection[str] = ()) -> State:
    """Names and tensors, without what training scripts put around them: other entries, nested ones, prefixes of names.

    A prefix is whatever stands before the names of a network that are `wanted`.

    Raises UsageError for a file that is none of weights, or that holds code or other than plain tensors of numbers;
    FercacheError when it does not fit in memory.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file.")
    try:
        loaded = _read(path)
    except MemoryError:
        raise _too_large(path) from None
    except Exception as error:  # damaged files make unpickling raise nearly anything
        reason = first_line(error)
        if "allocate memory" in reason:
            raise _too_large(path) from None
        if isinstance(error, pickle.UnpicklingError):  # of which PyTorch says how to run what is in it
            reason = "it holds more than names and tensors (save `model.state_dict()` alone), or is damaged."
        elif isinstance(error, KeyError):  # whose text is no sentence
            reason = "it is damaged, or of another format than its name says."
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
            f"{path} holds other than plain tensors of real numbers: {listed(odd)}. Sparse, nested, quantised and "
            "complex ones, and ones without numbers, are not read; leave them out, or save the plain network's."
        )
    return state


def _too_large(path: Path) -> FercacheError:
    return FercacheError(f"{path} ({path.stat().st_size / 2**20:.0f} MiB) does not fit in memory.")


def _states(entry: object, place: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Every dictionary that holds named tensors, and where it lies, those first that scripts name so."""
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
    """Without what is in names wherever a module was compiled or spread over devices."""
    left_out = set(_COMPILED)
    if wanted and not any(_PARALLEL in name.split(".") for name in wanted):
        left_out.add(_PARALLEL)
    return {".".join(part for part in name.split(".") if part not in left_out): value for name, value in state.items()}


def _fitting(path: Path, found: Sequence[tuple[str, State]], wanted: Collection[str]) -> State:
    """The state below the place and prefix that has most of the `wanted` names; without them, the likeliest."""
    fits = [(count, place, prefix, state) for place, state in found for prefix, count in _prefixes(state, wanted)]
    most = max((count for count, *_ in fits), default=0)
    if 2 * most <= len(wanted) or not most:
        return without_prefix(found[0][1])
    best = [(place, prefix, state) for count, place, prefix, state in fits if count == most]
    place, prefix, state = best[0]
    others = [f"{p}{other}" for p, other, s in best[1:] if not _alike(s, other, state, prefix, wanted)]
    if others:
        print(f"warning: {path}: {place}{prefix} is read; {listed(others)} would fit as well", file=sys.stderr)
    below = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return {name: value for name, value in state.items() if not name.startswith(prefix)} | below


def _prefixes(state: State, wanted: Collection[str]) -> list[tuple[str, int]]:
    """What stands before `wanted` names, and before how many of them, the shortest first."""
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
    if tensor.is_nested:  # asked first, since such tensors cannot answer the rest
        return False
    return not tensor.is_meta and tensor.layout == torch.strided and tensor.dtype in NUMBERS


def fill(
    network: nn.Module,
    path: Path,
    name: str,
    adapt: Callable[[State, nn.Module], State] | None = None,
) -> list[str]:
    """Gives `network`, called `name` in messages, the weights of `path`; returns the keys that it has no use for.

    `adapt` renames and resizes what a library knows to. Raises UsageError, with the keys, when any of the network's own
    is missing or of another shape.
    """
    wanted = network.state_dict()
    state = read_state(path, wanted=wanted.keys())
    if adapt is not None:
        try:
            state = adapt(state, network)
        except (RuntimeError, KeyError, ValueError, TypeError, IndexError, AssertionError) as error:
            raise UsageError(f"{path} does not fit {name}: {first_line(error)}") from None
    # A counter that is of no use after training, and that older files lack.
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
    """SHA-256 of names, types, shapes and numbers, in hexadecimal; the order of the names does not count."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def without_prefix(state: Mapping[str, Tensor]) -> State:
    """The same without what `DataParallel` and training scripts write before every key."""
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
    """What an error says first, as a sentence."""
    return f"{(str(error).splitlines() or [type(error).__name__])[0].rstrip('.')}."


def weights_hash(path: Path) -> str:
    """SHA-256 of a file of weights; of an index, of it and all that it lists."""
    if not path.name.endswith(INDEX):
        return file_hash(path)
    digests = [file_hash(path), *(file_hash(shard) for shard in _shards(path))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _shards(index: Path) -> list[Path]:
    """The files that an index lists, by name. Raises ValueError for what is no index, and for a file that is absent."""
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
                # torch.save compresses nothing, and PyTorch would take the compressed bytes for numbers.
                raise ValueError("its records are compressed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about archives with code, which the error explains better
        # What torch.save wrote before it wrote archives cannot be mapped.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"
