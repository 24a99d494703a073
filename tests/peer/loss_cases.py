"""What every loss is asked for, here and in sentence-transformers. Needs neither; a loss adds an entry to LOSSES.

A case is a loss with some arguments on a batch of given embeddings, so no model is in it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.peer.loss_batches import (
    WIDTH,
    WITHOUT_LENGTH,
    Batch,
    as_floats,
    batches,
    binary,
    classes,
    named,
    narrower,
    numbers,
    similarities,
)
from tests.peer.ranking_cases import (
    GUIDE_OF_MODEL,
    GUIDED,
    GUIDES,
    IN_PARTS,
    PARTS,
    RANKED,
    RANKINGS,
    TRIPLETS,
    OfModel,
    of_model,
)


class Package(Protocol):
    """likewise or sentence-transformers."""

    @property
    def losses(self) -> Any:
        """The module of the losses."""

    @property
    def util(self) -> Any:
        """The module of the similarities."""


Arguments = Callable[[Package], dict[str, Any]]  # the arguments of a loss, other than the model


def plain(**arguments: Any) -> Arguments:
    """Arguments that are the same in both."""
    return lambda package: arguments


def from_losses(enumeration: str, name: str, **others: Any) -> Arguments:
    """A distance metric of theirs or ours, such as TripletDistanceMetric.COSINE, and other arguments."""
    return lambda package: {"distance_metric": getattr(getattr(package.losses, enumeration), name)} | others


def from_util(name: str, **others: Any) -> Arguments:
    """A similarity of theirs or ours, such as util.pairwise_cos_sim, and other arguments."""
    return lambda package: {"similarity_fct": getattr(package.util, name)} | others


def from_torch(argument: str, name: str, **others: Any) -> Arguments:
    """A module of torch.nn, such as L1Loss, and other arguments."""

    def arguments(package: Package) -> dict[str, Any]:
        from torch import nn

        return {argument: getattr(nn, name)()} | others

    return arguments


@dataclass(frozen=True)
class LossCases:
    """One loss: each of its ``variants`` is computed on each of its ``batches``."""

    batches: Mapping[str, Batch]
    variants: Mapping[str, Arguments] = field(default_factory=lambda: {"default": plain()})
    tolerance: float = 1e-6


def _concatenations() -> dict[str, Arguments]:
    """Those of the paper's Table 6."""
    flags = ("concatenation_sent_rep", "concatenation_sent_difference", "concatenation_sent_multiplication")
    found = {}
    for chosen in range(1, 8):
        arguments = {flag: bool(chosen & 1 << place) for place, flag in enumerate(flags)}
        name = " and ".join(flag.removeprefix("concatenation_sent_") for flag in flags if arguments[flag])
        found[name] = plain(embedding_dimension=WIDTH, num_labels=3, **arguments)
    return found


def _distances(enumeration: str, names: Sequence[str], **others: Any) -> dict[str, Arguments]:
    return {f"{name} {others or ''}": from_losses(enumeration, name, **others) for name in names}


def _similarities(names: Sequence[str], **others: Any) -> dict[str, Arguments]:
    return {f"{name} {others or ''}": from_util(name, **others) for name in names}


def _each(variants: Mapping[str, Mapping[str, Any]], **others: Any) -> dict[str, Arguments]:
    return {name: plain(**arguments, **others) for name, arguments in variants.items()}


def _around(within: str, own: Mapping[str, Any], others: Mapping[str, Any]) -> Arguments:
    """Another loss, with its ``own`` arguments, and ``others``."""

    def arguments(package: Package) -> dict[str, Any]:
        kind = getattr(package.losses, within)
        return {"loss": OfModel(lambda model: kind(model, **of_model(own, model)))} | dict(others)

    return arguments


SIAMESE = ("EUCLIDEAN", "MANHATTAN", "COSINE_DISTANCE")
IN_BATCH = ("euclidean_distance", "cosine_distance")
OF_BATCH = "BatchHardTripletLossDistanceFunction"
SIMILARITIES = ("pairwise_cos_sim", "pairwise_euclidean_sim", "pairwise_manhattan_sim")
TRIPLETS_OF_A_BATCH = LossCases(
    batches(1, classes, WITHOUT_LENGTH) | named("float labels", batches(1, as_floats(classes), WITHOUT_LENGTH)),
    {"default": plain(), **_distances(OF_BATCH, IN_BATCH, margin=0.5)},
)

