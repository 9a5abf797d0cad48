"""The encoder that ships: small, honest about itself, and of use for free words."""

import dataclasses
import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fercache.encoders.bundled import Bundled, captions, card, curves, resuming, scores, train, weights, wordings
from fercache.encoders.bundled.batches import RealBatches, RealPairs, SyntheticBatches
from fercache.encoders.bundled.faces import VOTE_COLUMNS, RealFaces, draw_faces, read_ferplus
from fercache.encoders.bundled.objectives import view_loss
from fercache.encoders.bundled.recipe import RECIPES, Phase, TrainingRecipe
from fercache.encoders.bundled.sentences import Words
from fercache.encoders.bundled.train import Training, scale_output
from fercache.errors import UsageError
from fercache.expressions import EXPRESSIONS
from fercache.identity import file_hash
from fercache.options.extract import EncoderRequest
from fercache.synthetic_faces import DOMAINS, STYLES

ROUGH = Phase(1, 1.0, 1, sizes=((1.0, 32),), adjustment=0.4, gentle=False)
GENTLE = dataclasses.replace(ROUGH, gentle=True)
SMALL = TrainingRecipe(phases=(ROUGH, GENTLE), processes=1, real_batch=4, drawn_batch=4)
BOTH = pytest.mark.parametrize("recipe", [SMALL, dataclasses.replace(SMALL, labels=False)], ids=["labels", "views"])


@pytest.fixture(scope="module")
def encoder() -> Bundled:
    return Bundled.load(EncoderRequest(device="cpu", precision="fp32"))


def real_faces(count: int = 20) -> RealFaces:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, 64, 64), dtype=np.uint8)
    return RealFaces(pixels, random.integers(0, 5, (count, len(VOTE_COLUMNS))).astype(np.int16))


@pytest.mark.parametrize("name", weights.FILES)
def test_the_card_is_about_the_weights_beside_it(name: str) -> None:
    path, described = weights.FOLDER / weights.FILES[name][0], card(name)
    assert path.stat().st_size == described["bytes"] <= 24 * 2**20
    assert described["weights_sha256"] == file_hash(path)
    assert not any(domain in source for source in described["seen"] for domain in DOMAINS)
    assert described["scores"]["held_out_wordings"] == {
        name: {"yes": list(w.yes), "no": list(w.no)} for name, w in scores.HELD_OUT.items()
    }


@pytest.mark.parametrize(("name", "recipe"), RECIPES.items())
def test_the_card_holds_the_recipe(name: str, recipe: TrainingRecipe) -> None:
    assert card(name)["recipe"] == json.loads(json.dumps(dataclasses.asdict(recipe)))


def test_what_was_made_by_a_version_stays_of_that_version() -> None:
    now, before = EncoderRequest(device="cpu"), {"name": "bundled", "weights": None, "preprocessing": "clip"}
    assert now.stored()["name"] == "bundled@3" and EncoderRequest.of(now.stored()).name == "bundled"
    first = Bundled.load(EncoderRequest.of(before, device="cpu"))
    assert first.name == "bundled-1" and first.identity()["weights_sha256"] == card("bundled@1")["weights_sha256"]
    assert first.image_size == 64
    for name in ("bundled@1", "bundled@2", "bundled-general"):
        assert EncoderRequest.of(EncoderRequest(name=name).stored()).name == name


def test_what_was_seen_reaches_the_encoder(encoder: Bundled) -> None:
    assert "ferplus@train" in encoder.seen and encoder.name == "bundled" and encoder.image_size == 48


