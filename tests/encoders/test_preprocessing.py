"""The bundled encoder's features do not tell whether Pillow or PyTorch resized the image."""

import numpy as np
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from fercache.encoders.bundled import Bundled, weights
from fercache.options.extract import EncoderRequest
from fercache.runtime.precisions import centred_cosine
from fercache.synthetic_faces import DOMAINS, EXPRESSIONS, draw, sample_face

SIZES = [(48, 48), (64, 64), (100, 100), (112, 96), (224, 224), (350, 700), (900, 300), (1500, 1500), (3000, 2000)]


def mixed() -> list[NDArray[np.uint8]]:
    """Small and large, tall and wide, every other one grey."""
    images = []
    for number, (width, height) in enumerate(SIZES * 3):
        drawn = draw(
            sample_face(9, number, DOMAINS[number % len(DOMAINS)], EXPRESSIONS[number % len(EXPRESSIONS)]), 300
        )
        image = Image.fromarray(drawn).resize((width, height), Image.Resampling.BICUBIC)
        images.append(np.array(image.convert("L").convert("RGB") if number % 2 else image))
    return images


def test_features_are_those_of_open_clips_own_images() -> None:
    encoder = Bundled.load(EncoderRequest(device="cpu", precision="fp32"))
    config = weights.architecture()
    own = PreprocessCfg(size=config["vision_cfg"]["image_size"], **config["preprocess_cfg"])
    steps = image_transform_v2(own, is_train=False).transforms[:-2]

    def by_pillow(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = Image.fromarray(pixels)
        for step in steps:
            image = step(image)
        return np.asarray(image)

    ours = encoder.encode_images(np.stack([encoder.preprocess(pixels) for pixels in mixed()]))
    theirs = encoder.encode_images(np.stack([by_pillow(pixels) for pixels in mixed()]))
    assert centred_cosine(ours, theirs).min() >= 0.999
