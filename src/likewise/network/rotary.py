"""Rotary positions: queries and keys are turned by angles that grow with a token's place (Su et al. 2021)."""

import torch
from torch import Tensor

Rotation = tuple[Tensor, Tensor]  # the cosines and the sines of the angles, each (tokens, width)


def rotation(places: Tensor, width: int, base: float) -> Rotation:
    """The angles of ``places`` (tokens,): place / base^(2i / width) for the i-th pair of ``width`` dimensions."""
    powers = torch.arange(0, width, 2, device=places.device, dtype=torch.float32) / width  # (width / 2,)
    angles = places.float()[:, None] * (1 / base**powers)  # (tokens, width / 2), rounded as Transformers rounds them
    angles = torch.cat([angles, angles], dim=1)  # (tokens, width): dimension i is paired with i + width / 2
    return angles.cos(), angles.sin()


def rotate(vectors: Tensor, by: Rotation) -> Tensor:
    """(tokens, heads, width) → the same, in float32 within; dimensions beyond those of the angles stay."""
    cosines, sines = (part[:, None] for part in by)  # (tokens, 1, rotated width)
    turned, rest = vectors.float().split([cosines.shape[-1], vectors.shape[-1] - cosines.shape[-1]], dim=-1)
    first, second = turned.chunk(2, dim=-1)
    turned = turned * cosines + torch.cat([-second, first], dim=-1) * sines
    return torch.cat([turned, rest], dim=-1).to(vectors.dtype)
