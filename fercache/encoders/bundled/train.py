"""Train the bundled encoder: `python -m fercache.encoders.bundled.train --ferplus ROOT --out DIR`.

A small CLIP from random weights, on FERPlus's train split and on synthetic faces of styles that no synthetic domain
has. Every step samples sentences and classifies a batch in three ways: by expression (soft labels: the votes), by the
value of some attributes (synthetic faces only), and by caption (synthetic faces only). If it is stopped, the same
command continues from the last state in DIR.
"""

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import open_clip
import torch
from torch import Tensor, nn

from fercache.encoders.bundled import captions, resuming, weights
from fercache.encoders.bundled.batches import RealBatches, SyntheticBatches
from fercache.encoders.bundled.faces import RealFaces, SyntheticFaces, draw_faces, read_ferplus
from fercache.encoders.bundled.recipe import TrainingRecipe
from fercache.expressions import EXPRESSIONS
from fercache.identity import seed_from
from fercache.synthetic_faces import STYLES

HARD = ("turn", "pose")  # attributes that need every step
SAVE_EVERY = 100  # steps
SHOW_EVERY = 25  # steps
HISTORY = "history.csv"
KEEP_EVERY = 500  # steps: these averages stay, for curves
AUTOCAST = torch.autocast("cpu", torch.bfloat16)
MEAN_NORM = 10.0  # of the image features on FERPlus train, as CLIP ViT-B/32's have


class History:
    """The terms of the loss on disk and on the screen, averaged over some steps."""

    def __init__(self, path: Path) -> None:
        self.path, self.terms, self.started = path, list[dict[str, float]](), time.monotonic()

    def add(self, step: int, terms: dict[str, float]) -> None:
        """Notes the `terms` of a step; a line for every `SHOW_EVERY` steps."""
        self.terms.append(terms)
        if step % SHOW_EVERY:
            return
        means = {name: sum(each[name] for each in self.terms) / len(self.terms) for name in terms}
        self.terms.clear()
        new = not self.path.exists()
        with self.path.open("a") as stream:
            if new:
                stream.write(",".join(["step", *means, "seconds"]) + "\n")
            seconds = time.monotonic() - self.started
            stream.write(",".join([str(step), *(f"{value:.4f}" for value in means.values()), f"{seconds:.0f}"]) + "\n")
        print(f"step {step} " + " ".join(f"{name} {value:.3f}" for name, value in means.items()), flush=True)


