"""What every loss of the cross-encoder is asked for, here and in sentence-transformers. Needs neither.

A case is a loss with some arguments on a batch of given logits, so no model is in it: texts are "3", the fourth query
or document, and the logits of all queries with all documents are drawn.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIST_LOSSES = ("ADRMSELoss", "LambdaLoss", "ListMLELoss", "ListNetLoss", "PListMLELoss", "RankNetLoss")
RANKINGS = ("MultipleNegativesRankingLoss", "CachedMultipleNegativesRankingLoss")
SCHEMES = ("NoWeightingScheme", "NDCGLoss1Scheme", "NDCGLoss2Scheme", "LambdaRankScheme", "NDCGLoss2PPScheme")

Columns = Sequence[Sequence[str] | Sequence[Sequence[str]]]


@dataclass(frozen=True)
class Case:
    """One loss, its arguments, the logits of all pairs, and a batch."""

    loss: str
    logits: NDArray[np.float32]  # (queries, documents, classes)
    columns: Columns
    labels: Any = None  # an array, or a list of arrays
    # Plain values, or what a package makes of them: see ``arguments_of``.
    arguments: Mapping[str, Any] = field(default_factory=dict)


def arguments_of(case: Case, losses: Any) -> dict[str, Any]:
    """The arguments for one of the two packages: names of schemes, activations and tensors become what they name."""
    import torch
    from torch import nn

    found = dict(case.arguments)
    if "activation_fn" in found:
        found["activation_fn"] = found["activation_fn"] and getattr(nn, found["activation_fn"])()
    if "weighting_scheme" in found:
        scheme, *values = found["weighting_scheme"] or [None]
        found["weighting_scheme"] = scheme and getattr(losses, scheme)(*values)
    if "lambda_weight" in found:
        found["lambda_weight"] = found["lambda_weight"] and losses.PListMLELambdaWeight(halves)
    for name in ("weight", "pos_weight"):
        if name in found:
            found[name] = torch.tensor(found[name])
    return found


def halves(mask: Any) -> Any:
    """1, 1/2, 1/3 … for the ranks of documents; the mask says where they are."""
    import torch

    return mask / torch.arange(1, mask.shape[1] + 1)


def cases() -> dict[str, Case]:
    """All cases by their names."""
    found = dict(pair_cases())
    found |= dict(ranking_cases())
    found |= dict(list_cases())
    return found


def pair_cases() -> Iterator[tuple[str, Case]]:
    """Losses of pairs that stand in the rows."""
    activations: list[dict[str, Any]] = [{}, {"activation_fn": "Sigmoid"}]
    for rows in (1, 7):
        random = np.random.RandomState(rows)  # draws the same numbers in every version of numpy
        two = [texts(random.randint(0, 9, rows)), texts(random.randint(0, 9, rows))]
        one_label, three = drawn(random), drawn(random, classes=3)
        yes, units, numbers = random.randint(0, 2, rows), random.rand(rows), random.standard_normal(rows)
        for extra in (*activations, {"pos_weight": 4.0}, {"pos_weight": 4}, {"reduction": "sum"}):
            name = f"BinaryCrossEntropyLoss, {rows} rows, {extra}"
            yield f"{name}, yes or no", Case("BinaryCrossEntropyLoss", one_label, two, yes, extra)
            yield f"{name}, between", Case("BinaryCrossEntropyLoss", one_label, two, units.astype(np.float32), extra)
        classes, likely = random.randint(0, 3, rows), random.dirichlet(np.ones(3), rows).astype(np.float32)
        for extra in (*activations, {"weight": [1.0, 2.0, 0.5]}, {"label_smoothing": 0.1}):
            name = f"CrossEntropyLoss, {rows} rows, {extra}"
            yield f"{name}, classes", Case("CrossEntropyLoss", three, two, classes, extra)
            yield f"{name}, classes in a column", Case("CrossEntropyLoss", three, two, classes[:, None], extra)
            yield f"{name}, probabilities", Case("CrossEntropyLoss", three, two, likely, extra)
        scores = numbers.astype(np.float32)
        for extra in (*activations, {"reduction": "sum"}):
            yield f"MSELoss, {rows} rows, {extra}", Case("MSELoss", one_label, two, scores, extra)
            yield (
                f"MSELoss, {rows} rows, {extra}, labels in a column",
                Case("MSELoss", one_label, two, scores[:, None], extra),
            )
            for negatives in (1, 3):
                columns = [*two, *(texts(random.randint(0, 9, rows)) for _ in range(negatives))]
                of_all = random.standard_normal((rows, 1 + negatives)).astype(np.float32)
                name = f"MarginMSELoss, {rows} rows, {negatives} negatives, {extra}"
                yield f"{name}, scores", Case("MarginMSELoss", one_label, columns, of_all, extra)
                yield f"{name}, margins", Case("MarginMSELoss", one_label, columns, of_all[:, 1:], extra)
            yield (
                f"MarginMSELoss, {rows} rows, {extra}, one margin",
                Case("MarginMSELoss", one_label, [*two, two[1][::-1]], scores, extra),
            )


def ranking_cases() -> Iterator[tuple[str, Case]]:
    """Losses that draw negatives from the batch; both packages draw the same with the same seed."""
    for loss in RANKINGS:
        for rows in (1, 2, 7):
            for columns in (2, 4):
                random = np.random.RandomState(10 * rows + columns)
                texts_of_rows = [
                    texts(np.arange(rows)),
                    *(texts(random.permutation(9)[:rows]) for _ in range(1, columns)),
                ]
                logits = drawn(random)
                extras: list[dict[str, Any]] = [
                    {},
                    {"num_negatives": None},
                    {"num_negatives": 1},
                    {"num_negatives": 100},
                    {"scale": 1.0, "activation_fn": None},
                    {"scale": 3, "activation_fn": "Tanh"},
                ]
                if loss.startswith("Cached"):
                    extras.append({"mini_batch_size": 3})
                for extra in extras:
                    name = f"{loss}, {rows} rows, {columns} columns, {extra}"
                    yield name, Case(loss, logits, texts_of_rows, None, extra)


def list_cases() -> Iterator[tuple[str, Case]]:
    """Losses of lists of documents."""
    common: list[dict[str, Any]] = [{}, {"activation_fn": "Sigmoid"}, {"activation_fn": None, "mini_batch_size": 3}]
    pairwise: list[dict[str, Any]] = [{"k": 1}, {"k": 3}, {"k": 100}, {"sigma": 2.5}, {"reduction_log": "natural"}]
    own: dict[str, list[dict[str, Any]]] = {
        "ADRMSELoss": [{"alpha": 3.0}],
        "LambdaLoss": [
            *pairwise,
            {"weighting_scheme": None},
            *({"weighting_scheme": [scheme]} for scheme in SCHEMES),
            *({"weighting_scheme": [scheme], "k": 2} for scheme in SCHEMES),
            {"weighting_scheme": ["NDCGLoss2PPScheme", 2.0], "eps": 0.5},
        ],
        "ListMLELoss": [{"respect_input_order": False}],
        "ListNetLoss": [],
        "PListMLELoss": [{"respect_input_order": False}, {"lambda_weight": None}, {"lambda_weight": "halves"}],
        "RankNetLoss": pairwise,
    }
    for loss in LIST_LOSSES:
        for extra in [*common, *own[loss]]:
            for batch, case in list_batches(loss, extra):
                yield f"{loss}, {extra}, {batch}", case
        yield f"{loss}, a long list", long_list(loss)


def list_batches(loss: str, extra: Mapping[str, Any]) -> Iterator[tuple[str, Case]]:
    """Lists of several lengths and one, with labels of several kinds."""
    mixed, same = [3, 5, 1, 3, 8], [4, 4, 4]
    for seed, (name, counts) in enumerate({"lists": mixed, "equal lists": same, "one document": [1]}.items()):
        random = np.random.RandomState(20 + seed)
        lists = [texts(random.permutation(9)[:count]) for count in counts]
        columns: Columns = [texts(np.arange(len(counts))), lists]
        logits = drawn(random)
        whole = [random.randint(0, 4, count) for count in counts]
        numbers = [random.standard_normal(count).astype(np.float32) for count in counts]
        yield f"{name}, whole labels", Case(loss, logits, columns, whole, extra)
        if name == "one document":
            continue
        yield f"{name}, any labels", Case(loss, logits, columns, numbers, extra)
        yield f"{name}, equal labels", Case(loss, logits, columns, [np.full(count, 2) for count in counts], extra)
        yield f"{name}, all labels 0", Case(loss, logits, columns, [np.zeros(count, int) for count in counts], extra)
        yield f"{name}, far scores", Case(loss, logits * 20, columns, whole, extra)
        yield f"{name}, equal scores", Case(loss, np.zeros_like(logits), columns, whole, extra)


def long_list(loss: str) -> Case:
    """140 documents, more than powers of two in float32, beside a short list."""
    random = np.random.RandomState(30)
    lists = [texts(np.arange(140)), texts(np.arange(2))]
    labels = [random.randint(0, 3, 140), random.randint(0, 3, 2)]
    return Case(loss, random.standard_normal((2, 140, 1)).astype(np.float32), [["0", "1"], lists], labels)


def drawn(random: np.random.RandomState, classes: int = 1) -> NDArray[np.float32]:
    """The logits of 9 queries with 9 documents."""
    return (2 * random.standard_normal((9, 9, classes))).astype(np.float32)


def texts(numbers: NDArray[Any]) -> list[str]:
    """Numbers as texts."""
    return [str(number) for number in numbers.tolist()]
