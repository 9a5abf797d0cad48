"""The open_clip family: the same numbers as open_clip's own, and a clear word wherever something does not fit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from fercache.encoders._resizing import on_pixels
from fercache.encoders.open_clip import OpenClip, checkpoints
from fercache.encoders.open_clip.checkpoints import find
from fercache.errors import UsageError
from fercache.options.extract import EncoderRequest
from tests.encoders.open_clip_fixtures import CONFIG, register_architectures, save_folder, tiny_model
from tests.encoders.test_resizing import LEVELS


@pytest.fixture(scope="module", autouse=True)
def _architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    register_architectures(tmp_path_factory.mktemp("architectures") / "configs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_folder(tmp_path / "tiny")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_file(tiny_model().state_dict(), path)
    return path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "reachable", lambda url: False)
    monkeypatch.setattr(checkpoints, "fetched_before", lambda repository, filenames: None)


def request(name: str, weights: Path | None = None, **options: str) -> EncoderRequest:
    return EncoderRequest(name=name, weights=weights, device="cpu", **options)


def images(count: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (40 + 9 * i, 60 - 5 * i, 3), dtype=np.uint8) for i in range(count)]


def test_features_are_open_clips_own(folder: Path) -> None:
    encoder = OpenClip.load(request(f"local-dir:{folder}"))
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    faces = np.stack([encoder.preprocess(p) for p in images()])
    to_tensor, normalise = transform.transforms[-2:]
    with torch.inference_mode():
        expected = model.encode_image(torch.stack([normalise(to_tensor(Image.fromarray(f))) for f in faces])).numpy()
        words = model.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(["a face", "no face at all"])).numpy()
    ours = encoder.encode_images(faces)
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    np.testing.assert_allclose(encoder.encode_texts(["a face", "no face at all"]), words, atol=1e-6)
    assert ours.dtype == np.float32 and encoder.dimension == ours.shape[1] == 16
    assert encoder.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)


def test_identity_is_the_same_after_it_was_stored(file: Path) -> None:
    """A run that was trained on a file's features finds the file's encoder again."""
    encoder = OpenClip.load(request("Tiny-16", file))
    assert json.loads(json.dumps(encoder.identity())) == encoder.identity()
    assert encoder.text_identity().items() <= encoder.identity().items()


@pytest.mark.parametrize("preset", ["clip", "imagenet-224"])
def test_geometry_is_the_one_of_the_preset(preset: str) -> None:
    size, mean, std = 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    from open_clip.transform import PreprocessCfg, image_transform

    from fercache.encoders.open_clip.clip_encoder import preprocessing_named, steps

    chosen = preprocessing_named(preset, PreprocessCfg(size=size), "any")
    if preset == "clip":
        whole = image_transform(size, is_train=False)
    else:
        whole = image_transform(size, False, mean, std, resize_mode="squash", interpolation="bilinear")
    for image in images():
        ours = torch.from_numpy(on_pixels(steps(chosen, size))(image)).permute(2, 0, 1) / 255
        ours = (ours - torch.tensor(chosen.mean).view(3, 1, 1)) / torch.tensor(chosen.std).view(3, 1, 1)
        levels = (LEVELS / 255 / torch.tensor(chosen.std)).max().item()
        torch.testing.assert_close(ours, whole(Image.fromarray(image)), rtol=0, atol=levels + 1e-6)


def test_a_file_gives_the_same_features_in_either_format(file: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "mine.pt"
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in tiny_model().state_dict().items()}}, pickled)
    faces = np.stack([np.full((32, 32, 3), value, np.uint8) for value in (0, 90, 200)])
    first, second = (OpenClip.load(request("Tiny-16", path)) for path in (file, pickled))
    np.testing.assert_array_equal(first.encode_images(faces), second.encode_images(faces))
    assert (first.name, second.name) == ("tiny-16--mine", "tiny-16--mine")
    assert first.identity() != second.identity()  # the bytes of the files differ, so their keys do


def test_the_identity_is_json_and_names_what_changes_numbers(file: Path) -> None:
    plain, quick = (OpenClip.load(request(name, file)).identity() for name in ("Tiny-16", "Tiny-16-quickgelu"))
    assert json.loads(json.dumps(plain)) == {
        **plain,
        "preprocessing": {k: list(v) if isinstance(v, tuple) else v for k, v in plain["preprocessing"].items()},
    }
    assert (plain["activation"], quick["activation"]) == ("gelu", "quickgelu")
    assert {"architecture", "weights_sha256", "preprocessing", "precision"} <= plain.keys()


def test_the_activation_changes_features(file: Path) -> None:
    faces = np.stack([np.full((32, 32, 3), value, np.uint8) for value in (0, 90, 200)])
    plain, quick = (
        OpenClip.load(request(name, file)).encode_images(faces) for name in ("Tiny-16", "Tiny-16-quickgelu")
    )
    assert not np.allclose(plain, quick, atol=1e-4)


def test_a_config_beside_the_file_must_agree_on_the_activation(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "quick", quick_gelu=True)
    weights = folder / "open_clip_model.safetensors"
    with pytest.raises(UsageError, match=r"QuickGELU, but Tiny-16 computes GELU.*--encoder Tiny-16-quickgelu"):
        OpenClip.load(request("Tiny-16", weights))
    assert OpenClip.load(request("Tiny-16-quickgelu", weights)).identity()["activation"] == "quickgelu"


def test_openais_own_state_dict_needs_quickgelu(tmp_path: Path) -> None:
    path = tmp_path / "from_openai.pt"
    marks = {
        "input_resolution": torch.tensor(32),
        "context_length": torch.tensor(77),
        "vocab_size": torch.tensor(49408),
    }
    torch.save({**tiny_model().state_dict(), **marks}, path)
    with pytest.raises(UsageError, match="--encoder Tiny-16-quickgelu"):
        OpenClip.load(request("Tiny-16", path))
    assert OpenClip.load(request("Tiny-16-quickgelu", path)).dimension == 16


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model._orig_mod.", "clip."])
@pytest.mark.parametrize("entry", ["", "state_dict", "model"])
def test_weights_are_found_in_what_training_code_saves(folder: Path, tmp_path: Path, prefix: str, entry: str) -> None:
    state = {f"{prefix}{key}": value for key, value in tiny_model().state_dict().items()}
    torch.save({entry: state, "epoch": 3} if entry else state, tmp_path / "wrapped.pt")
    faces = np.stack([OpenClip.load(request(f"local-dir:{folder}")).preprocess(p) for p in images()])
    save_file(tiny_model().state_dict(), tmp_path / "plain.safetensors")
    wrapped, plain = (OpenClip.load(request("Tiny-16", tmp_path / n)) for n in ("wrapped.pt", "plain.safetensors"))
    np.testing.assert_array_equal(wrapped.encode_images(faces), plain.encode_images(faces))
    marked = {**state, f"{prefix}input_resolution": torch.tensor(32)}
    torch.save({entry: marked} if entry else marked, tmp_path / "wrapped.pt")
    with pytest.raises(UsageError, match="--encoder Tiny-16-quickgelu"):
        OpenClip.load(request("Tiny-16", tmp_path / "wrapped.pt"))


def test_a_tuned_copy_in_the_precisions_of_openai_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tiny_model().state_dict()
    path = tmp_path / "tuned.pt"
    torch.save({**state, "visual.conv1.weight": state["visual.conv1.weight"].half()}, path)
    OpenClip.load(request("Tiny-16", path))
    assert "use --encoder Tiny-16-quickgelu" in capsys.readouterr().err
    OpenClip.load(request("Tiny-16-quickgelu", path))
    assert not capsys.readouterr().err


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
@pytest.mark.parametrize(
    ("key", "whose", "remedy"),
    [
        ("vision_model.encoder.layers.0.self_attn.q_proj.weight", "Hugging Face's, of a CLIPModel", "ARCHITECTURE/TAG"),
        ("vit.encoder.layer.0.attention.attention.query.weight", "Hugging Face's, of a transformers", "timm/NAME"),
        ("blocks.0.attn.qkv.weight", "timm's", "--encoder timm/NAME --weights FILE"),
        ("layer1.0.conv1.weight", "torchvision's and timm's, of a ResNet", "--encoder timm/NAME --weights FILE"),
        ("encoder.layers.encoder_layer_0.mlp.0.weight", "torchvision's", "tv_in1k"),
    ],
)
def test_names_of_another_library_are_said_to_be(
    tmp_path: Path, prefix: str, key: str, whose: str, remedy: str
) -> None:
    path = tmp_path / "theirs.pt"
    torch.save({f"{prefix}{key}": torch.zeros(2), f"{prefix}other.bias": torch.zeros(2)}, path)
    with pytest.raises(UsageError, match=rf"Its names are {whose}.*{remedy}"):
        OpenClip.load(request("Tiny-16", path))


def test_a_tag_brings_its_activation_even_with_a_local_file(file: Path) -> None:
    source = find("ViT-B-32/openai", file)
    assert source.quick_gelu and source.config["quick_gelu"] and source.name == "vit-b-32--openai"
    assert not find("ViT-B-32/laion2b_s34b_b79k", file).config["quick_gelu"]


def test_a_file_of_a_known_name_needs_its_activation(tmp_path: Path) -> None:
    path = tmp_path / "vit_b_32-quickgelu-laion400m_e32-46683a32.pt"
    path.touch()
    with pytest.raises(UsageError, match="--encoder ViT-B-32-quickgelu"):
        checkpoints.load("ViT-B-32", path)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ViT-B-32/openai", r"Fetch https://\S+\.safetensors elsewhere.*--encoder ViT-B-32/openai --weights FILE"),
        ("RN50/yfcc15m", r"Fetch https://\S+ elsewhere.*--encoder RN50/yfcc15m --weights FILE"),
        ("hf-hub:someone/some-clip", r"Fetch https://\S+/open_clip_config\.json elsewhere.*--encoder local-dir:FOLDER"),
    ],
)
def test_without_a_network_the_file_and_the_option_are_named(name: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as caught:
        OpenClip.load(request(name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ViT-B-32", "names no weights"),
        ("ViT-B-32/openia", "Did you mean 'openai'"),
        ("Vit-B-33", "no architecture 'Vit-B-33'"),
        ("local-dir:nowhere", "holds no open_clip_config.json"),
    ],
)
def test_wrong_names(name: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        OpenClip.load(request(name))


def test_weights_beside_the_hub_are_refused_and_beside_a_folder_are_taken(folder: Path, file: Path) -> None:
    with pytest.raises(UsageError, match="omit --weights"):
        OpenClip.load(request("hf-hub:a/b", file))
    assert OpenClip.load(request(f"local-dir:{folder}", file)).name == "tiny--mine"


def test_several_weights_in_a_folder_are_named(folder: Path, file: Path) -> None:
    (folder / "open_clip_model.safetensors").rename(folder / "a.safetensors")
    shutil.copy(file, folder / "b.safetensors")
    with pytest.raises(UsageError, match=r"several files of weights: a\.\w+, b\.\w+\. Choose one: .*--weights"):
        OpenClip.load(request(f"local-dir:{folder}"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.pop("text_cfg"), "has no entry 'text_cfg'"),
        (lambda config: config["vision_cfg"].update(patches=3), "unexpected keyword argument 'patches'"),
        (lambda config: config.update(embed_dim="x"), "open_clip cannot build the config of tiny"),
    ],
)
def test_a_config_that_cannot_be_built_is_named(folder: Path, change: Callable[[Any], Any], message: str) -> None:
    path = folder / "open_clip_config.json"
    own = json.loads(path.read_text())
    change(own["model_cfg"])
    path.write_text(json.dumps(own))
    with pytest.raises(UsageError, match=message):
        OpenClip.load(request(f"local-dir:{folder}"))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(tmp_path: Path, wrong: float) -> None:
    state = tiny_model().state_dict()
    state["visual.proj"][0, 0] = wrong
    save_file(state, tmp_path / "wrong.safetensors")
    with pytest.raises(UsageError, match=r"NaN or infinite: visual\.proj"):
        OpenClip.load(request("Tiny-16", tmp_path / "wrong.safetensors"))


def test_a_tokenizer_that_is_not_there_is_named_with_what_to_fetch(folder: Path) -> None:
    path = folder / "open_clip_config.json"
    own = json.loads(path.read_text())
    own["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "timm/ViT-B-16-SigLIP"
    path.write_text(json.dumps(own))
    with pytest.raises(
        UsageError, match=r"pip install 'fercache\[transformers\]'|Put its tokenizer\.json and tokenizer_config"
    ):
        OpenClip.load(request(f"local-dir:{folder}"))


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("ViT-B-32", r"--encoder ViT-B-32/openai \(QuickGELU.*ViT-B-32/laion\w+ \(GELU"),
        ("MobileCLIP2-S0", r"MobileCLIP2-S0/dfndr2b \(GELU, mean 0/0/0, bilinear"),
        ("ViT-L-14", r"mean 0\.481/0\.458/0\.408.*mean 0\.5/0\.5/0\.5"),
    ],
)
def test_what_a_bare_file_does_not_say_is_asked_for(tmp_path: Path, architecture: str, expected: str) -> None:
    path = tmp_path / "open_clip_model.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(UsageError, match=r"does not state its activation and preprocessing.*" + expected):
        find(architecture, path)
    assert find(f"{architecture}/{open_clip.list_pretrained_tags_by_model(architecture)[0]}", path).weights == path


@pytest.mark.parametrize(
    ("architecture", "preset"),
    [("ViT-B-32-quickgelu", "clip"), ("ViT-B-16-plus-240", "clip"), ("MobileCLIP2-S0", "imagenet-224")],
)
def test_a_bare_file_is_taken_where_nothing_else_can_be_meant(tmp_path: Path, architecture: str, preset: str) -> None:
    path = tmp_path / "open_clip_model.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    assert find(architecture, path, preset).weights == path


def test_an_archive_with_code_gives_the_features_of_its_weights(file: Path, tmp_path: Path) -> None:
    inputs = {"encode_image": (torch.randn(1, 3, 32, 32),), "encode_text": (torch.ones(1, 77).long(),)}
    torch.jit.trace_module(tiny_model().eval(), inputs, check_trace=False).save(tmp_path / "a.pt")
    faces = np.stack([np.full((32, 32, 3), value, np.uint8) for value in (0, 90, 200)])
    plain, archive = (OpenClip.load(request("Tiny-16", path)) for path in (file, tmp_path / "a.pt"))
    np.testing.assert_array_equal(plain.encode_images(faces), archive.encode_images(faces))


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    wide = open_clip.CLIP(**{**CONFIG, "text_cfg": {**CONFIG["text_cfg"], "width": 32, "context_length": 16}})
    save_file(wide.state_dict(), tmp_path / "wide.safetensors")
    with pytest.raises(UsageError, match="does not fit Tiny-16"):
        OpenClip.load(request("Tiny-16", tmp_path / "wide.safetensors"))


def test_coca_is_raw_on_both_sides(tmp_path: Path) -> None:
    """Of this kind open_clip's own methods normalise unless they are asked not to."""
    layers = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    text = {**layers, "embed_cls": True, "output_tokens": True}
    vision = {**CONFIG["vision_cfg"], "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text, "multimodal_cfg": {**layers, "dim_head": 16}}
    torch.manual_seed(0)
    model = open_clip.CoCa(**config).eval()
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    encoder = OpenClip.load(request(f"local-dir:{tmp_path}"))
    faces = np.stack([encoder.preprocess(image) for image in images()])
    mean, deviation = (
        torch.tensor(getattr(encoder.preprocessing, name)).view(3, 1, 1) for name in ("mean", "deviation")
    )
    with torch.inference_mode():
        shown = model.encode_image(
            (torch.from_numpy(faces).permute(0, 3, 1, 2) / 255 - mean) / deviation, normalize=False
        )
        said = model.encode_text(open_clip.get_tokenizer("ViT-B-32")(["a face", "a hat"]), normalize=False)
    np.testing.assert_allclose(encoder.encode_images(faces), shown, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_texts(["a face", "a hat"]), said, rtol=1e-4, atol=1e-5)


def test_a_folder_without_weights_or_with_a_broken_config(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(UsageError, match="holds no weights"):
        OpenClip.load(request(f"local-dir:{folder}"))
    (folder / "open_clip_config.json").write_text("{}")
    with pytest.raises(UsageError, match="not an open_clip config"):
        OpenClip.load(request(f"local-dir:{folder}"))


def test_keys_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    state = tiny_model().state_dict()
    state["surplus.weight"] = torch.zeros(2)
    del state["visual.proj"]
    path = tmp_path / "odd.safetensors"
    save_file(state, path)
    with pytest.raises(UsageError, match=r"missing visual\.proj; unexpected surplus\.weight"):
        OpenClip.load(request("Tiny-16", path))
    state = {**tiny_model().state_dict(), "visual.proj": torch.zeros(32, 99)}
    save_file(state, path)
    with pytest.raises(UsageError, match=r"does not fit Tiny-16.*visual\.proj"):
        OpenClip.load(request("Tiny-16", path))


def test_what_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    code = tmp_path / "code.pt"
    torch.save({"model": tiny_model()}, code)  # a pickled object: opening it would run code
    text, empty, absent = tmp_path / "text.safetensors", tmp_path / "empty.pt", tmp_path / "absent.pt"
    text.write_text("no weights in here")
    empty.touch()
    for path in (code, text, empty):
        with pytest.raises(UsageError, match="cannot be read as weights"):
            OpenClip.load(request("Tiny-16", path))
    with pytest.raises(UsageError, match="no such file"):
        OpenClip.load(request("Tiny-16", absent))


def test_it_knows_its_names() -> None:
    known = ["ViT-B-32", "ViT-B-32/openai", "local-dir:x", "hf-hub:y/z"]
    assert all(map(OpenClip.knows, known)) and not any(map(OpenClip.knows, ["bundled", "vit", ""]))


def test_where_weights_would_be_fetched_from_is_known_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "fetched_before", lambda repository, filenames: None)
    monkeypatch.setattr(checkpoints, "reachable", lambda url: pytest.fail("it asked the network"))
    assert checkpoints.not_here("hf-hub:somebody/clip") == "https://huggingface.co/somebody/clip"
    assert checkpoints.not_here("ViT-B-32/laion2b_s34b_b79k").startswith("https://huggingface.co/laion/")
    assert checkpoints.not_here("local-dir:/anywhere") == checkpoints.not_here("ViT-B-32") == ""
    monkeypatch.setattr(checkpoints, "fetched_before", lambda repository, filenames: Path("here"))
    assert checkpoints.not_here("hf-hub:somebody/clip") == ""
