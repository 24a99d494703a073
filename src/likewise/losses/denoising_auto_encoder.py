"""Reconstruction: from the embedding of a damaged text, a decoder shall write the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.losses.columns import Column
from likewise.losses.loss import Loss, Needs
from likewise.models import Transformer
from likewise.network.decoder import read_decoder
from likewise.tokens import TokenBatch

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

NO_TOKEN = -100  # a place behind the end of a text


def reconstruction(logits: Tensor, ids: Tensor) -> Tensor:
    """Mean cross-entropy of the tokens ``ids``, (texts, length), NO_TOKEN left out: a scalar.

    Wang et al. 2021, https://arxiv.org/abs/2104.06979, section 3. ``logits`` is (texts, length, vocabulary).
    """
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=NO_TOKEN)


class DenoisingAutoEncoderLoss(Loss):
    """TSDAE: mean cross-entropy of a text's tokens, of which the decoder sees the vector of the damaged text.

    Wang et al. 2021, https://arxiv.org/abs/2104.06979. ``delete_words`` damages a text as they do. The decoder is a
    language model of the ``transformers`` extra. With ``tie_encoder_decoder`` it is of the encoder's architecture and
    shares its weights; ``decoder_name_or_path`` then says nothing. Only its cross-attention and its head are its own.

    Raises:
        ImportError: Transformers is not installed.
        ValueError: There is no such decoder, or it reads vectors of another width than the model gives.
    """

    needs = Needs("two texts (a damaged one, the original)")
    takes_any_width = False

    def __init__(
        self, model: SentenceTransformer, decoder_name_or_path: str | None = None, tie_encoder_decoder: bool = True
    ):
        super().__init__(model)
        source = model.live.routes.first.source
        if not isinstance(source, Transformer):
            raise ValueError(
                f"DenoisingAutoEncoderLoss needs a model with a Transformer, not a {type(source).__name__}"
            )
        if not tie_encoder_decoder:
            if decoder_name_or_path is None:
                raise ValueError("with tie_encoder_decoder=False, decoder_name_or_path must name the decoder")
            source = Transformer(decoder_name_or_path)
        self.tie_encoder_decoder = tie_encoder_decoder
        self.decoder_name_or_path = str(source.location.folder) if tie_encoder_decoder else decoder_name_or_path
        self.decoder = read_decoder(source).to(self.network.device)
        self.need_retokenization = source.tokenizer.get_vocab() != model.tokenizer.get_vocab()
        self.source = source
        if self.decoder.width != model.get_embedding_dimension():
            raise ValueError(
                f"the decoder reads vectors of {self.decoder.width} numbers, but the model gives "
                f"{model.get_embedding_dimension()}; choose a decoder with that hidden_size"
            )
        if tie_encoder_decoder:
            self.decoder.share(self.encoder)

    @property
    def encoder(self) -> nn.Module:
        """What gives the token vectors."""
        live = self.model.live
        return live.part(live.routes.first.source)

    def from_columns(self, columns: Sequence[Column], labels: Tensor | None) -> Tensor:
        """The loss of the damaged texts and their originals: a scalar."""
        damaged, original = columns
        vectors = self.embed([damaged])[0]  # (texts, dim)
        tokens = self.source.tokenize(original.texts) if self.need_retokenization else original.tokens
        ids = padded(tokens, NO_TOKEN).to(vectors.device)  # (texts, length)
        seen = ids[:, :-1].masked_fill(ids[:, :-1] == NO_TOKEN, self.decoder.padding_id)
        logits = self.decoder(seen, vectors, self.encoder)  # (texts, length - 1, vocabulary)
        return reconstruction(logits, ids[:, 1:])

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {
            "decoder_name_or_path": self.decoder_name_or_path,
            "need_retokenization": self.need_retokenization,
        }


def padded(tokens: TokenBatch, filler: int) -> Tensor:
    """The tokens with a row for each text, (texts, longest), as the decoders of Transformers want them."""
    lengths = tokens.lengths
    is_token = np.arange(lengths.max(initial=0)) < lengths[:, None]
    rows = np.full(is_token.shape, filler, dtype=np.int64)
    rows[is_token] = tokens.ids
    return torch.from_numpy(rows)
