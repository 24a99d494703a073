"""A model whose numbers can be worked out on paper."""

import re
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from likewise.encoding.report import EncodingReport
from likewise.similarity import cos_sim


class WordCounts:
    """In place of a model: the vector of a text says how often it holds each word of a small vocabulary."""

    VOCABULARY = ("kettle", "tea", "train", "late")
    LIMIT = 1000  # words; it does read those behind, but says that it does not
    made: ClassVar[list["WordCounts"]] = []

    similarity_fn_name = "cosine"
    prompts: ClassVar[dict[str, str]] = {}
    default_prompt_name = truncate_dim = None

    def __init__(self, model_name_or_path: str, **settings: object) -> None:
        name = model_name_or_path
        self.name, self.settings = name, settings
        self.calls: list[tuple[str, list[str], dict[str, object]]] = []
        self.fingerprint = name
        dtype = "float32" if settings.get("dtype") == "auto" else settings.get("dtype")
        self.engine = SimpleNamespace(name="paper", dtype=dtype, device="cpu")
        WordCounts.made.append(self)

    def encode(self, texts: Iterable[str], **settings: object) -> Any:
        return self._encode("encode", texts, settings)

    def encode_query(self, texts: Iterable[str], **settings: object) -> Any:
        return self._encode("encode_query", texts, settings)

    def encode_document(self, texts: Iterable[str], **settings: object) -> Any:
        return self._encode("encode_document", texts, settings)

    def similarity(self, one: Any, other: Any) -> Any:
        return cos_sim(one, other)

    def _encode(self, method: str, texts: Iterable[str], settings: dict[str, object]) -> Any:
        texts = list(texts)
        if texts:  # else the arguments alone are checked
            self.calls.append((method, texts, settings))
        told = settings.pop("return_report", False)
        words = [re.findall(r"\w+", text.lower()) for text in texts]
        vectors = np.array([[text.count(word) for word in self.VOCABULARY] for text in words], dtype=np.float32)
        lengths = np.array([len(text) for text in words], dtype=np.int32)
        return (vectors, EncodingReport(self.LIMIT, lengths, np.minimum(lengths, self.LIMIT))) if told else vectors
