"""Losses by their names, with arguments as a file can spell them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from likewise import losses
from likewise.losses import BatchHardTripletLossDistanceFunction, Loss, SiameseDistanceMetric, TripletDistanceMetric
from likewise.similarity import (
    cos_sim,
    dot_score,
    euclidean_sim,
    manhattan_sim,
    pairwise_cos_sim,
    pairwise_dot_score,
    pairwise_euclidean_sim,
    pairwise_manhattan_sim,
)
from likewise.training.data import TrainingData
from likewise.training.plain_values import check_kind, check_names, nearest

if TYPE_CHECKING:
    from likewise.sentence_transformer import SentenceTransformer

DISTANCES = BatchHardTripletLossDistanceFunction
FUNCTIONS: Sequence[Mapping[str, Callable[..., Any]]] = [  # each a set that an argument is chosen from
    {one.__name__: one for one in (cos_sim, dot_score, euclidean_sim, manhattan_sim)},
    {
        one.__name__: one
        for one in (pairwise_cos_sim, pairwise_dot_score, pairwise_euclidean_sim, pairwise_manhattan_sim)
    },
    {one.__name__: one for one in (DISTANCES.euclidean_distance, DISTANCES.cosine_distance)},
    {one.name: one for one in TripletDistanceMetric},
    {one.name: one for one in SiameseDistanceMetric},
]
NAMES = tuple(
    name
    for name in losses.__all__
    if isinstance(found := getattr(losses, name), type) and issubclass(found, Loss) and found is not Loss
)


def check_loss(name: str, arguments: Mapping[str, Any]) -> None:
    """Check the name of a loss, and its arguments against the signature of its class.

    Text stands for a function ("cos_sim", "COSINE"), for the model that is a ``guide``, and for the ``loss`` within
    another one, which may also be a table with the keys loss and loss_arguments.

    Raises:
        ValueError: There is no such loss or argument, an argument is missing, or a value is of another kind.
    """
    if name not in NAMES:
        raise ValueError(f"there is no loss {name!r}; {nearest(name, NAMES, 'losses')}")
    parameters = _parameters(name)
    check_names(arguments, parameters, name, "argument")
    for parameter in parameters.values():
        value = arguments.get(parameter.name)
        if value is None:
            if parameter.default is parameter.empty:
                raise ValueError(
                    f"{name} needs the argument {parameter.name!r}; the arguments: {', '.join(parameters)}"
                )
        elif functions := _functions(parameter.default):
            check_names([value], functions, f"{parameter.name} of {name}", "choice")
        elif parameter.annotation == "Loss":
            check_loss(*_within(value))
        else:
            kind = "str" if parameter.annotation == "SentenceTransformer" else str(parameter.annotation)
            check_kind(f"{parameter.name} of {name}", value, kind)


def named_loss(model: SentenceTransformer, name: str, arguments: Mapping[str, Any], data: TrainingData) -> Loss:
    """The loss, made for ``model``; one that counts classes counts those of ``data``, unless told how many.

    Raises:
        ValueError: As check_loss, or the loss refuses its arguments.
    """
    check_loss(name, arguments)
    parameters = _parameters(name)
    given = dict(arguments)
    for argument, value in arguments.items():
        if functions := _functions(parameters[argument].default):
            given[argument] = functions[value]
        elif parameters[argument].annotation == "Loss":
            given[argument] = named_loss(model, *_within(value), data)
        elif parameters[argument].annotation == "SentenceTransformer":
            given[argument] = type(model)(value)
    if "num_labels" in parameters and "num_labels" not in given and data.labels is not None:
        given["num_labels"] = len(data.classes) or int(data.labels.max()) + 1
    made: Loss = getattr(losses, name)(model, **given)
    return made


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    """The arguments of a loss that a file can give: not those that are functions without a name."""
    found = inspect.signature(getattr(losses, name)).parameters.values()
    return {
        p.name: p for p in found if p.name != "model" and not ("Callable" in str(p.annotation) and p.default is None)
    }


def _functions(default: Any) -> Mapping[str, Callable[..., Any]]:
    """What may stand in the place of a ``default`` that is a function, by name; nothing where it is none."""
    return next((functions for functions in FUNCTIONS if any(default is one for one in functions.values())), {})


def _within(value: Any) -> tuple[str, Mapping[str, Any]]:
    """The name and the arguments of a loss within another."""
    table: Any = {"loss": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or not isinstance(table.get("loss"), str):
        raise ValueError(f"the loss within must be a name, or a table with loss and loss_arguments, not {value!r}")
    check_names(table, ("loss", "loss_arguments"), "the loss within")
    return table["loss"], table.get("loss_arguments", {})
