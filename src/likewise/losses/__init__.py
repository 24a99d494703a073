"""Training objectives, under the field's names: one in a file."""

import likewise.needs_torch  # noqa: F401
from likewise.losses.angle import AnglELoss
from likewise.losses.batch_all_triplet import BatchAllTripletLoss
from likewise.losses.batch_hard_soft_margin_triplet import BatchHardSoftMarginTripletLoss
from likewise.losses.batch_hard_triplet import BatchHardTripletLoss
from likewise.losses.batch_semi_hard_triplet import BatchSemiHardTripletLoss
from likewise.losses.batch_triplets import BatchHardTripletLossDistanceFunction
from likewise.losses.cached_gist_embed import CachedGISTEmbedLoss
from likewise.losses.cached_multiple_negatives_ranking import CachedMultipleNegativesRankingLoss
from likewise.losses.cached_multiple_negatives_symmetric_ranking import CachedMultipleNegativesSymmetricRankingLoss
from likewise.losses.contrastive import ContrastiveLoss, SiameseDistanceMetric
from likewise.losses.cosent import CoSENTLoss
from likewise.losses.cosine_similarity import CosineSimilarityLoss
from likewise.losses.denoising_auto_encoder import DenoisingAutoEncoderLoss
from likewise.losses.distill_kl_div import DistillKLDivLoss
from likewise.losses.gist_embed import GISTEmbedLoss
from likewise.losses.loss import Loss
from likewise.losses.margin_mse import MarginMSELoss
from likewise.losses.matryoshka import MatryoshkaLoss
from likewise.losses.mse import MSELoss
from likewise.losses.multiple_negatives_ranking import MultipleNegativesRankingLoss
from likewise.losses.multiple_negatives_symmetric_ranking import MultipleNegativesSymmetricRankingLoss
from likewise.losses.online_contrastive import OnlineContrastiveLoss
from likewise.losses.softmax import SoftmaxLoss
from likewise.losses.triplet import TripletDistanceMetric, TripletLoss
from likewise.losses.word_deletion import delete_words

__all__ = [
    "AnglELoss",
    "BatchAllTripletLoss",
    "BatchHardSoftMarginTripletLoss",
    "BatchHardTripletLoss",
    "BatchHardTripletLossDistanceFunction",
    "BatchSemiHardTripletLoss",
    "CachedGISTEmbedLoss",
    "CachedMultipleNegativesRankingLoss",
    "CachedMultipleNegativesSymmetricRankingLoss",
    "CoSENTLoss",
    "ContrastiveLoss",
    "CosineSimilarityLoss",
    "DenoisingAutoEncoderLoss",
    "DistillKLDivLoss",
    "GISTEmbedLoss",
    "Loss",
    "MSELoss",
    "MarginMSELoss",
    "MatryoshkaLoss",
    "MultipleNegativesRankingLoss",
    "MultipleNegativesSymmetricRankingLoss",
    "OnlineContrastiveLoss",
    "SiameseDistanceMetric",
    "SoftmaxLoss",
    "TripletDistanceMetric",
    "TripletLoss",
    "delete_words",
]
