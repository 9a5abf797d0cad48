"""Options of `fercache bench train` and `fercache bench extract`."""

from typing import Annotated

from pydantic import Field

from fercache.options import Options, option
from fercache.options.extract import EncoderRequest

WHOLE_EPOCHS = 60
"""Epochs of the papers' training."""


class TrainingBenchRequest(Options):
    """How to train sigmoid-mask on random features; `crops` is the side of random crops, for trunks on pixels."""

    batch_sizes: tuple[Annotated[int, Field(ge=2)], ...] = option(
        (32, 128, 512), "Batch size; repeatable.", flag="batch-size", shown="32, 128, 512"
    )
    epochs: int = option(WHOLE_EPOCHS, f"Epochs to time; times are scaled to {WHOLE_EPOCHS}.", ge=1)
    faces: int = option(12271, "Number of random faces.", ge=2)
    dimension: int = option(512, "Dimension of the random features.", ge=7)
    trunk: str = option("mlp", "mlp, or a timm backbone such as resnet18, with --crops.")
    crops: int | None = option(None, "Side of the random crops in pixels.", ge=1)
    rounds: int = option(3, "Number of rounds, each with its seed; the fastest counts.", ge=1)


class ExtractionBenchRequest(Options):
    """How many synthetic images to encode, and with which encoder."""

    images: int = option(512, "Number of synthetic images, 48 to 224 pixels.", ge=2)
    rounds: int = option(3, "Number of rounds; the fastest counts.", ge=1)
    encoder: EncoderRequest = EncoderRequest()
