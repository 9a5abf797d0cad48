"""Train a bundled encoder: `python -m fercache.encoders.bundled.train --ferplus ROOT --out DIR`.

A small CLIP from random weights, on FERPlus's train split and on synthetic faces of styles that no synthetic domain
has; `objectives.py` says how. If it is stopped, the same command continues from the last state in DIR.
"""

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from fercache.encoders.bundled import resuming, weights
from fercache.encoders.bundled.faces import RealFaces, SyntheticFaces, draw_faces, read_ferplus
from fercache.encoders.bundled.objectives import General, Labelled
from fercache.encoders.bundled.recipe import RECIPES, TrainingRecipe
from fercache.synthetic_faces import STYLES

SAVE_EVERY = 100  # steps
SHOW_EVERY = 25  # steps
HISTORY = "history.csv"
KEEP_EVERY = 500  # steps: these averages stay, for curves
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


class Training:
    """One run of a recipe."""

    def __init__(self, recipe: TrainingRecipe, real: RealFaces, drawn: SyntheticFaces, rank: int = 0) -> None:
        self.recipe, self.rank = recipe, rank
        torch.manual_seed(recipe.seed)
        self.model = weights.build()
        self.objective = (Labelled if recipe.labels else General)(recipe, self.model, real, drawn, rank=rank)
        self.words = self.objective.sentences.words
        self.model.logit_scale.data.fill_(math.log(20.0))
        self.model.to(memory_format=torch.channels_last)
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def optimizer(self) -> torch.optim.AdamW:
        """AdamW with a rate for each tower; scales, biases, and embeddings do not decay."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            rate = self.recipe.image_rate if name.startswith("visual.") else self.recipe.text_rate
            decays = parameter.ndim >= 2 and "embedding" not in name
            groups.setdefault((rate, self.recipe.weight_decay if decays else 0.0), []).append(parameter)
        groups[(self.recipe.image_rate, 0.0)] += self.objective.projector.parameters()
        return torch.optim.AdamW(
            [{"params": p, "lr": rate, "peak": rate, "weight_decay": decay} for (rate, decay), p in groups.items()],
            fused=True,
        )

    def run(self, path: Path) -> None:
        """All steps that the state beside `path` lacks.

        The averaged weights replace the model's at the end, and are saved to `path` now and then.
        """
        recipe, optimizer, history = self.recipe, self.optimizer(), History(path.with_name(HISTORY))
        for step in range(self._restore(path, optimizer), recipe.steps):
            if recipe.restarts(step):
                self.model.load_state_dict(self.average)
                optimizer = self.optimizer()
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * recipe.rate(step)
            terms = self.objective.terms(step)
            optimizer.zero_grad()
            torch.stack([self.objective.weights[name] * value for name, value in terms.items()]).sum().backward()
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
        self.objective.projector.load_state_dict(state["projector"])
        self.average = state["average"]
        optimizer.load_state_dict(state["optimizer"])
        self.objective.seed(state["step"])
        return int(state["step"])

    def _save(self, path: Path, optimizer: torch.optim.Optimizer, step: int) -> None:
        self.objective.seed(step)
        if self.rank == 0:
            trained = {"model": self.model, "projector": self.objective.projector, "optimizer": optimizer}
            states = {name: of.state_dict() for name, of in trained.items()}
            state = {"step": step, "average": self.average, **states}
            resuming.save(path.with_name(resuming.FILE), asdict(self.recipe), state)
            kept = path.with_name(f"{path.stem}-{step:05}{path.suffix}")
            for each in (path, kept) if step % KEEP_EVERY == 0 else (path,):
                weights.save(self.average, self.words.ids, each, side=self.recipe.size(step - 1))

    def _share_gradients(self) -> None:
        """Average the gradients over the processes."""
        if self.recipe.processes == 1:
            return
        parameters = (*self.model.parameters(), *self.objective.projector.parameters())
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
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
    parser = argparse.ArgumentParser(description="Train a bundled encoder.")
    parser.add_argument("--ferplus", type=Path, required=True, help="folder of FERPlus: fer2013new.csv ...")
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights and recipe.json")
    parser.add_argument("--encoder", choices=RECIPES, default="bundled", help="default: bundled")
    options = parser.parse_args(arguments)
    recipe = RECIPES[options.encoder]
    drawn = draw_faces(recipe.seed, recipe.drawn_faces, STYLES, workers=recipe.processes)
    real = read_ferplus(options.ferplus, "train")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / weights.FILES[options.encoder][0]
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
