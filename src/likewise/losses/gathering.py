"""The rows of all processes, so that each finds its negatives among all of them; differentiable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


def gathered(columns: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """(rows, dim) for each column → (rows of all processes, dim) for each, in the order of the processes; own rows.

    The second is (rows,), the places of this process's rows among all. Gradients flow back to the process that a row
    is from, summed over all: where processes average theirs, as DistributedDataParallel does, they become those of one
    process with all rows. Without torch.distributed this process has all rows.
    """
    stacked = torch.stack(list(columns))  # (columns, rows, dim)
    rows, before = stacked.shape[1], 0
    if dist.is_available() and dist.is_initialized():
        counts = [torch.empty(1, dtype=torch.int64, device=stacked.device) for _ in range(dist.get_world_size())]
        dist.all_gather(counts, torch.tensor([rows], device=stacked.device))
        sizes = [int(count) for count in counts]
        # All must send equally many, and the last batch of a data set may be shorter in one of them.
        parts = _Gathered.apply(F.pad(stacked, (0, 0, 0, max(sizes) - rows)))  # type: ignore[no-untyped-call]
        stacked = torch.cat([part[:, :size] for part, size in zip(parts, sizes, strict=True)], dim=1)
        before = sum(sizes[: dist.get_rank()])
    return list(stacked), torch.arange(before, before + rows, device=stacked.device)


class _Gathered(torch.autograd.Function):
    """(…) on each process → (processes, …) on all."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        summed = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed[dist.get_rank()]
