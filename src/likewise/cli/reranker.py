"""The cross-encoder of ``rerank`` and ``search``: by name, and fit to put texts in order."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likewise import CrossEncoder

MANY = 200  # texts; from here on a progress bar shows how long it takes


def reranker(name: str) -> "CrossEncoder":
    """Load the cross-encoder ``name``.

    Raises:
        FileNotFoundError: There is no such model.
        ValueError: It does not score pairs, or gives them several scores.
    """
    from likewise import CrossEncoder  # here: --help must not wait for torch
    from likewise.checkpoint.classification import is_classifier
    from likewise.models import LogitScorer

    model = CrossEncoder(name)
    chain = model.live.routes.first
    is_trained = chain.heads or isinstance(chain.source, LogitScorer) or is_classifier(model.config)
    if not is_trained:  # its head would be new, and the order mean nothing
        raise ValueError(f"{name} has not learnt to score pairs; give a cross-encoder instead of it")
    if model.num_labels != 1:
        raise ValueError(
            f"{name} gives each pair {model.num_labels} scores; give a cross-encoder that gives one, to order by"
        )
    return model
