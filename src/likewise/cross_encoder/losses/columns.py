"""The columns of a training step of a cross-encoder: texts, or a list of texts in each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from likewise.losses.columns import AnyColumn, Column, ListColumn
from likewise.tokens import texts_of

if TYPE_CHECKING:
    from likewise.cross_encoder.cross_encoder import CrossEncoder


def column_of(
    model: CrossEncoder, column: AnyColumn | Sequence[str] | Sequence[Sequence[str]], prompt: str | None = None
) -> AnyColumn:
    """Tokenise a column, texts or a list of texts in each row, for ``model``, with ``prompt`` before each text.

    The tokens are without special ones, which a pair gets when it is joined.
    """
    if isinstance(column, AnyColumn):
        return column
    if len(column) and isinstance(column[0], list | tuple | np.ndarray):
        texts = [text for row in column for text in row]
        return ListColumn(_tokenised(model, texts, prompt), np.array([len(row) for row in column]))
    return _tokenised(model, column, prompt)


def _tokenised(model: CrossEncoder, texts: Sequence[str] | Sequence[Sequence[str]], prompt: str | None) -> Column:
    prompted = [(prompt or "") + text for text in texts_of(texts)]
    return Column(model.tokenize_texts(prompted), prompted)
