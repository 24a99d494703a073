"""The import path of sentence_transformers.readers."""

from likewise.training.examples import InputExample

__all__ = ["InputExample"]
