"""Crops of faces -> probabilities: by a run's head, by the mean of a method's seeds, or by text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fercache.adaptations import Scores
from fercache.encoders import Encoder, TextEncoder, load_encoder
from fercache.errors import FercacheError, UsageError
from fercache.loading.models import PROMPTS, ZERO_SHOT, find_model
from fercache.loading.run_config import RunConfig
from fercache.loading.runs import LoadedRun, load_chosen, load_run
from fercache.loading.source_features import SourceMeans
from fercache.loading.tables import same_encoder
from fercache.options.extract import EncoderRequest
from fercache.prompts import prompts_to_choose_from
from fercache.settings import Settings
from fercache.stages._adapting import Streaming
from fercache.stages.embed_prompts import check_prompts, embed
from fercache.store.tables import find_tables, read_table
from fercache.trunks import Faces

_BUNDLED = EncoderRequest()


@dataclass(frozen=True, slots=True)
class Square:
    """A face as the encoder takes it, (S, S, 3) uint8, and the same at the side of the head's crops, if it has any."""

    view: NDArray[np.uint8]
    crop: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Classifier:
    """An encoder, and functions from its features (and crops of `crop_side`) to calibrated logits of `names`.

    Several functions, the seeds of a method, count equally: their probabilities are averaged. `title` names the run or
    the method, `runs` are those that the functions come from. `request` is the encoder's, `prompts` the set of texts,
    "" for sentences; `adapted_by` is the adaptation of the functions.
    """

    title: str
    encoder: Encoder
    names: tuple[str, ...]
    logits: tuple[Scores, ...]
    runs: tuple[LoadedRun, ...] = ()
    crop_side: int | None = None
    request: EncoderRequest = _BUNDLED
    prompts: str = PROMPTS
    adapted_by: str = ""

    @property
    def device(self) -> str:
        """Where the heads compute."""
        return self.runs[0].device if self.runs else "cpu"

    @property
    def training(self) -> str:
        """In one line, what its head was trained on."""
        if not self.runs:
            return f"{self.title}: nearest text of encoder {self.encoder.name}, no head was trained"
        seeds = f" ({len(self.runs)} seeds)" if len(self.runs) > 1 else ""
        return f"{self.title}{seeds}: trained on {self.runs[0].config.source}"

    @property
    def declined(self) -> str:
        """Why the last faces were not adapted to; "" if they were, or no adaptation was requested."""
        return next((each.declined for each in self.logits if isinstance(each, Streaming) and each.declined), "")

    def prepare(self, face: NDArray[np.uint8]) -> Square:
        """The crop of a face, (H, W, 3) uint8, at the sides that the encoder and the head take. Thread-safe."""
        crop = None if self.crop_side is None else self.encoder.preprocess(face, self.crop_side)
        return Square(self.encoder.preprocess(face), crop)

    @torch.inference_mode()
    def probabilities(self, faces: Sequence[Square]) -> NDArray[np.float32]:
        """(N, L), rows summing to 1; N >= 1."""
        features = torch.from_numpy(self.encoder.encode_images(np.stack([face.view for face in faces])))
        crops = [face.crop for face in faces if face.crop is not None]
        stacked = torch.from_numpy(np.stack(crops)).to(self.device) if crops else None
        on_device = Faces(features.to(self.device), stacked)
        shares = [logits(on_device).float().softmax(dim=1) for logits in self.logits]
        found: NDArray[np.float32] = torch.stack(shares).mean(dim=0).cpu().numpy()
        return found


def of_text(request: EncoderRequest, prompts: str | None = None, sentences: Sequence[str] = ()) -> Classifier:
    """The similarity to a prompt set, or to `sentences`; by default the seven basic expressions.

    Raises UsageError for an encoder without text, and for prompts that it cannot tell apart.
    """
    encoder = load_encoder(request)
    if not isinstance(encoder, TextEncoder):
        raise UsageError(f"{encoder.name} cannot encode text; give a trained head with --run.")
    chosen = prompts_to_choose_from(prompts, tuple(sentences))
    embedded = embed(encoder, chosen)
    if prompts or sentences:
        check_prompts(encoder, chosen, embedded)
    text = torch.from_numpy(np.stack([rows.mean(axis=0) for rows in embedded.values()]))
    directions = torch.nn.functional.normalize(text, dim=1)

    def logits(faces: Faces) -> torch.Tensor:
        return encoder.logit_scale * torch.nn.functional.normalize(faces.features, dim=1) @ directions.T

    named = "" if sentences else prompts or PROMPTS
    return Classifier(ZERO_SHOT, encoder, tuple(chosen), (logits,), request=request, prompts=named)


def of_trained(
    settings: Settings, model: str, device: str = "auto", *, adapt: str | None = None, precision: str = ""
) -> Classifier:
    """A run by its name or key, or all seeds of a method: see `find_model`. `adapt` names an adaptation.

    The encoder computes in the `precision` of the training features, unless another is given.

    Raises UsageError for an unknown model, and FercacheError if its encoder has changed since.
    """
    title, folders = find_model(settings.cache, model)
    runs = tuple(load_run(folder, device) for folder in folders)
    config = runs[0].config
    encoder = _encoder_of(config, device, precision)
    logits: tuple[Scores, ...] = tuple(map(_calibrated, runs))
    if adapt:
        source = SourceMeans(find_tables(settings.cache), read_table).of(config).to(runs[0].device)
        logits = tuple(Streaming(adapt, source, each) for each in logits)
    return Classifier(
        title,
        encoder,
        tuple(config.expressions),
        logits,
        runs=runs,
        crop_side=config.crop_side,
        adapted_by=adapt or "",
    )


def _encoder_of(config: RunConfig, device: str, precision: str) -> Encoder:
    precision = precision or config.encoder_identity.get("precision", "auto")
    encoder = load_encoder(EncoderRequest.of(config.encoder_request, device=device, precision=precision))
    if not same_encoder(encoder.key_identity(), config.encoder_identity):
        raise FercacheError(
            f"{config.name} was trained on features of {config.encoder}, whose weights or settings have "
            "changed since. Restore the old weights, or extract and train again."
        )
    return encoder


def _calibrated(loaded: LoadedRun) -> Callable[[Faces], torch.Tensor]:
    temperature = loaded.temperature(load_chosen(loaded)) or 1.0
    return lambda faces: loaded.head.logits(faces) / temperature
