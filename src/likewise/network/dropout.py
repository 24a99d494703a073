"""Dropout (Srivastava et al. 2014), at a third of what torch's costs on a CPU."""

import torch
from torch import Tensor, nn

CHANCES = 1 << 16  # torch draws 64 bits at a time: these decide on four values


def dropped(values: Tensor, chance: float) -> Tensor:
    """``values`` with each set to 0 with ``chance``, the others so much larger that the mean stays.

    On a CPU ``chance`` is rounded to the nearest of 65,536 steps.
    """
    if values.device.type != "cpu" or round(chance * CHANCES) in (0, CHANCES):
        return nn.functional.dropout(values, chance)
    count = values.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    steps = round(chance * CHANCES)
    is_kept = (bits >= steps - CHANCES // 2).view(values.shape)
    return values * is_kept.to(values.dtype).mul_(CHANCES / (CHANCES - steps))


class Dropout(nn.Dropout):
    """``dropped`` in training, nothing otherwise."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, torch's name
        """Any shape in and out."""
        return dropped(input, self.p) if self.training and self.p else input
