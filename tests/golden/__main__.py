"""Rewrites the reference numbers: python -m tests.golden. It takes about a minute, and the same bytes come out."""

from pathlib import Path

import numpy as np

from tests.golden.equations import Array, Arrays, cafe, drawn_keep, gradient, ke2nt

FOLDER = Path(__file__).parent
GROUPS, HIDDEN = 7, 128
LABELS = [0, 1, 2, 3, 4, 5, 6, 0, 3, 6]


def single(array: Array) -> Array:
    """What single precision can hold too, so that inputs are the same in both."""
    return array.astype(np.float32).astype(np.float64)


def cafe_inputs() -> Arrays:
    """57 channels: groups of 8, and one left over, which is the highest of its group for four faces."""
    random = np.random.default_rng(2408)
    faces, channels = len(LABELS), 57
    features = random.normal(size=(faces, channels)) * 3
    features[:4, -1] = 9 + random.uniform(size=4)
    return {
        "clip_feature": single(features),
        "mask_logit": single(random.normal(size=(faces, channels)) + (np.arange(channels) == channels - 1)),
        "label": np.array(LABELS),
        "fc_weight": single(random.normal(size=(GROUPS, channels)) / 5),
        "fc_bias": single(random.normal(size=GROUPS) / 5),
        "channel_keep": drawn_keep(channels, GROUPS, random),
    }


def cafe_numbers() -> Arrays:
    inputs = cafe_inputs()
    z = dict(inputs)
    for variant, suffix in (("official", ""), ("paper", "_paper")):
        found = cafe(z, z["mask_logit"], variant)
        z |= {"fc_logits": found["fc_logits"], "loss_cls": found["cls"], f"loss_sep{suffix}": found["sep"]}
        z |= {f"loss_div_{variant}": found["div"], f"loss_total_{variant}": found["total"]}
        z |= {f"group_logits_{variant}": found["group_logits"]}

        def total(mask_logits: Array, variant: str = variant) -> float:
            return float(cafe(inputs, mask_logits, variant)["total"])

        z[f"grad_mask_logit{suffix}"] = gradient(total, z["mask_logit"])
    return z


def ke2nt_inputs() -> Arrays:
    """Faces, neutrals and texts lie about one direction, as CLIP's do, so that no loss is near zero or large."""
    random = np.random.default_rng(2409)
    dimension = 12
    middle = 3 * random.normal(size=dimension)
    text = (middle + random.normal(size=(GROUPS, dimension))) * random.uniform(0.5, 2, size=(GROUPS, 1))
    faces = middle + random.normal(size=(len(LABELS), dimension))
    return {
        "face_embedding": single(faces),
        "text_embedding": single(text),
        "label": np.array(LABELS),
        "mlp_fc1_weight": single(random.normal(size=(HIDDEN, dimension)) / 4),
        "mlp_fc1_bias": single(random.normal(size=HIDDEN)),
        "mlp_fc2_weight": single(random.normal(size=(dimension, HIDDEN)) / 16),
        "mlp_fc2_bias": single(middle),
    }


def ke2nt_numbers() -> Arrays:
    """With `loss_*_no_emotion` for the same faces, were all of them neutral."""
    inputs = ke2nt_inputs()
    z = dict(inputs)
    for variant, suffix in (("official", ""), ("paired", "_paired"), ("contrastive", "_contrastive")):
        found = ke2nt(z, variant, z["label"])
        z |= {"neutral_embedding": found["neutral"], "logits": found["logits"]}
        z |= {"loss_similarity": found["similarity"], "loss_transform": found["transform"]}
        z |= {f"loss_selfcontrast_{variant}": found["selfcontrast"], f"loss_total_{variant}": found["total"]}
        z[f"loss_total_{variant}_no_emotion"] = ke2nt(z, variant, np.full_like(z["label"], 6))["total"]
        for name in ("face_embedding", "mlp_fc1_weight"):

            def total(moved: Array, variant: str = variant, name: str = name) -> float:
                return float(ke2nt({**inputs, name: moved}, variant, inputs["label"])["total"])

            z[f"grad_{name}{suffix}"] = gradient(total, inputs[name])
    return z


def stored(array: Array) -> Array:
    """Losses as they are; all else in single precision, for size."""
    return array.astype(np.float32) if np.ndim(array) and array.dtype == np.float64 else np.asarray(array)


def main() -> None:
    for name, numbers in (("cafe_losses", cafe_numbers()), ("ke2nt_losses", ke2nt_numbers())):
        path = FOLDER / f"{name}.npz"
        np.savez_compressed(path, **{key: stored(array) for key, array in numbers.items()})
        print(f"{path.relative_to(FOLDER.parent.parent)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
