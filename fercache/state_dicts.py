"""Files of weights: read without running anything that is in them, and put into a network, or refused by name."""

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from fercache.errors import FercacheError, UsageError

NAMED = 6
"""Keys that a message names."""

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""What training scripts call the entry that holds the weights."""

_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
_WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint64, torch.uint32, torch.uint16, torch.uint8)
NUMBERS = frozenset((*_FLOATS, *_WHOLE, torch.bool))
"""Types that networks compute with, or that turn into such: not complex, quantised, or mere bits."""

State = dict[str, Tensor]


def read_state(path: Path, device: str = "cpu") -> State:
    """Names and tensors; on the device `meta` without their numbers. What training scripts put beside them is left out.

    Raises UsageError for a file that is none of weights, or that holds code or other than plain tensors of numbers;
    FercacheError when it does not fit in memory.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file.")
    try:
        loaded = _read(path, device)
    except MemoryError:
        raise FercacheError(f"{path} ({path.stat().st_size / 2**20:.0f} MiB) does not fit in memory.") from None
    except Exception as error:  # damaged files make unpickling raise nearly anything
        reason = first_line(error)
        if isinstance(error, pickle.UnpicklingError):  # of which PyTorch says how to run what is in it
            reason = "it holds more than names and tensors (save `model.state_dict()` alone), or is damaged."
        elif isinstance(error, KeyError):  # whose text is no sentence
            reason = "it is damaged, or of another format than its name says."
        raise UsageError(
            f"{path} cannot be read as weights: {reason} Expected .safetensors, or a state dict saved with "
            "torch.save; archives with code in them (TorchScript, OpenAI's own .pt) are not opened: "
            "fetch the .safetensors instead."
        ) from None
    entries = loaded if isinstance(loaded, dict) else {}
    entries = next((entries[name] for name in WRAPPERS if isinstance(entries.get(name), dict)), entries)
    state = {name: value for name, value in entries.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not state:
        found = f"{type(loaded).__name__} of {listed(map(str, entries))}" if entries else type(loaded).__name__
        raise UsageError(f"{path} is not a state dict: expected names and tensors, found {found}.")
    odd = [name for name, tensor in state.items() if not _is_plain(tensor, device)]
    if odd:
        raise UsageError(
            f"{path} holds other than plain tensors of real numbers: {listed(odd)}. Sparse, nested, quantised and "
            "complex ones, and ones without numbers, are not read; leave them out, or save the plain network's."
        )
    return state


def _is_plain(tensor: Tensor, device: str) -> bool:
    if tensor.is_nested:  # asked first, since such tensors cannot answer the rest
        return False
    has_numbers = device == "meta" or not tensor.is_meta
    return has_numbers and tensor.layout == torch.strided and tensor.dtype in NUMBERS


def fill(
    network: nn.Module,
    path: Path,
    name: str,
    adapt: Callable[[State, nn.Module], State] | None = None,
) -> list[str]:
    """Gives `network`, called `name` in messages, the weights of `path`; returns the keys that it has no use for.

    Prefixes that all keys share, as wrappers write them, are left out; `adapt` renames and resizes what a library knows
    to. Raises UsageError, with the keys, when any of the network's own is missing or of another shape.
    """
    state = without_prefix(read_state(path))
    if adapt is not None:
        try:
            state = adapt(state, network)
        except (RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
            raise UsageError(f"{path} does not fit {name}: {first_line(error)}") from None
    wanted = network.state_dict()
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
        raise UsageError(f"{path} does not fit {name}: {wrong}.{known} Name the network that it was saved from.")
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
    for prefix in ("module.", "model.", "backbone.", "encoder."):
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


def _read(path: Path, device: str) -> object:
    if path.suffix == ".safetensors":
        return load_file(path, device) if device != "meta" else _names_only(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                # torch.save compresses nothing, and PyTorch would take the compressed bytes for numbers.
                raise ValueError("its records are compressed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about archives with code, which the error explains better
        # What torch.save wrote before it wrote archives cannot be mapped.
        return torch.load(path, map_location=device, weights_only=True, mmap=zipfile.is_zipfile(path))


def _names_only(path: Path) -> State:
    with safe_open(path, framework="pt") as stream:
        return {key: torch.empty(0, device="meta") for key in stream.keys()}  # noqa: SIM118 - it is no dictionary


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"
