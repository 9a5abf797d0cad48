"""The device to compute on."""

from fercache.errors import UsageError, nearest

DEVICES = ("auto", "cuda", "mps", "cpu")


def resolve_device(name: str) -> str:
    """`auto` -> the fastest device available. Raises UsageError for an unavailable one."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, available in there.items() if available)
    kind = name.partition(":")[0]
    if kind not in there:
        raise UsageError(f"'{name}' is not a device. {nearest(name, DEVICES)}")
    if not there[kind]:
        raise UsageError(f"--device {name}: PyTorch finds no such device on this machine. Use --device auto or cpu.")
    return name
