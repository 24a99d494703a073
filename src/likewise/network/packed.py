"""A TokenBatch as tensors: what every module of the network is handed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.tokens import TokenBatch

Runs = Sequence[tuple[int, int]]  # (texts, tokens of each) for each run of neighbouring texts of one length


@dataclass(frozen=True, slots=True)
class PackedTokens:
    """Tokenised texts laid end to end on one device; text i is ids[offsets[i]:offsets[i + 1]].

    ``runs`` says how long the texts are without asking the device, which would have to finish its work first.
    """

    ids: Tensor  # (tokens,) int32
    offsets: Tensor  # (texts + 1,) int32
    runs: Runs  # texts without tokens are among them
    prompt_lengths: Tensor | None = None  # (texts,) int32
    segments: Tensor | None = None  # (tokens,) int32
    weights: Tensor | None = None  # (tokens,) float32, of the words, where the model has such

    @property
    def lengths(self) -> Tensor:
        """The number of tokens of each text, (texts,)."""
        return self.offsets.diff()

    @property
    def max_length(self) -> int:
        """The number of tokens of the longest text."""
        return max((length for _, length in self.runs), default=0)

    def of_each_token(self, values: Tensor) -> Tensor:
        """What belongs to each text, (texts,), for each of its tokens, (tokens,)."""
        return torch.repeat_interleave(values, self.lengths, output_size=len(self.ids))

    def text_of_token(self) -> Tensor:
        """The index of the text that each token belongs to, (tokens,)."""
        return self.of_each_token(torch.arange(len(self.offsets) - 1, device=self.offsets.device))

    def places(self) -> Tensor:
        """The place of each token within its text, counted from 0, (tokens,)."""
        starts = self.of_each_token(self.offsets[:-1])
        return torch.arange(len(self.ids), device=self.ids.device, dtype=torch.int32) - starts


@dataclass(frozen=True, slots=True)
class Rows:
    """Where packed tokens lie once each text is a row, filled up to the longest of them."""

    is_token: Tensor  # (texts, longest)
    sources: Tensor  # (texts * longest,), which packed token stands at each place; any, where is_token is false
    places: Tensor  # (tokens,), where each packed token stands among the rows laid end to end


def rows_of(offsets: Tensor, longest: int, tokens: int) -> Rows:
    """The rows of texts at ``offsets`` (texts + 1,), all with tokens; nothing waits for the device."""
    device = offsets.device
    lengths, starts = offsets.diff(), offsets[:-1] - offsets[:1]
    is_token = torch.arange(longest, device=device) < lengths[:, None]
    first_places = torch.arange(len(lengths), device=device) * longest
    shifts = torch.repeat_interleave(first_places - starts, lengths, output_size=tokens)
    return Rows(is_token, is_token.flatten().cumsum(0).sub_(1), torch.arange(tokens, device=device) + shifts)


def runs_of_lengths(lengths: NDArray[np.integer[Any]]) -> Runs:
    """(texts,) → how many neighbouring texts are of one length, and which."""
    if not len(lengths):
        return []
    starts = np.flatnonzero(np.diff(lengths, prepend=lengths[0] - 1))
    counts = np.diff(starts, append=len(lengths))
    return list(zip(counts.tolist(), lengths[starts].tolist(), strict=True))


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """``array`` on ``device``: on the CPU it is shared, not copied; CUDA copies it while the CPU goes on."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":  # from memory that is not pinned, the copy would be waited for
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def packed_tokens(batch: TokenBatch, device: torch.device) -> PackedTokens:
    """``batch`` on ``device``; on the CPU its arrays are shared, not copied."""
    return PackedTokens(
        ids=on_device(batch.ids, device),
        offsets=on_device(batch.offsets, device),
        runs=runs_of_lengths(batch.lengths),
        prompt_lengths=None if batch.prompt_lengths is None else on_device(batch.prompt_lengths, device),
        segments=None if batch.segments is None else on_device(batch.segments, device),
    )
