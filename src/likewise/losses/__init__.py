"""Training objectives, under the field's names: one in a file."""

from likewise.losses.cosine_similarity import CosineSimilarityLoss
from likewise.losses.loss import Loss

__all__ = ["CosineSimilarityLoss", "Loss"]
