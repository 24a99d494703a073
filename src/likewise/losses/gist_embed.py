"""Ranking with a guide: what a second model takes for alike is no negative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from likewise.losses.columns import Column
from likewise.losses.gathering import gathered
from likewise.losses.loss import Loss, Needs
from likewise.similarity import cos_sim

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

MarginStrategy = Literal["absolute", "relative"]

SAME = 1e-6  # two cosines of the guide that are nearer than this, which float32 hardly tells apart, count as equal


def guided_losses(
    anchors: Tensor,
    candidates: Tensor,
    guide_anchors: Tensor,
    guide_candidates: Tensor,
    rows: Tensor,
    temperature: float = 0.01,
    margin_strategy: MarginStrategy = "absolute",
    margin: float = 0.0,
    contrast_anchors: bool = True,
    contrast_positives: bool = True,
) -> Tensor:
    """The cross-entropy of finding candidate i for anchor i among what the guide leaves, for i in ``rows``: (rows,).

    Solatorio 2024, https://arxiv.org/abs/2402.16829, section 3. ``anchors`` is (pairs, dim), ``candidates`` (pairs +
    hard negatives, dim): the positives, then the negatives; likewise the guide's, in its own dim. Negatives are all
    other candidates and, with ``contrast_anchors`` and ``contrast_positives``, the other anchors for an anchor and the
    other positives for its positive. One whose cosine the guide finds above its cosine of the positive pair, less
    ``margin`` (absolute) or that share of it (relative), is left out.
    """
    pairs = len(anchors)
    compared = [(anchors[rows], candidates, guide_anchors[rows], guide_candidates)]
    if contrast_anchors:
        compared.append((anchors[rows], anchors, guide_anchors[rows], guide_anchors))
    if contrast_positives:
        compared.append((candidates[rows], candidates[:pairs], guide_candidates[rows], guide_candidates[:pairs]))
    scores = torch.cat([cos_sim(left, right) for left, right, _, _ in compared], dim=1)  # (rows, scores)
    guided = torch.cat([cos_sim(left, right) for _, _, left, right in compared], dim=1)  # (rows, scores)
    highest = guided.gather(1, rows[:, None])  # (rows, 1), of the positive pairs
    highest = highest - (margin if margin_strategy == "absolute" else highest.abs() * margin)
    is_left_out = (guided > highest + SAME).scatter(1, rows[:, None], False)
    return F.cross_entropy(scores.masked_fill(is_left_out, -torch.inf) / temperature, rows, reduction="none")


class GISTEmbedLoss(Loss):
    """In-batch negatives, without those that a ``guide`` finds nearer than the positive.

    Solatorio 2024, https://arxiv.org/abs/2402.16829. A row is an anchor, its positive and any number of hard negatives.
    ``temperature`` divides the cosines, as 1 / ``scale`` of MultipleNegativesRankingLoss. The ``guide``, another
    SentenceTransformer, embeds the same texts, with their prompts, by its own tokenizer; it does not learn.
    ``gather_across_devices`` takes negatives, anchors too, from the batches of all processes.

    Raises:
        TypeError: The guide is a name.
        ValueError: The guide is the model itself, or there is no such margin strategy.
    """

    needs = Needs("an anchor, its positive and any number of hard negatives", most=None)
    draws_negatives_from_batch = True

    def __init__(
        self,
        model: SentenceTransformer,
        guide: SentenceTransformer,
        temperature: float = 0.01,
        margin_strategy: MarginStrategy = "absolute",
        margin: float = 0.0,
        contrast_anchors: bool = True,
        contrast_positives: bool = True,
        gather_across_devices: bool = False,
    ):
        super().__init__(model)
        if isinstance(guide, str):
            raise TypeError(f"guide must be a model, not its name: give SentenceTransformer({guide!r})")
        if guide is model:
            raise ValueError("the guide must not learn: load the model a second time to be its own guide")
        if margin_strategy not in get_args(MarginStrategy):
            raise ValueError(f"margin_strategy must be absolute or relative, not {margin_strategy}")
        self.guide = guide
        self.temperature = temperature
        self.margin_strategy = margin_strategy
        self.margin = margin
        self.contrast_anchors = contrast_anchors
        self.contrast_positives = contrast_positives
        self.gather_across_devices = gather_across_devices

    def targets(self, columns: Sequence[Column], labels: Tensor | None) -> Tensor:
        """The guide's embeddings, (columns, rows, the guide's dim)."""
        texts = [text for column in columns for text in column.texts]
        vectors: Tensor = self.guide.encode(texts, prompt="", convert_to_tensor=True, show_progress_bar=False)
        return vectors.to(self.network.device).unflatten(0, (len(columns), -1))

    def from_embeddings(self, columns: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """(rows, dim) for each column, and the guide's, (columns, rows, the guide's dim) → a scalar."""
        assert labels is not None
        guides: Sequence[Tensor] = list(labels)
        if self.gather_across_devices:
            columns, rows = gathered(columns)
            guides, _ = gathered(guides)
        else:
            rows = torch.arange(len(columns[0]), device=columns[0].device)
        anchors, candidates = columns[0], torch.cat(list(columns[1:]))
        guide_anchors, guide_candidates = guides[0], torch.cat(list(guides[1:]))

        def losses_of(rows: Tensor) -> Tensor:
            return guided_losses(
                anchors,
                candidates,
                guide_anchors,
                guide_candidates,
                rows,
                self.temperature,
                self.margin_strategy,
                self.margin,
                self.contrast_anchors,
                self.contrast_positives,
            )

        return self.mean(losses_of, rows)

    def mean(self, losses_of: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """The mean of ``losses_of(rows)``, (rows,) → (rows,): a scalar."""
        return losses_of(rows).mean()

    def get_config_dict(self) -> dict[str, Any]:
        """The loss's arguments, for the model card."""
        return {
            "guide": self.guide.name,
            "temperature": self.temperature,
            "margin_strategy": self.margin_strategy,
            "margin": self.margin,
            "contrast_anchors": self.contrast_anchors,
            "contrast_positives": self.contrast_positives,
            "gather_across_devices": self.gather_across_devices,
        }
