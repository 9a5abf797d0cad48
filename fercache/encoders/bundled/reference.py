"""Is this device right? A few faces whose features are known are encoded on it, before anything else is.

`reference.safetensors` holds drawn faces (8, 64, 64, 3) uint8 and the bundled encoder's features of them (8, 512) in
fp32; `python -m fercache.encoders.bundled.reference` writes it again after the weights have changed.
"""

import sys
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from fercache import registry
from fercache.encoders import Encoder, EncoderRequest, NetworkEncoder, load_encoder
from fercache.encoders.bundled import Bundled
from fercache.encoders.bundled.weights import FOLDER
from fercache.errors import FercacheError
from fercache.runtime import precisions
from fercache.runtime.devices import resolve_device
from fercache.synthetic_faces import DOMAINS, EXPRESSIONS, draw, sample_face

FILE = FOLDER / "reference.safetensors"
FACES = 8


def load_checked(request: EncoderRequest) -> Encoder:
    """The encoder asked for, on a device whose features are right; see `trusted`. Raises UsageError as `load` does.

    Encoders that are no torch networks choose for themselves.
    """
    if issubclass(registry.encoder_family(request.name), NetworkEncoder):
        request, warning = trusted(request)
        if warning:
            print(f"warning: {warning}", file=sys.stderr)
    return load_encoder(request)


def trusted(request: EncoderRequest) -> tuple[EncoderRequest, str]:
    """The request, on a device whose features are right, and a warning where that is not the one that was meant.

    Where the device is `auto`, one that deviates gives way to the processor. Raises FercacheError for one that was
    named, and for a processor that deviates.
    """
    device = resolve_device(request.device)
    cosine = agreement(device)
    if precisions.agree(cosine):
        return request, ""
    told = f"{device} computes other features than it should: of known faces the least cosine is {cosine.min():.3f}"
    if request.device != "auto" or device == "cpu":
        raise FercacheError(f"{told}. What it computes cannot be relied on: check its drivers, or use --device cpu.")
    checked, _ = trusted(replace(request, device="cpu"))
    return checked, f"{told}; the processor is taken instead"


@cache
def agreement(device: str) -> NDArray[np.float32]:
    """(8,) cosines between the features that `device` computes in fp32 and those on record, centred."""
    known = load_file(FILE)
    features = Bundled.load(EncoderRequest(device=device, precision="fp32")).encode_images(known["faces"])
    return precisions.centred_cosine(features, known["features"])


def write() -> None:
    """Draws the faces and encodes them on the processor."""
    encoder = Bundled.load(EncoderRequest(device="cpu", precision="fp32"))
    drawn = (
        draw(sample_face(0, number, DOMAINS[number % len(DOMAINS)], EXPRESSIONS[number % len(EXPRESSIONS)]), 64)
        for number in range(FACES)
    )
    faces = np.stack(list(drawn))
    save_file({"faces": faces, "features": encoder.encode_images(faces)}, FILE)


if __name__ == "__main__":
    write()
