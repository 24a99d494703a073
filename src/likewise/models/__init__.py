"""Descriptions of modules, put together by ``SentenceTransformer(modules=[Transformer(…), Pooling(…), …])``."""

from likewise.models.chain import Chain, Head, Module, Part, Routes, TextSource, TokenLayer, chain_of, routes_of
from likewise.models.classification_head import ClassificationHead
from likewise.models.heads import Dense, Dropout, LayerNorm, Normalize
from likewise.models.logit_scorer import LogitScorer
from likewise.models.pooling import Pooling
from likewise.models.router import Asym, Router
from likewise.models.sequence_classifier import SequenceClassifier
from likewise.models.static_embedding import StaticEmbedding
from likewise.models.token_layers import CNN, LSTM, WeightedLayerPooling
from likewise.models.transformer import Transformer
from likewise.models.words import BoW, WordEmbeddings, WordWeights

__all__ = [
    "CNN",
    "LSTM",
    "Asym",
    "BoW",
    "Chain",
    "ClassificationHead",
    "Dense",
    "Dropout",
    "Head",
    "LayerNorm",
    "LogitScorer",
    "Module",
    "Normalize",
    "Part",
    "Pooling",
    "Router",
    "Routes",
    "SequenceClassifier",
    "StaticEmbedding",
    "TextSource",
    "TokenLayer",
    "Transformer",
    "WeightedLayerPooling",
    "WordEmbeddings",
    "WordWeights",
    "chain_of",
    "routes_of",
]
