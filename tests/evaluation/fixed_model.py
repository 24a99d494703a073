"""In place of a model: the vector of a text is drawn from the text itself. Needs neither library, nor torch at once."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np


class FixedModel:
    """Gives each text a vector (16,) of float32, the same in every process; queries and documents differ by prompt."""

    def __init__(self, similarity_fn_name: str = "cosine", seed: int = 0) -> None:
        self.similarity_fn_name, self.seed = similarity_fn_name, seed
        self.calls: list[tuple[str, list[str], dict[str, Any]]] = []
        self.model_card_data = self
        self.device = "cpu"

    def set_evaluation_metrics(self, *arguments: object) -> None:
        """What sentence-transformers calls on a model's card."""

    def encode(self, texts: Sequence[str], **settings: Any) -> Any:
        return self._encode("encode", texts, "", settings)

    def encode_query(self, texts: Sequence[str], **settings: Any) -> Any:
        return self._encode("encode_query", texts, "query: ", settings)

    def encode_document(self, texts: Sequence[str], **settings: Any) -> Any:
        return self._encode("encode_document", texts, "document: ", settings)

    def similarity(self, one: Any, other: Any) -> Any:
        """Sentence-transformers asks the model itself; tensors in, a tensor out."""
        import torch
        from torch.nn.functional import normalize

        if self.similarity_fn_name == "cosine":
            one, other = normalize(one), normalize(other)
        elif self.similarity_fn_name != "dot":
            return -torch.cdist(one, other, p=2 if self.similarity_fn_name == "euclidean" else 1)
        return one @ other.T

    def _encode(self, method: str, texts: Sequence[str], prompt: str, settings: dict[str, Any]) -> Any:
        texts = list(texts)
        self.calls.append((method, texts, settings))
        prompt = settings.get("prompt") or prompt
        vectors = np.stack([self._vector(prompt + text) for text in texts]) if texts else np.empty((0, 16), "f")
        vectors = vectors[:, : settings.get("truncate_dim") or 16]
        if settings.get("normalize_embeddings"):
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        if (precision := settings.get("precision")) not in (None, "float32"):
            vectors = quantized(vectors, precision)
        if settings.get("convert_to_tensor") or settings.get("convert_to_numpy") is False:
            import torch

            tensor = torch.from_numpy(vectors)
            return tensor if settings.get("convert_to_tensor") else list(tensor)
        return vectors

    def _vector(self, text: str) -> Any:
        """Texts with the same first word are alike: half of the vector is the word's."""
        last = text.split(": ")[-1].split(" ")[0]
        parts = [np.random.default_rng((zlib.crc32(part.encode()), self.seed)).normal(size=16) for part in (last, text)]
        return (parts[0] + parts[1]).astype(np.float32)


def quantized(vectors: Any, precision: str) -> Any:
    """Numbers as the bucket of their dimension's range that they are in, or as bits."""
    if precision in ("int8", "uint8"):
        lowest, highest = vectors.min(0), vectors.max(0)
        codes = np.floor((vectors - lowest) / ((highest - lowest) / 255)).clip(0, 255).astype(np.uint8)
    else:
        codes = np.packbits(vectors > 0, axis=1)
    return (codes.astype(np.int16) - 128).astype(np.int8) if precision in ("int8", "binary") else codes
