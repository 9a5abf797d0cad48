"""Options of `fercache export`."""

from pathlib import Path

from fercache.options import Options, option


class ExportRequest(Options):
    """A trained model, or text similarity, as ONNX files.

    `int8` also writes a file with weights of 8 bits, and measures what it costs.
    """

    model: str = option(..., "Run (name or key), method (HEAD: the mean of its seeds), or zero-shot.", argument=True)
    out: Path = option(..., "Folder to write to.", metavar="DIR")
    int8: bool = option(False, "Also write a file with weights of 8 bits, a quarter of the size.")
