"""Which device to compute on."""

from fercache.errors import UsageError, nearest

DEVICES = ("auto", "cuda", "mps", "cpu")


def resolve_device(name: str) -> str:
    """`auto` -> the fastest device there is. Raises UsageError for one that is asked for and cannot be had.

    Also makes this process treat numbers below 1e-38 as zero. Masks close to zero drive Adam's averages there, where
    processors are slow: sigmoid-mask's eighth epoch on FERPlus took 8.7 s instead of 1.1 s. Threads inherit this when
    they start, so it has to come before the first computation.
    """
    import torch

    torch.set_flush_denormal(True)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, available in there.items() if available)
    kind = name.partition(":")[0]
    if kind not in there:
        raise UsageError(f"'{name}' is not a device. {nearest(name, DEVICES)}")
    if not there[kind]:
        raise UsageError(
            f"--device {name} was asked for, but this machine's PyTorch finds none. Use --device auto or cpu."
        )
    return name
