"""A model as mteb, the Massive Text Embedding Benchmark, takes it.

mteb.evaluate(MTEBEncoder(SentenceTransformer("all-MiniLM-L6-v2")), mteb.get_tasks(tasks=["STS12"]))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer


class MTEBEncoder:
    """``model`` in mteb's encoder protocol, of mteb 2. ``name`` and ``revision`` are what the results are kept under.

    Queries and documents are embedded as such. Where the model has a prompt that is called after the task, or after its
    kind, as mteb calls them ("SciFact-query", "SciFact", "Retrieval-query", "Retrieval"), that one is used.
    """

    def __init__(self, model: SentenceTransformer, name: str | None = None, revision: str | None = None) -> None:
        self.model = model
        # mteb wants "organisation/name": a name on the Hub is one, a folder is not.
        is_hub_name = model.name.count("/") == 1 and not Path(model.name).exists()
        self.name = name or (model.name if is_hub_name else f"local/{Path(model.name).name}")
        self.revision = revision or "local"

    @property
    def mteb_model_meta(self) -> Any:
        """What mteb writes beside the results."""
        from mteb.models.model_meta import ModelMeta

        return ModelMeta.create_empty(
            {
                "name": self.name,
                "revision": self.revision,
                "embed_dim": self.model.get_embedding_dimension(),
                "framework": ["Sentence Transformers"],
            }
        )

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        show_progress_bar: bool = False,
        **settings: Any,
    ) -> NDArray[np.float32]:
        """The vectors of the texts in ``inputs``, batches with the column "text": (texts, dim).

        Other settings of mteb's, such as the size of its batches, do not change the vectors and are left out.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        kind = None if prompt_type is None else getattr(prompt_type, "value", prompt_type)
        named = [task_metadata.name, task_metadata.type]
        candidates = [f"{part}-{kind}" if with_kind else part for part in named for with_kind in (kind, None)]
        prompt_name = next((name for name in candidates if self.model.prompts.get(name)), None)
        methods = {"query": self.model.encode_query, "document": self.model.encode_document}
        encode: Any = methods.get(str(kind), self.model.encode)
        return encode(texts, prompt_name=prompt_name, show_progress_bar=show_progress_bar)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The model's own similarity of all pairs: (n, dim) × (m, dim) → (n, m)."""
        return self.model.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The model's own similarity of each pair: (n, dim) × (n, dim) → (n,)."""
        return self.model.similarity_pairwise(embeddings1, embeddings2)
