"""A model beside its exported graph, and what both make of the same token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from likewise import SentenceTransformer, models
from likewise.export import export_onnx
from likewise.export.check import padded
from tests.network.batches import packed

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """A model in float32, and a session on its graph."""

    model: SentenceTransformer
    session: Any

    @property
    def source(self) -> models.Transformer:
        source = self.model.live.routes.first.source
        assert isinstance(source, models.Transformer)
        return source

    def ours(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """The model's own vectors of token ids, (texts, dim)."""
        return next(iter(self.model.engine.embed([packed(texts)])))

    def theirs(
        self, texts: Sequence[Sequence[int]], more: int = 0, side: str = "right", segments: int = 0
    ) -> NDArray[np.float32]:
        """The graph's, with ``more`` columns of padding than are needed."""
        feed = padded(packed(texts), self.source.settings.padding_id, more, side)
        feed["token_type_ids"] = feed["attention_mask"] * segments
        vectors: NDArray[np.float32] = self.session.run(None, feed)[0]
        return vectors


def exported(modules: Sequence[Any], folder: Path, dtype: str = "float32", **settings: Any) -> Exported:
    """The model made of ``modules``, with weights of its own for the heads, and its graph."""
    torch.manual_seed(0)
    model = SentenceTransformer(modules=list(modules), dtype="float32", device="cpu", **settings)
    path = folder / "graph.onnx"
    export_onnx(model, path, dtype)
    return Exported(model, session(path))


def session(path: Path) -> Any:
    """The graph in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def assert_close(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(actual, expected, atol=TOLERANCE, rtol=0)
