"""Imported first by the rooms that cannot do without torch, so that a missing one is one clear error."""

from likewise.extras import extra

with extra("torch", "What trains models, or computes with tensors,"):
    import torch  # noqa: F401
