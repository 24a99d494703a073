"""Damage for DenoisingAutoEncoderLoss: a text loses some of its words."""

import re
from random import Random

# A word, with what is inside it (don't, well-known), or any other sign by itself; each with the space before it.
PIECE = re.compile(r"\s*(?:\w+(?:['’-]\w+)*|[^\w\s])")


def delete_words(text: str, ratio: float = 0.6, random: Random | None = None) -> str:
    """``text`` without each of its words and signs with the probability ``ratio``; one always stays.

    Deletion is the noise of TSDAE, and 0.6 its ratio (Wang et al. 2021, https://arxiv.org/abs/2104.06979, section 6).
    ``random`` draws; without it, no two runs are alike.

    Raises:
        ValueError: ``ratio`` is not between 0 and 1.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio must be a probability, from 0 to 1, not {ratio}")
    random = random or Random()
    pieces = PIECE.findall(text)
    kept = [piece for piece in pieces if random.random() >= ratio]
    if pieces and not kept:
        kept = [random.choice(pieces)]
    return "".join(kept).strip()
