"""A TokenBatch as tensors: what every module of the network is handed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from likewise.tokens import TokenBatch


@dataclass(frozen=True, slots=True)
class PackedTokens:
    """Tokenised texts laid end to end on one device; text i is ids[offsets[i]:offsets[i + 1]]."""

    ids: Tensor  # (tokens,) int32
    offsets: Tensor  # (texts + 1,) int32
    max_length: int  # tokens of the longest text
    prompt_lengths: Tensor | None = None  # (texts,) int32
    segments: Tensor | None = None  # (tokens,) int32
    weights: Tensor | None = None  # (tokens,) float32, of the words, where the model has such

    @property
    def lengths(self) -> Tensor:
        """The number of tokens of each text, (texts,)."""
        return self.offsets.diff()

    def text_of_token(self) -> Tensor:
        """The index of the text that each token belongs to, (tokens,)."""
        lengths = self.lengths
        return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)

    def places(self) -> Tensor:
        """The place of each token within its text, counted from 0, (tokens,)."""
        starts = torch.repeat_interleave(self.offsets[:-1], self.lengths)
        return torch.arange(len(self.ids), device=self.ids.device, dtype=torch.int32) - starts


def packed_tokens(batch: TokenBatch, device: torch.device) -> PackedTokens:
    """``batch`` on ``device``; on the CPU its arrays are shared, not copied."""

    def tensor(array: object) -> Tensor:
        return torch.from_numpy(array).to(device, non_blocking=True)

    return PackedTokens(
        ids=tensor(batch.ids),
        offsets=tensor(batch.offsets),
        max_length=int(batch.lengths.max(initial=0)),
        prompt_lengths=None if batch.prompt_lengths is None else tensor(batch.prompt_lengths),
        segments=None if batch.segments is None else tensor(batch.segments),
    )
