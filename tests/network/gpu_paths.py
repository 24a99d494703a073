"""What a GPU computes, on the CPU: a reference in place of CUDA's kernel, padded rows, and a watch for waiting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from likewise.network import attention, varlen

KERNELS = {  # the arguments of varlen_attn behind the seven that all have, by the version of torch
    "2.11": {"return_aux", "scale", "window_size"},
    "2.12": {"return_aux", "scale", "window_size", "enable_gqa", "seqused_k", "block_table", "num_splits"},
}


def reference_of(known: set[str]) -> Callable[..., Tensor]:
    """A slow varlen_attn that takes the arguments ``known``, and no others."""

    def attend(
        query: Tensor, key: Tensor, value: Tensor, starts: Tensor, ends: Tensor, longest: int, _: int, **options: Any
    ) -> Tensor:
        assert set(options) <= known
        assert longest == int(starts.diff().max())
        assert starts.dtype == ends.dtype == torch.int32
        before, after = options.get("window_size", (-1, -1))
        if key.shape[1] != query.shape[1]:
            assert options["enable_gqa"]
            key, value = (tensor.repeat_interleave(query.shape[1] // key.shape[1], 1) for tensor in (key, value))
        scale = options.get("scale") or query.shape[-1] ** -0.5
        mixed = torch.empty_like(query)
        for start, stop in pairwise(starts.tolist()):
            scores = torch.einsum("ihw,jhw->hij", query[start:stop], key[start:stop]) * scale
            places = torch.arange(stop - start)
            distance = places - places[:, None]  # of a key behind a query
            unseen = (distance > after if after >= 0 else distance < -stop) | (before >= 0) & (distance < -before)
            weights = scores.masked_fill(unseen, -torch.inf).softmax(-1)
            mixed[start:stop] = torch.einsum("hij,jhw->ihw", weights, value[start:stop])
        return mixed

    return attend


@contextmanager
def as_on_a_gpu(kernel: str | None) -> Iterator[list[int]]:
    """Within, attention is computed as on a GPU: by the ``kernel`` of a torch, or padded where that is None.

    Gives the number of tokens of each call of the kernel.
    """
    calls: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        if kernel is None:
            patch.setattr(attention, "_joined_to", lambda *_: float("inf"))
        else:
            reference = reference_of(KERNELS[kernel])

            def counted(*arguments: Any, **options: Any) -> Tensor:
                calls.append(len(arguments[0]))
                return reference(*arguments, **options)

            patch.setattr(varlen, "computes", lambda query: True)
            patch.setattr(varlen, "_kernel", lambda: (counted, frozenset(KERNELS[kernel])))
        yield calls


class NothingWaits(TorchDispatchMode):
    """Fails at whatever makes the CPU wait for a GPU: a value or a size that only the GPU knows."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    WAITS = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "is_nonzero", "item")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, options = func.overloadpacket.__name__, kwargs or {}
        assert not any(name == wait or name.startswith("unique") for wait in self.WAITS), f"{func} waits for the device"
        if name == "repeat_interleave" and any(isinstance(value, Tensor) for value in args[1:]):
            assert options.get("output_size") is not None, f"{func} waits for its size"
        if name in ("index", "index_put", "index_put_"):
            assert all(place is None or place.dtype != torch.bool for place in args[1]), f"{func} waits for its size"
        if name == "segment_reduce":
            assert options.get("unsafe"), f"{func} waits for a look at the lengths"
        return func(*args, **options)
