"""Training objectives, under the field's names: one in a file."""

from likewise.losses.angle import AnglELoss
from likewise.losses.batch_all_triplet import BatchAllTripletLoss
from likewise.losses.batch_hard_soft_margin_triplet import BatchHardSoftMarginTripletLoss
from likewise.losses.batch_hard_triplet import BatchHardTripletLoss
from likewise.losses.batch_semi_hard_triplet import BatchSemiHardTripletLoss
from likewise.losses.batch_triplets import BatchHardTripletLossDistanceFunction
from likewise.losses.contrastive import ContrastiveLoss, SiameseDistanceMetric
from likewise.losses.cosent import CoSENTLoss
from likewise.losses.cosine_similarity import CosineSimilarityLoss
from likewise.losses.distill_kl_div import DistillKLDivLoss
from likewise.losses.loss import Loss
from likewise.losses.margin_mse import MarginMSELoss
from likewise.losses.mse import MSELoss
from likewise.losses.online_contrastive import OnlineContrastiveLoss
from likewise.losses.softmax import SoftmaxLoss
from likewise.losses.triplet import TripletDistanceMetric, TripletLoss

__all__ = [
    "AnglELoss",
    "BatchAllTripletLoss",
    "BatchHardSoftMarginTripletLoss",
    "BatchHardTripletLoss",
    "BatchHardTripletLossDistanceFunction",
    "BatchSemiHardTripletLoss",
    "CoSENTLoss",
    "ContrastiveLoss",
    "CosineSimilarityLoss",
    "DistillKLDivLoss",
    "Loss",
    "MSELoss",
    "MarginMSELoss",
    "OnlineContrastiveLoss",
    "SiameseDistanceMetric",
    "SoftmaxLoss",
    "TripletDistanceMetric",
    "TripletLoss",
]
