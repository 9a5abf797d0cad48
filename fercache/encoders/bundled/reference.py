"""A check of the device: a few faces with known features are encoded before anything else.

`reference.safetensors` holds synthetic faces (8, S, S, 3) uint8 and the bundled encoder's features of them (8, 512)
in fp32; run `python -m fercache.encoders.bundled.reference` to rewrite it after the weights change.
"""

import sys
from functools import cache

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from fercache import registry
from fercache.encoders import Encoder, NetworkEncoder, load_encoder
from fercache.encoders.bundled import Bundled
from fercache.encoders.bundled.weights import FOLDER
from fercache.errors import FercacheError
from fercache.options.extract import EncoderRequest
from fercache.runtime import precisions
from fercache.runtime.devices import resolve_device
from fercache.synthetic_faces import DOMAINS, EXPRESSIONS, draw, sample_face

FILE = FOLDER / "reference.safetensors"
FACES = 8


def load_checked(request: EncoderRequest) -> Encoder:
    """The requested encoder, on a device with correct features; see `trusted`. Raises UsageError as `load` does.

    Encoders that are not torch networks choose their own device.
    """
    if issubclass(registry.encoder_family(request.name), NetworkEncoder):
        request, warning = trusted(request)
        if warning:
            print(f"warning: {warning}", file=sys.stderr)
    return load_encoder(request)


def trusted(request: EncoderRequest) -> tuple[EncoderRequest, str]:
    """The request on a device with correct features, and a warning if that is not the intended device.

    Device `auto` falls back to the processor. Raises FercacheError if a named device, or the processor, is wrong.
    """
    device = resolve_device(request.device)
    cosine = agreement(device)
    if precisions.agree(cosine):
        return request, ""
    problem = f"{device} computes wrong features: the least cosine of known faces is {cosine.min():.3f}"
    if request.device != "auto" or device == "cpu":
        remedy = "reinstall PyTorch" if device == "cpu" else "check its drivers, or use --device cpu"
        raise FercacheError(f"{problem}. Its results cannot be trusted: {remedy}.")
    checked, _ = trusted(request.but(device="cpu"))
    return checked, f"{problem}; using the processor instead"


@cache
def agreement(device: str) -> NDArray[np.float32]:
    """(8,) cosines between the features that `device` computes in fp32 and the reference, centred."""
    known = load_file(FILE)
    features = Bundled.load(EncoderRequest(device=device, precision="fp32")).encode_images(known["faces"])
    return precisions.centred_cosine(features, known["features"])


def write() -> None:
    """Renders the faces and encodes them on the processor."""
    encoder = Bundled.load(EncoderRequest(device="cpu", precision="fp32"))
    drawn = (
        draw(
            sample_face(0, number, DOMAINS[number % len(DOMAINS)], expression=EXPRESSIONS[number % len(EXPRESSIONS)]),
            encoder.image_size,
        )
        for number in range(FACES)
    )
    faces = np.stack(list(drawn))
    save_file({"faces": faces, "features": encoder.encode_images(faces)}, FILE)


if __name__ == "__main__":
    write()
