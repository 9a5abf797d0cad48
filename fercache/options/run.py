"""Options of `fercache run`."""

from fercache.options import EngineOptions, device_option


class RunOptions(EngineOptions):
    """Where the steps of an experiment compute."""

    device: str = device_option()
