"""What an encoder is: packed tokens in, one vector per token out."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.checkpoint.names import PROJECTIONS, with_projections_joined
from likewise.network.packed import PackedTokens


class Encoder(nn.Module):
    """Embeddings and layers. A subclass tells what each of them gives, in ``states``."""

    settings: Any

    def states(self, tokens: PackedTokens) -> Iterator[Tensor]:
        """What the embeddings give, then what each layer gives, each (tokens, hidden)."""
        raise NotImplementedError

    def forward(self, tokens: PackedTokens) -> Tensor:
        """(tokens,) → (tokens, hidden)."""
        hidden = None
        for state in self.states(tokens):  # not kept: only the last is wanted
            hidden = state
        assert hidden is not None
        return hidden

    def all_layers(self, tokens: PackedTokens) -> list[Tensor]:
        """(tokens,) → layers + 1 times (tokens, hidden), as Transformers' ``hidden_states``."""
        return list(self.states(tokens))

    @staticmethod
    def fused(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Named arrays → this module's: the three projections of each layer become one.

        Raises:
            ValueError: One of the three is missing, or their shapes differ.
        """
        return with_projections_joined(arrays)

    @staticmethod
    def parted(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """This module's arrays → named arrays, as they are stored."""
        parted = {}
        for name, array in arrays.items():
            if ".qkv." in name:
                for part, values in zip(PROJECTIONS, np.split(array, 3), strict=True):
                    parted[name.replace(".qkv.", f".{part}.")] = values
            else:
                parted[name] = array
        return parted


def table(rows: int, width: int) -> nn.Embedding:
    """A table of vectors, (rows, width), that a checkpoint fills."""
    # nn.Embedding's own filling would import torch's compiler on the meta device, 0.7 s.
    return nn.Embedding.from_pretrained(torch.empty(rows, width), freeze=False)
