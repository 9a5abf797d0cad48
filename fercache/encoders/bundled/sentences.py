"""Embeddings of the captions in training."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import open_clip
import torch
from torch import Tensor, nn

from fercache.encoders.bundled import captions

AUTOCAST = torch.autocast("cpu", torch.bfloat16)


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


class Sentences:
    """Embeds sentences with the text tower of a model, whose token embedding becomes that of the captions' words."""

    def __init__(self, model: Any) -> None:
        self.model, self.words, self.mask = model, Words(model.text.context_length), model.text.attn_mask
        model.text.token_embedding = nn.Embedding(len(self.words.ids), model.text.token_embedding.embedding_dim)
        nn.init.normal_(model.text.token_embedding.weight, std=0.02)

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """(T, D) L2-normalised embeddings."""
        words = self.words(sentences)
        length = words.shape[1]
        self.model.text.attn_mask = self.mask[:length, :length]  # open_clip cuts positions, but not its mask
        with AUTOCAST:
            embedded: Tensor = self.model.encode_text(words)
        return nn.functional.normalize(embedded.float(), dim=1)
