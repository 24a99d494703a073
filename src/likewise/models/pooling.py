"""The description of a pooling: from one vector per token to one per text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from likewise.checkpoint.values import shortened, whole_number
from likewise.checkpoint.write import Layout, ModuleFiles

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")  # in order of joining
OLDER_POOLING_NAMES = {  # the booleans that 1_Pooling/config.json holds, and older code passes → the mode
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


class Pooling:
    """From one vector per token to one per text: one of POOLING_MODES, or several side by side.

    ``include_prompt=False`` leaves the prompt's tokens out. The older booleans (``pooling_mode_cls_token=True``, …)
    are understood too.

    Raises:
        ValueError: A mode is not known.
        TypeError: An argument is not known.
    """

    def __init__(
        self,
        embedding_dimension: int | None = None,
        pooling_mode: str | Sequence[str] | None = None,
        include_prompt: bool = True,
        *,
        word_embedding_dimension: int | None = None,
        **older: bool,
    ):
        dimension = embedding_dimension if embedding_dimension is not None else word_embedding_dimension
        if not isinstance(dimension, int):
            given = shortened(dimension)
            raise TypeError(f"Pooling needs embedding_dimension, the width of the token vectors, but got {given}")
        if unknown := older.keys() - OLDER_POOLING_NAMES.keys():
            raise TypeError(
                f"Pooling does not know {', '.join(sorted(unknown))}; give pooling_mode= one of {POOLING_MODES}"
            )
        if pooling_mode is None:
            chosen = [mode for key, mode in OLDER_POOLING_NAMES.items() if older.get(key)]
            pooling_mode = chosen or ["mean"]
        self.modes = (pooling_mode,) if isinstance(pooling_mode, str) else tuple(pooling_mode)
        if not self.modes:
            raise ValueError(f"pooling_mode must be one or more of {', '.join(POOLING_MODES)}, but there is none")
        for mode in self.modes:
            if mode not in POOLING_MODES:
                known = ", ".join(POOLING_MODES)
                raise ValueError(f"the pooling mode {shortened(mode)} is not known; known are {known}")
        self.embedding_dimension = whole_number(dimension, "embedding_dimension")
        self.include_prompt = bool(include_prompt)

    def __repr__(self) -> str:
        return f"Pooling({' + '.join(self.modes)}{'' if self.include_prompt else ', without the prompt'})"

    def get_embedding_dimension(self) -> int:
        """The width of the sentence vectors."""
        return self.embedding_dimension * len(self.modes)

    get_sentence_embedding_dimension = get_embedding_dimension

    def files(self, weights: Mapping[str, Any], layout: Layout) -> ModuleFiles:
        """What the module's folder holds."""
        if layout == "6":
            modes = self.modes[0] if len(self.modes) == 1 else list(self.modes)
            settings: dict[str, Any] = {"embedding_dimension": self.embedding_dimension, "pooling_mode": modes}
        else:  # in the keys that every version of the format reads
            settings = {"word_embedding_dimension": self.embedding_dimension}
            settings |= {key: mode in self.modes for key, mode in OLDER_POOLING_NAMES.items()}
            if list(self.modes) != sorted(self.modes, key=POOLING_MODES.index):
                settings["pooling_mode"] = list(self.modes)  # the booleans know one order; 5.4 and later read this
        return ModuleFiles("Pooling", {"config.json": settings | {"include_prompt": self.include_prompt}})