LOSSES: dict[str, LossCases] = {
    "AnglELoss": LossCases(
        batches(2, similarities, WITHOUT_LENGTH)
        | narrower(batches(2, similarities, WITHOUT_LENGTH))
        | named("integers", batches(2, binary, WITHOUT_LENGTH))
        | named("negatives", batches(4, binary, WITHOUT_LENGTH))
        | named("no labels", batches(3, without=WITHOUT_LENGTH)),
        {"default": plain(), "scale": plain(scale=3.0)},
        tolerance=2e-6,  # theirs is up to 1.3e-6 from what float64 gives, ours 1.2e-6
    ),
    "BatchAllTripletLoss": TRIPLETS_OF_A_BATCH,
    "BatchHardSoftMarginTripletLoss": LossCases(
        TRIPLETS_OF_A_BATCH.batches, {"default": plain(), **_distances(OF_BATCH, IN_BATCH)}
    ),
    "BatchHardTripletLoss": TRIPLETS_OF_A_BATCH,
    "BatchSemiHardTripletLoss": TRIPLETS_OF_A_BATCH,
    "CoSENTLoss": LossCases(
        batches(2, similarities, WITHOUT_LENGTH) | named("integers", batches(2, classes, WITHOUT_LENGTH)),
        {"default": plain(), "scale": plain(scale=3.0), **_similarities(SIMILARITIES, scale=1.0)},
    ),
    "ContrastiveLoss": LossCases(
        batches(2, binary, WITHOUT_LENGTH) | named("float labels", batches(2, similarities, WITHOUT_LENGTH)),
        {
            "default": plain(),
            "sum": plain(size_average=False),
            **_distances("SiameseDistanceMetric", SIAMESE, margin=3.0),
        },
    ),
    "CosineSimilarityLoss": LossCases(
        batches(2, similarities, WITHOUT_LENGTH) | named("integers", batches(2, binary, WITHOUT_LENGTH)),
        {
            "default": plain(),
            "absolute error": from_torch("loss_fct", "L1Loss"),
            "transformed": from_torch("cos_score_transformation", "Sigmoid"),
        },
    ),
    "DistillKLDivLoss": LossCases(
        batches(3, numbers(2)) | named("four passages", batches(5, numbers(4))),
        {
            "default": plain(),
            "both temperatures": plain(temperature=2.0, student_temperature=0.7, teacher_temperature=3.0),
            **_similarities(SIMILARITIES[1:2]),
        },
    ),
    "MSELoss": LossCases(
        batches(1, numbers(WIDTH))
        | named("two columns", batches(2, numbers(WIDTH)))
        | named("a vector for each of two columns", batches(2, numbers(2, WIDTH))),
        {"default": plain(), "projection": plain(projection_dim=WIDTH)},
    ),
    "MarginMSELoss": LossCases(
        batches(3, numbers(2))
        | named("margins", batches(3, numbers()))
        | named("margins of three negatives", batches(5, numbers(3)))
        | named("three negatives", batches(5, numbers(4))),
        {"default": plain(), **_similarities(SIMILARITIES[1:2])},
    ),
    "OnlineContrastiveLoss": LossCases(
        batches(2, binary, WITHOUT_LENGTH) | named("float labels", batches(2, as_floats(binary), WITHOUT_LENGTH)),
        {"default": plain(), **_distances("SiameseDistanceMetric", SIAMESE, margin=3.0)},
    ),
    "SoftmaxLoss": LossCases(
        batches(2, classes),
        {
            **_concatenations(),
            "loss_fct": from_torch("loss_fct", "MultiMarginLoss", embedding_dimension=WIDTH, num_labels=3),
        },
    ),
    "TripletLoss": LossCases(
        batches(3, without=WITHOUT_LENGTH),
        {
            "default": plain(),
            **_distances("TripletDistanceMetric", ("COSINE", "EUCLIDEAN", "MANHATTAN"), triplet_margin=1),
        },
    ),
}

LOSSES |= {
    "CachedGISTEmbedLoss": LossCases(GUIDED, _each(GUIDES, guide=GUIDE_OF_MODEL, mini_batch_size=3)),
    "CachedMultipleNegativesRankingLoss": LossCases(TRIPLETS, _each(RANKINGS, mini_batch_size=3)),
    "CachedMultipleNegativesSymmetricRankingLoss": LossCases(TRIPLETS, {"in threes": plain(mini_batch_size=3)}),
    "GISTEmbedLoss": LossCases(GUIDED, _each(GUIDES, guide=GUIDE_OF_MODEL)),
    "MultipleNegativesRankingLoss": LossCases(
        RANKED, _each(RANKINGS) | {"dot product": from_util("dot_score", scale=1.0)}
    ),
    "MultipleNegativesSymmetricRankingLoss": LossCases(TRIPLETS, {"default": plain(), "scale": plain(scale=5.0)}),
}
LOSSES |= {
    f"MatryoshkaLoss-{within}": LossCases(found, {name: _around(within, own, others) for name, others in PARTS.items()})
    for within, (own, found) in IN_PARTS.items()
}


def cases(loss: str) -> Iterator[tuple[str, Batch, Arguments]]:
    """Of one loss: a case's name, its batch and its arguments."""
    for variant, arguments in LOSSES[loss].variants.items():
        for name, batch in LOSSES[loss].batches.items():
            yield f"{variant}: {name}", batch, arguments