def test_plain_open_clip_gives_the_same_features(encoder: Bundled) -> None:
    model = weights.build()
    model.load_state_dict(weights.read(weights.FOLDER / weights.FILE))
    model.eval()
    faces = draw_faces(7, 6, STYLES).pixels
    with torch.inference_mode():
        expected = model.encode_image(((torch.from_numpy(faces) / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(encoder.encode_images(faces), expected, atol=1e-4)


def test_held_out_wordings_separate_unseen_drawn_faces(encoder: Bundled) -> None:
    found = scores.on_synthetic(encoder, draw_faces(scores.HELD_OUT_SEED + 1, 280, STYLES))
    assert {name: found[name]["auc"] >= 0.85 for name in scores.HELD_OUT} == dict.fromkeys(scores.HELD_OUT, True)
    assert found["expression_accuracy"] >= 0.7


def test_no_caption_has_a_held_out_wording() -> None:
    phrases = [phrase for values in wordings.PHRASES.values() for options in values.values() for phrase in options]
    sentences = {
        frame.format(medium=medium, subject=subject, phrase=phrase).rstrip(".")
        for frame, medium, subject, phrase in product(wordings.FRAMES, wordings.MEDIA, wordings.SUBJECTS, phrases)
    }
    held_out = {text for wordings in scores.HELD_OUT.values() for text in (*wordings.yes, *wordings.no)}
    assert not held_out & sentences


def test_every_caption_can_be_written_in_the_known_words() -> None:
    random, words = np.random.default_rng(0), Words(32)
    for _ in range(50):
        texts = captions.expression_sentences(list(wordings.EXPRESSION_WORDS), random)
        texts += [text for attribute in captions.VALUES for text in captions.attribute_sentences(attribute, random)]
        assert words(texts).shape[1] <= 32


def test_a_flipped_face_changes_sides() -> None:
    poses = captions.VALUES["pose"]
    table = dict(zip(captions.VALUES, SyntheticBatches(SMALL, draw_faces(1, 6, STYLES)).mirrors, strict=True))
    assert [poses[i] for i in table["pose"]] == [captions.MIRROR.get(pose, pose) for pose in poses]
    assert table["glasses"].tolist() == [0, 1] and table["light"].tolist() == [0, 2, 1]


@BOTH
def test_training_changes_weights_the_same_way_each_time(recipe: TrainingRecipe, tmp_path: Path) -> None:
    drawn, states = draw_faces(1, 12, STYLES), []
    for name in ("one", "two"):
        training = Training(recipe, real_faces(), drawn)
        before = {key: value.clone() for key, value in training.model.state_dict().items()}
        training.run(tmp_path / "kept.safetensors")
        after = training.model.state_dict()
        assert sum(not torch.equal(before[key], after[key]) for key in before) > len(before) / 2
        scale_output(training.model, torch.from_numpy(real_faces().pixels)[:, None])
        weights.save(after, training.words.ids, tmp_path / f"{name}.safetensors", side=32)
        states.append(weights.read(tmp_path / f"{name}.safetensors"))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    encoder = Bundled.load(EncoderRequest(weights=tmp_path / "one.safetensors", device="cpu"))
    features = scores.encode(encoder, real_faces(24).pixels[:20], side=64)
    assert np.linalg.norm(features, axis=1).mean() == pytest.approx(10, rel=0.05) and encoder.name == "bundled--one"
    assert encoder.image_size == 32


@BOTH
def test_a_stopped_training_continues_as_if_it_had_not_been_stopped(
    recipe: TrainingRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "SAVE_EVERY", 1)
    drawn = draw_faces(1, 6, STYLES)
    (tmp_path / "stopped").mkdir()
    stopped = Training(recipe, real_faces(), drawn)
    batches = iter([stopped.objective.terms])
    monkeypatch.setattr(stopped.objective, "terms", lambda step: next(batches)(step))  # there is no second batch
    with pytest.raises(StopIteration):
        stopped.run(tmp_path / "stopped" / weights.FILE)
    averages = []
    for folder in (tmp_path / "stopped", tmp_path):
        training = Training(recipe, real_faces(), drawn)
        training.run(folder / weights.FILE)
        averages.append(training.model.state_dict())
    assert all(torch.equal(averages[0][key], averages[1][key]) for key in averages[0])


@pytest.mark.parametrize("restart", [False, True])
def test_a_phase_with_a_restart_begins_from_the_averages(
    restart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = dataclasses.replace(SMALL, phases=(ROUGH, dataclasses.replace(GENTLE, restart=restart)))
    training = Training(recipe, real_faces(), draw_faces(1, 6, STYLES))
    terms, same = training.objective.terms, list[bool]()

    def watched(step: int) -> dict[str, torch.Tensor]:
        state = training.model.state_dict()
        same.append(all(torch.equal(state[name], value) for name, value in training.average.items()))
        return terms(step)

    monkeypatch.setattr(training.objective, "terms", watched)
    training.run(tmp_path / weights.FILE)
    assert same == [True, restart]


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / resuming.FILE
    assert resuming.read(path, {"seed": 1}) is None
    resuming.save(path, {"seed": 1}, {"step": 3})
    assert resuming.read(path, {"seed": 1}) == {"step": 3}
    with pytest.raises(UsageError, match=r"another recipe \(different: seed\)\. Give another folder as --out"):
        resuming.read(path, {"seed": 2})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UsageError, match=r"is not the state of a training run .* Delete it to start again"):
        resuming.read(path, {"seed": 1})


def test_the_recipe_ends_at_full_size_with_a_rate_of_nothing() -> None:
    recipe = TrainingRecipe()
    ends = [sum(phase.steps for phase in recipe.phases[: n + 1]) - 1 for n in range(len(recipe.phases))]
    assert ends[-1] == recipe.steps - 1 and recipe.size(ends[-1]) == weights.architecture()["vision_cfg"]["image_size"]
    assert [recipe.size(step) for step in (0, 3_000, 6_000)] == [40, 48, 64]
    assert max(map(recipe.rate, range(recipe.steps))) <= 1 and recipe.rate(200) > 0.9
    assert all(recipe.rate(end) < 1e-4 for end in ends)
    assert 0.2 < recipe.rate(6_050) <= 0.25
    with pytest.raises(IndexError, match=f"{recipe.steps} steps"):
        recipe.phase(recipe.steps)


def test_adjusted_logits_learn_what_is_left_of_the_prior() -> None:
    """Of faces alike, a network can only learn how frequent an expression is, here to the power of 1 - adjustment."""
    random = np.random.default_rng(3)
    votes = np.zeros((4_000, len(VOTE_COLUMNS)), np.int16)
    chosen = random.choice(len(EXPRESSIONS), len(votes), p=np.array([8, 1, 1, 20, 4, 2, 30, 1]) / 67)
    votes[np.arange(len(votes)), [VOTE_COLUMNS.index(EXPRESSIONS[each]) for each in chosen]] = 10
    recipe = dataclasses.replace(SMALL, real_batch=20_000, mixed_share=0.0, balance=0.5)
    batches = RealBatches(recipe, RealFaces(np.zeros((len(votes), 64, 64), np.uint8), votes))
    rows = torch.multinomial(batches.chance, recipe.real_batch, replacement=True)
    learnt = batches.votes[rows].mean(dim=0).log() - batches.adjustment(
        0
    )  # softmax(learnt + adjustment) is what was seen
    expected = 0.6 * batches.votes.mean(dim=0).log()
    torch.testing.assert_close(learnt.softmax(dim=0), expected.softmax(dim=0), rtol=0.15, atol=0.005)


def test_every_face_of_a_batch_has_two_views() -> None:
    recipe = dataclasses.replace(SMALL, labels=False, real_batch=40)
    levels = np.arange(20, 240, 11, dtype=np.uint8)
    plain = RealFaces(np.broadcast_to(levels[:, None, None], (20, 64, 64)).copy(), real_faces().votes)
    pixels = RealPairs(recipe, plain).take(0, torch.Generator().manual_seed(1))
    assert pixels.shape == (40, 3, 32, 32) and pixels.min() >= 0 and pixels.max() <= 1
    first, second = pixels.mean(dim=(1, 2, 3)).split(20)
    assert not torch.equal(*pixels.split(20)) and np.corrcoef(first, second)[0, 1] > 0.8


def test_views_of_the_same_face_are_told_from_those_of_others() -> None:
    """Against NT-Xent written out, with the pairs that are right and with wrong ones."""
    rows = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    rows[3:] = rows[:3] + 0.1 * rows[3:]
    unit = torch.nn.functional.normalize(rows, dim=1)
    likeness = (unit @ unit.T / 0.15).exp()
    expected = [
        -torch.log(likeness[i, (i + 3) % 6] / sum(likeness[i, k] for k in range(6) if k != i)) for i in range(6)
    ]
    torch.testing.assert_close(view_loss(rows, 0.15), torch.stack(expected).mean())
    assert view_loss(rows, 0.15) < view_loss(torch.cat([rows[:3], rows[3:].roll(1, dims=0)]), 0.15) - 1


def test_labels_of_real_faces_do_not_reach_the_general_encoder(tmp_path: Path) -> None:
    recipe, drawn, states = dataclasses.replace(SMALL, labels=False), draw_faces(1, 6, STYLES), []
    for votes in (real_faces().votes, np.zeros_like(real_faces().votes)):
        training = Training(recipe, RealFaces(real_faces().pixels, votes), drawn)
        training.run(tmp_path / weights.FILE)
        states.append(training.model.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("step", [0, 1])
def test_changed_faces_stay_faces(step: int) -> None:
    batches = RealBatches(dataclasses.replace(SMALL, real_batch=40), real_faces(60))
    pixels, votes = batches.take(step, torch.Generator().manual_seed(1))
    assert pixels.shape == (40, 3, 32, 32) and pixels.min() >= 0 and pixels.max() <= 1
    torch.testing.assert_close(votes.sum(dim=1), torch.ones(40))


@pytest.mark.parametrize("name", RECIPES)
def test_the_course_of_a_training_is_drawn(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = tmp_path / "ferplus", tmp_path / "out"
    (root / "FER2013Valid").mkdir(parents=True)
    out.mkdir()
    lines = [",".join(["Usage", "Image name", *VOTE_COLUMNS])]
    for column, pixels in enumerate(real_faces(8).pixels):
        Image.fromarray(pixels[:48, :48]).save(root / "FER2013Valid" / f"{column}.png")
        votes = ["10" if column == each else "0" for each in range(len(VOTE_COLUMNS))]
        lines.append(",".join(["PublicTest", f"{column}.png", *votes]))
    (root / "fer2013new.csv").write_text("\n".join(lines) + "\n")
    last = RECIPES[name].steps
    for step in (500, last):
        shutil.copy(weights.FOLDER / weights.FILES[name][0], out / f"{name}-{step:05}.safetensors")
    (out / train.HISTORY).write_text("step,real,seconds\n25,2.0,9\n50,1.5,18\n")
    curves.main(["--encoder", name, "--ferplus", str(root), "--out", str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" accuracy")[0] for line in lines] == ["step 500 size 40", f"step {last} size 48"]
    with Image.open(out / curves.PICTURE) as picture:
        assert picture.width > 2 * picture.height


def test_another_seed_gives_other_weights() -> None:
    drawn = draw_faces(1, 6, STYLES)
    one, two = (Training(dataclasses.replace(SMALL, seed=seed), real_faces(), drawn).average for seed in (1, 2))
    assert not torch.equal(one["visual.head.proj.weight"], two["visual.head.proj.weight"])


def test_votes_become_shares() -> None:
    votes = np.zeros((2, len(VOTE_COLUMNS)), np.int16)
    votes[0, VOTE_COLUMNS.index("fear")], votes[0, VOTE_COLUMNS.index("surprise")] = 6, 2
    votes[0, VOTE_COLUMNS.index("anger")] = votes[1, VOTE_COLUMNS.index("anger")] = 1
    shares = RealFaces(np.zeros((2, 64, 64), np.uint8), votes).distribution()
    assert dict(zip(wordings.EXPRESSION_WORDS, shares[0].tolist(), strict=True))["fear"] == 0.75
    assert shares[0].sum() == 1 and shares[1].sum() == 0


def test_wrong_weights_and_roots(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "absent.safetensors"):
        with pytest.raises(UsageError, match="no such file") as caught:
            Bundled.load(EncoderRequest(weights=file, device="cpu"))
        assert "reinstall" not in str(caught.value)
    (tmp_path / "text.safetensors").write_text("no weights in here")
    with pytest.raises(UsageError, match=r"text\.safetensors cannot be read as weights"):
        Bundled.load(EncoderRequest(weights=tmp_path / "text.safetensors", device="cpu"))
    model = weights.build().state_dict()
    words = model[weights.EMBEDDING][:1].clone()
    weights.save({**model, weights.EMBEDDING: words}, torch.tensor([10**6]), tmp_path / "odd.safetensors", side=48)
    with pytest.raises(UsageError, match=r"odd\.safetensors does not fit the bundled encoder"):
        Bundled.load(EncoderRequest(weights=tmp_path / "odd.safetensors", device="cpu"))
    with pytest.raises(UsageError, match="is not FERPlus"):
        read_ferplus(tmp_path, "train")
