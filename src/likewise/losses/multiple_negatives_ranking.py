"""Ranking: each text shall find its partner among the texts of the batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor

from likewise.losses.gathering import gathered
from likewise.losses.loss import Loss, Needs, name_of
from likewise.similarity import cos_sim

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

Direction = Literal["query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"]
PartitionMode = Literal["joint", "per_direction"]
HardnessMode = Literal["in_batch_negatives", "hard_negatives", "all_negatives"]

logger = logging.getLogger(__name__)


def ranking_losses(
    queries: Tensor,
    documents: Tensor,
    rows: Tensor,
    scale: float = 20.0,
    similarity_fct: Callable[[Tensor, Tensor], Tensor] = cos_sim,
    directions: Sequence[Direction] = ("query_to_doc",),
    partition_mode: PartitionMode = "joint",
    hardness_mode: HardnessMode | None = None,
    hardness_strength: float = 0.0,
) -> Tensor:
    """The cross-entropy of finding document i for query i among all documents, for each i of ``rows``: (rows,).

    Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.4; for the other ``directions`` Li et al. 2023,
    https://arxiv.org/abs/2308.03281, section 3.3. ``queries`` is (pairs, dim), ``documents`` (pairs + hard negatives,
    dim): the positives, then the negatives of all queries, once or several times. With ``hardness_mode``, a negative's
    score grows by ``hardness_strength`` times its similarity, which is taken as a constant (Lan et al. 2025,
    https://arxiv.org/abs/2503.04812, equation 5).
    """
    pairs = len(queries)
    own_queries, own_documents = queries[rows], documents[rows]
    is_own = rows[:, None] == torch.arange(pairs, device=rows.device)  # (rows, pairs)
    is_own_document = is_own.repeat(1, len(documents) // pairs)  # (rows, pairs + hard negatives)

    similarities = similarity_fct(own_queries, documents)  # (rows, pairs + hard negatives)
    scores = {"query_to_doc": scale * similarities}
    if hardness_mode is not None:
        is_positive = torch.cat([is_own, torch.zeros_like(is_own_document[:, pairs:])], dim=1)
        harder = {
            "in_batch_negatives": ~is_own_document,
            "hard_negatives": is_own_document & ~is_positive,
            "all_negatives": ~is_positive,
        }[hardness_mode]
        scores["query_to_doc"] = scores["query_to_doc"] + hardness_strength * similarities.detach() * harder
    if "query_to_query" in directions:
        scores["query_to_query"] = scale * similarity_fct(own_queries, queries).masked_fill(is_own, -torch.inf)
    if "doc_to_query" in directions:
        scores["doc_to_query"] = scale * similarity_fct(queries, own_documents).T
    if "doc_to_doc" in directions:
        others = similarity_fct(documents, own_documents).T.masked_fill(is_own_document, -torch.inf)
        scores["doc_to_doc"] = scale * others
    if partition_mode == "joint":
        normalizers = torch.cat(list(scores.values()), dim=1).logsumexp(dim=1)
    else:
        normalizers = torch.stack([found.logsumexp(dim=1) for found in scores.values()]).mean(dim=0)
    return normalizers - scores["query_to_doc"].gather(1, rows[:, None])[:, 0]


class MultipleNegativesRankingLoss(Loss):
    """Cross-entropy of ``softmax(scale * similarity)``: of all documents in the batch, a query's own comes first.

    Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.4; also known as InfoNCE and as in-batch
    negatives. A row is a query, its document and any number of hard negatives, which are negatives for all queries.
    The same text twice is unsupervised SimCSE (Gao et al. 2021, https://arxiv.org/abs/2104.08821, section 3): dropout
    makes two embeddings of it.

    ``directions`` beyond "query_to_doc" let documents find their query ("doc_to_query"), and let queries and documents
    repel those of other rows ("query_to_query", "doc_to_doc"), within one softmax ("joint") or one for each direction
    ("per_direction"). ``gather_across_devices`` takes the negatives from the batches of all processes.

    Raises:
        ValueError: An argument is none of those it can be, or a direction has no positive of its own to find.
    """

    needs = Needs("a query, its document and any number of hard negatives", most=None)
    draws_negatives_from_batch = True

    def __init__(
        self,
        model: SentenceTransformer,
        scale: float = 20.0,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = cos_sim,
        gather_across_devices: bool = False,
        directions: Sequence[Direction] = ("query_to_doc",),
        partition_mode: PartitionMode = "joint",
        hardness_mode: HardnessMode | None = None,
        hardness_strength: float = 0.0,
    ):
        super().__init__(model)
        if not scale > 0:
            raise ValueError(f"scale must be more than 0, not {scale}")
        if isinstance(directions, str) or not set(directions) <= set(get_args(Direction)):
            raise ValueError(f"directions must be some of {', '.join(get_args(Direction))}, not {directions!r}")
        if "query_to_doc" not in directions:
            raise ValueError(f'directions must hold "query_to_doc", where the positives are, not {directions!r} alone')
        if partition_mode not in get_args(PartitionMode):
            raise ValueError(
                f"partition_mode must be one of {', '.join(get_args(PartitionMode))}, not {partition_mode}"
            )
        without_positive = sorted({"query_to_query", "doc_to_doc"} & set(directions))
        if partition_mode == "per_direction" and without_positive:
            raise ValueError(
                f'partition_mode="per_direction" needs a positive in each direction, and {without_positive[0]} has '
                'none; use partition_mode="joint"'
            )
        if hardness_mode is not None and hardness_mode not in get_args(HardnessMode):
            raise ValueError(f"hardness_mode must be one of {', '.join(get_args(HardnessMode))}, not {hardness_mode}")
        if hardness_strength < 0:
            raise ValueError(f"hardness_strength must be at least 0, not {hardness_strength}")
        if hardness_mode is not None and hardness_strength == 0:
            logger.warning("hardness_mode=%r does nothing, for hardness_strength is 0", hardness_mode)
        self.scale = scale
        self.similarity_fct = similarity_fct
        self.gather_across_devices = gather_across_devices
        self.directions = tuple(directions)
        self.partition_mode = partition_mode
        self.hardness_mode = hardness_mode
        self.hardness_strength = hardness_strength

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) for the queries, their documents and each column of hard negatives → a scalar."""
        if self.gather_across_devices:
            columns, rows = gathered(columns)
        else:
            rows = torch.arange(len(columns[0]), device=columns[0].device)
        queries, documents = columns[0], torch.cat(list(columns[1:]))

        def losses_of(rows: Tensor) -> Tensor:
            return ranking_losses(
                queries,
                documents,
                rows,
                self.scale,
                self.similarity_fct,
                self.directions,
                self.partition_mode,
                self.hardness_mode,
                self.hardness_strength,
            )

        return self.mean(losses_of, rows)

    def mean(self, losses_of: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """The mean of ``losses_of(rows)``, (rows,) → (rows,): a scalar."""
        return losses_of(rows).mean()

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {
            "scale": self.scale,
            "similarity_fct": name_of(self.similarity_fct),
            "gather_across_devices": self.gather_across_devices,
            "directions": self.directions,
            "partition_mode": self.partition_mode,
            "hardness_mode": self.hardness_mode,
            "hardness_strength": self.hardness_strength,
        }
