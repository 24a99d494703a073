"""Attention over a packed batch by one kernel of CUDA's, ``torch.nn.attention.varlen``: no padding, no grouping.

The kernel is there for bfloat16 and float16 only, and its arguments differ between torch's versions; that stays here.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

WIDEST = 256  # of a head, in dimensions: what FlashAttention-2 computes (Dao 2023)


def computes(query: Tensor) -> bool:
    """Whether the kernel takes ``query`` (tokens, heads, width), so its device, its dtype and its width."""
    width = query.shape[-1]
    return (
        query.device.type == "cuda"
        and query.dtype in (torch.bfloat16, torch.float16)
        and width % 8 == 0
        and width <= WIDEST
        and _is_there(query.device)
    )


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    offsets: Tensor,
    longest: int,
    before: int | None = None,
    after: int | None = None,
    scale: float | None = None,
) -> Tensor:
    """Scaled dot-product attention within each text: (tokens, heads, width) in and out.

    key and value may have fewer heads, each shared by several of the query (Ainslie et al. 2023); offsets (texts + 1,)
    int32. A token sees ``before`` tokens before it and ``after`` behind it; None is all of them.
    """
    attend, known = _kernel()
    options: dict[str, Any] = {"scale": scale, "window_size": tuple(-1 if n is None else n for n in (before, after))}
    if key.shape[1] != query.shape[1]:
        if "enable_gqa" in known:  # since torch 2.12
            options["enable_gqa"] = True
        else:
            shared = query.shape[1] // key.shape[1]
            key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    mixed: Tensor = attend(query, key, value, offsets, offsets, longest, longest, **options)
    return mixed


@cache
def _kernel() -> tuple[Callable[..., Any], frozenset[str]]:
    """The kernel, and the names of its arguments."""
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn, frozenset(inspect.signature(varlen_attn).parameters)


@cache
def _is_there(device: torch.device) -> bool:
    """Whether torch was built with the kernel, and the GPU is recent enough: Ampere or later."""
    try:
        _kernel()
    except ImportError:
        return False
    return torch.backends.cuda.is_flash_attention_available() and torch.cuda.get_device_capability(device) >= (8, 0)