class Words:
    """Tokens of the captions, as indices into the rows of a token embedding that holds only them."""

    def __init__(self, context: int) -> None:
        self.tokenize = open_clip.SimpleTokenizer(context_length=context)
        self.ids = torch.unique(torch.cat([torch.tensor([0]), self.tokenize(captions.every_sentence()).flatten()]))
        self._place = torch.full((self.tokenize.vocab_size,), -1).scatter_(0, self.ids, torch.arange(len(self.ids)))
        self._row = lru_cache(maxsize=100_000)(self._tokens)

    def _tokens(self, text: str) -> Tensor:
        places: Tensor = self._place[self.tokenize([text])[0]]
        if (places < 0).any():
            raise ValueError(f"a caption has a word that every_sentence() lacks: {text}")
        return places

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """(T, longest text) token indices, without padding beyond the longest text."""
        rows = torch.stack([self._row(text) for text in texts])
        return rows[:, : int(rows.argmax(dim=1).max()) + 1]


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over the rows of -sum(target * log softmax(logits)); both (B, L)."""
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()


class Training:
    """One run of a recipe."""

    def __init__(self, recipe: TrainingRecipe, real: RealFaces, drawn: SyntheticFaces, rank: int = 0) -> None:
        self.recipe, self.rank = recipe, rank
        self.real, self.drawn = RealBatches(recipe, real), SyntheticBatches(recipe, drawn)
        torch.manual_seed(recipe.seed)
        self._seed(0)
        self.model = weights.build()
        self.words, self.mask = Words(self.model.text.context_length), self.model.text.attn_mask
        width = self.model.text.token_embedding.embedding_dim
        self.model.text.token_embedding = nn.Embedding(len(self.words.ids), width)
        nn.init.normal_(self.model.text.token_embedding.weight, std=0.02)
        self.model.logit_scale.data.fill_(math.log(20.0))
        self.model.to(memory_format=torch.channels_last)
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _seed(self, step: int) -> None:
        """Randomness follows from the last saved step, so that a continued run is the same as one without a break."""
        seed = seed_from("bundled", self.recipe.seed, self.rank, step)
        self.generator = torch.Generator().manual_seed(seed)
        self.random = np.random.default_rng(seed)

    def texts(self, sentences: Sequence[str]) -> Tensor:
        """(T, D) L2-normalised embeddings."""
        words = self.words(sentences)
        length = words.shape[1]
        self.model.text.attn_mask = self.mask[:length, :length]  # open_clip cuts positions, but not its mask
        with AUTOCAST:
            embedded: Tensor = self.model.encode_text(words)
        return nn.functional.normalize(embedded.float(), dim=1)

    def expression_loss(
        self, real: Tensor, votes: Tensor, drawn: Tensor, expression: Tensor, *, adjustment: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Soft cross-entropy over the expressions, on real and on synthetic faces, for two forms of sentence."""
        scale, count = self.model.logit_scale.exp(), len(EXPRESSIONS)
        smoothed = torch.full((len(expression), count), self.recipe.smoothing / count)
        smoothed.scatter_add_(1, expression[:, None], torch.full((len(expression), 1), 1 - self.recipe.smoothing))
        sentences = [text for _ in range(2) for text in captions.expression_sentences(EXPRESSIONS, self.random)]
        losses = [
            (
                soft_cross_entropy(scale * real @ text.T + adjustment, votes),
                soft_cross_entropy(scale * drawn @ text.T, smoothed),
            )
            for text in self.texts(sentences).split(count)
        ]
        real_losses, drawn_losses = zip(*losses, strict=True)
        return torch.stack(real_losses).mean(), torch.stack(drawn_losses).mean()

    def attribute_loss(self, drawn: Tensor, values: Tensor) -> Tensor:
        """Cross-entropy over the values of some attributes, with sentences for each; unknown values are skipped."""
        names = list(captions.VALUES)
        others = [column for column, name in enumerate(names) if name not in HARD]
        chosen = [names.index(name) for name in HARD]
        chosen += self.random.choice(others, self.recipe.attributes_per_step - len(HARD), replace=False).tolist()
        sentences = [captions.attribute_sentences(names[column], self.random) for column in chosen]
        texts = self.texts([text for group in sentences for text in group]).split([len(group) for group in sentences])
        scale = self.model.logit_scale.exp()
        losses = [
            nn.functional.cross_entropy(scale * drawn @ text.T, values[:, column], ignore_index=-1)
            for text, column in zip(texts, chosen, strict=True)
            if (values[:, column] >= 0).any()
        ]
        return torch.stack(losses).mean()

    def caption_loss(self, drawn: Tensor, expression: Tensor, values: Tensor) -> Tensor:
        """CLIP's symmetric loss; all faces that a caption describes count equally as its positives."""
        named = torch.from_numpy(self.random.random(values.shape) < 0.2) & (values >= 0)
        says_expression = torch.from_numpy(self.random.random(len(values)) < 0.6) | ~named.any(dim=1)
        sentences = [
            captions.caption(EXPRESSIONS[face] if says else "", row, marked, self.random)
            for face, says, row, marked in zip(
                expression.tolist(), says_expression.tolist(), values.numpy(), named.numpy(), strict=True
            )
        ]
        agree = (~named[None] | (values[:, None] == values[None])).all(dim=2)  # (face, caption)
        agree &= ~says_expression[None] | (expression[:, None] == expression[None])
        true = agree.float()
        logits = self.model.logit_scale.exp() * drawn @ self.texts(sentences).T
        by_face = soft_cross_entropy(logits, true / true.sum(dim=1, keepdim=True))
        by_caption = soft_cross_entropy(logits.T, true.T / true.T.sum(dim=1, keepdim=True))
        return (by_face + by_caption) / 2

    def loss(self, step: int) -> dict[str, Tensor]:
        """The named, unweighted terms on a fresh batch."""
        (real, votes), drawn = self.real.take(step, self.generator), self.drawn.take(step, self.generator)
        pixels = (torch.cat([real, drawn.pixels]) - 0.5) / 0.25
        with AUTOCAST:
            features = self.model.encode_image(pixels.contiguous(memory_format=torch.channels_last))
        features = nn.functional.normalize(features.float(), dim=1)
        of_real, of_drawn = features[: len(real)], features[len(real) :]
        real_loss, drawn_loss = self.expression_loss(
            of_real, votes, of_drawn, drawn.expression, adjustment=self.real.adjustment(step)
        )
        return {
            "real": real_loss,
            "drawn": drawn_loss,
            "attributes": self.attribute_loss(of_drawn, drawn.attributes),
            "captions": self.caption_loss(of_drawn, drawn.expression, drawn.attributes),
        }

    def optimizer(self) -> torch.optim.AdamW:
        """AdamW with a rate for each tower; scales, biases, and embeddings do not decay."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            rate = self.recipe.image_rate if name.startswith("visual.") else self.recipe.text_rate
            decays = parameter.ndim >= 2 and "embedding" not in name
            groups.setdefault((rate, self.recipe.weight_decay if decays else 0.0), []).append(parameter)
        return torch.optim.AdamW(
            [{"params": p, "lr": rate, "peak": rate, "weight_decay": decay} for (rate, decay), p in groups.items()],
            fused=True,
        )

    def run(self, path: Path) -> None:
        """All steps that the state beside `path` lacks.

        The averaged weights replace the model's at the end, and are saved to `path` now and then.
        """
        recipe, optimizer, history = self.recipe, self.optimizer(), History(path.with_name(HISTORY))
        weight = {
            "real": 1.0,
            "drawn": recipe.drawn_weight,
            "attributes": recipe.attribute_weight,
            "captions": recipe.caption_weight,
        }
        for step in range(self._restore(path, optimizer), recipe.steps):
            if recipe.restarts(step):
                self.model.load_state_dict(self.average)
                optimizer = self.optimizer()
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * recipe.rate(step)
            terms = self.loss(step)
            optimizer.zero_grad()
            torch.stack([weight[name] * value for name, value in terms.items()]).sum().backward()
            self._share_gradients()
            optimizer.step()
            self.model.logit_scale.data.clamp_(0.0, math.log(100.0))
            self._update_average(step)
            if self.rank == 0:
                history.add(step + 1, {name: value.item() for name, value in terms.items()})
            if (step + 1) % SAVE_EVERY == 0:
                self._save(path, optimizer, step + 1)
        self.model.load_state_dict(self.average)

    def _restore(self, path: Path, optimizer: torch.optim.Optimizer) -> int:
        """The step to continue with."""
        state = resuming.read(path.with_name(resuming.FILE), asdict(self.recipe))
        if state is None:
            return 0
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        optimizer.load_state_dict(state["optimizer"])
        self._seed(state["step"])
        return int(state["step"])

    def _save(self, path: Path, optimizer: torch.optim.Optimizer, step: int) -> None:
        self._seed(step)
        if self.rank == 0:
            state = {"model": self.model.state_dict(), "average": self.average, "optimizer": optimizer.state_dict()}
            resuming.save(path.with_name(resuming.FILE), asdict(self.recipe), {"step": step, **state})
            kept = path.with_name(f"{path.stem}-{step:05}{path.suffix}")
            for each in (path, kept) if step % KEEP_EVERY == 0 else (path,):
                weights.save(self.average, self.words.ids, each, side=self.recipe.size(step - 1))

    def _share_gradients(self) -> None:
        """Average the gradients over the processes."""
        if self.recipe.processes == 1:
            return
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(together)
        together /= self.recipe.processes
        for gradient, shared in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(shared.view_as(gradient))

    def _update_average(self, step: int) -> None:
        keep = min(self.recipe.averaging, (step + 1) / (step + 20))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value.detach(), 1 - keep)
            else:
                self.average[name].copy_(value)


@torch.inference_mode()
def scale_output(model: Any, faces: Tensor) -> None:
    """Scale the projection so that the features of `faces` (N, 1, S, S) uint8 have a mean norm of `MEAN_NORM`."""
    model.eval()
    norms = [
        model.encode_image(((batch.float() / 255 - 0.5) / 0.25).expand(-1, 3, -1, -1)).norm(dim=1)
        for batch in faces.split(256)
    ]
    model.visual.head.proj.weight.mul_(MEAN_NORM / torch.cat(norms).mean())


@dataclass(frozen=True)
class Job:
    """What every process of a run needs; `path` receives the weights."""

    recipe: TrainingRecipe
    real: RealFaces
    drawn: SyntheticFaces
    path: Path
    meeting: Path


def train(rank: int, job: Job) -> Training:
    """The part of process `rank`; the processes find each other through the file `meeting`."""
    count = job.recipe.processes
    if count > 1:
        torch.set_num_threads(1)
        torch.distributed.init_process_group("gloo", init_method=job.meeting.as_uri(), rank=rank, world_size=count)
    training = Training(job.recipe, job.real, job.drawn, rank)
    training.run(job.path)
    return training


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, scale, save the weights and the recipe."""
    parser = argparse.ArgumentParser(description="Train the bundled encoder.")
    parser.add_argument("--ferplus", type=Path, required=True, help="folder of FERPlus: fer2013new.csv ...")
    parser.add_argument("--out", type=Path, required=True, help="folder for bundled.safetensors and recipe.json")
    options = parser.parse_args(arguments)
    recipe = TrainingRecipe()
    drawn = draw_faces(recipe.seed, recipe.drawn_faces, STYLES, workers=recipe.processes)
    real = read_ferplus(options.ferplus, "train")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / weights.FILE
    with TemporaryDirectory() as folder:
        job = Job(recipe, real, drawn, path=path, meeting=Path(folder) / "meeting")
        spawn = multiprocessing.get_context("spawn").Process
        others = [spawn(target=train, args=(rank, job)) for rank in range(1, recipe.processes)]
        for process in others:
            process.start()
        training = train(0, job)
        for process in others:
            process.join()
    side = recipe.size(recipe.steps - 1)
    scale_output(training.model, torch.from_numpy(read_ferplus(options.ferplus, "train", side).pixels)[:, None])
    weights.save(training.model.state_dict(), training.words.ids, path, side=side)
    (options.out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n")


if __name__ == "__main__":
    main()
