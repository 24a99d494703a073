"""What both libraries are given: sentences of our own, and calls of ``encode``. Needs neither library."""

from typing import Any

import numpy as np

WORDS = ["the", "kettle", "boils", "while", "rain", "falls", "on", "grey", "roofs", "and", "a", "letter", "waits"]


def long_text(words: int) -> str:
    """A text of that many words, the same in every run: a walk through WORDS in growing steps."""
    return " ".join(WORDS[(place * place + place // 7) % len(WORDS)] for place in range(words))


SENTENCES = [
    "",
    " ",
    "a",
    "?",
    "The kettle is boiling.",
    "Water for the tea is nearly ready.",
    "The train was late again, so we walked along the canal.",
    "Does the library open on Sundays?",
    "A committee of five will decide next month whether the bridge is repaired or replaced.",
    "THE HARBOUR LIGHTS WENT OUT AT TEN.",
    "the harbour lights went out at ten.",
    "She sells 1,250 kg of apples at €2.40 each kilo, i.e. 3,000.00 euros in all.",
    "Contact: gardener+spring@example.org, https://example.org/path?query=1&page=2#top",
    "def area(width, height):\n    return width * height  # square metres",
    "<p class='note'>Mind the <b>gap</b> &amp; the step.</p>",
    "naïve café, jalapeño, Straße, Ærøskøbing, Škoda, İstanbul",
    "naïve café written with combining marks",
    "ＦＵＬＬ ｗｉｄｔｈ　ｌｅｔｔｅｒｓ",
    "Поезд опять опоздал, и мы пошли вдоль канала.",
    "Το τρένο άργησε πάλι.",
    "القطار تأخر مرة أخرى.",
    "הרכבת שוב מאחרת.",
    "ट्रेन फिर से देर से आई।",
    "รถไฟมาสายอีกแล้ว",
    "火车又晚点了，我们沿着运河走。",
    "電車がまた遅れたので、運河沿いを歩いた。",
    "기차가 또 늦어서 우리는 운하를 따라 걸었다.",
    "მატარებელმა ისევ დაიგვიანა.",
    "ባቡሩ እንደገና ዘገየ።",
    "🚂🌧️ late again 😞👩‍👩‍👧‍👦🇫🇷👍🏽",
    "\x00\x01\x07bells\x08 and\ttabs\r\nand\x0blines\x7f\x85\u2028end",
    "zero\u200bwidth\u200djoined\ufeff \u202ereversed\u202c \u00a0spaces\u3000wide",
    "private \ue000 and unassigned \U000e0fff and replacement \ufffd",
    "[CLS] the [MASK] boils [SEP] [PAD] [UNK] ##ing",
    "antidisestablishmentarianism" * 5,
    "x" * 99 + " " + "y" * 101,
    "No. " * 40,
    long_text(253),
    long_text(254),
    long_text(10_000),
]
LIMITED = SENTENCES[4:7]  # encoded with a short max_seq_length, with prompts, and truncated
LIMIT = 7
PROMPT = "represent this: "
WIDTH = 64  # of truncated vectors
SHORT = SENTENCES[4]  # whose token vectors are recorded

TWO = SENTENCES[4:6]
CALLS: dict[str, tuple[Any, dict[str, Any]]] = {  # name → the texts and the other arguments of encode
    "one text": (SHORT, {}),
    "several texts": (TWO, {}),
    "a list of one": ([SHORT], {}),
    "no text": ([], {}),
    "the empty text": ("", {}),
    "a tuple": (tuple(TWO), {}),
    "an array of texts": (np.array(TWO), {}),
    "an array of objects": (np.array(TWO, dtype=object), {}),
    "one text as tensor": (SHORT, {"convert_to_tensor": True}),
    "texts as tensor": (TWO, {"convert_to_tensor": True}),
    "no text as tensor": ([], {"convert_to_tensor": True}),
    "tensor wins over array": (TWO, {"convert_to_tensor": True, "convert_to_numpy": True}),
    "one text not as array": (SHORT, {"convert_to_numpy": False}),
    "texts not as array": (TWO, {"convert_to_numpy": False}),
    "no text not as array": ([], {"convert_to_numpy": False}),
    "token vectors of one": (SHORT, {"output_value": "token_embeddings"}),
    "token vectors of two": (TWO, {"output_value": "token_embeddings"}),
    "token vectors of none": ([], {"output_value": "token_embeddings"}),
    "normalised": (TWO, {"normalize_embeddings": True}),
    "truncated": (TWO, {"truncate_dim": WIDTH}),
    "truncated to more than there is": (TWO, {"truncate_dim": 1000}),
    "token vectors are not truncated": (TWO, {"output_value": "token_embeddings", "truncate_dim": WIDTH}),
    "precision left open": (TWO, {"precision": None}),
    "batches of one": (TWO, {"batch_size": 1}),
    "with a prompt": (TWO, {"prompt": PROMPT}),
    "a prompt wins over its name": (TWO, {"prompt": PROMPT, "prompt_name": "unknown"}),
    "on a device": (TWO, {"device": "cpu"}),
    "batches of none": (TWO, {"batch_size": 0}),
    "an unknown prompt": (TWO, {"prompt_name": "unknown"}),
    "an unknown precision": (TWO, {"precision": "float8"}),
    "an unknown output": (TWO, {"output_value": "words"}),
    "all outputs": (TWO, {"output_value": None}),
    "None": (None, {}),
    "a number": ([SHORT, 7], {}),
    "bytes": ([SHORT, b"kettle"], {}),
    "a lone surrogate": (["half \ud800 of a character"], {}),
    "pairs": ([tuple(TWO)], {}),
}


def shape_of(result: Any) -> list[Any]:
    """What a result is, in JSON: an array or a tensor with its shape and type of number, or a list of those."""
    if isinstance(result, Exception):
        return ["error"]
    if isinstance(result, list):
        return ["list", [shape_of(item) for item in result]]
    if isinstance(result, dict):
        return ["dict"]
    kind = "array" if isinstance(result, np.ndarray) else "tensor"
    return [kind, list(result.shape), str(result.dtype).removeprefix("torch.")]


def outcome(encode: Any, texts: Any, arguments: dict[str, Any]) -> list[Any]:
    """The shape of what ``encode`` gives, or that it raises an error."""
    try:
        return shape_of(encode(texts, **arguments))
    except Exception as error:
        return shape_of(error)


def cosines(ours: Any, theirs: Any) -> Any:
    """The cosine between row i of ``ours`` and row i of ``theirs``, (n, dim) each, in float64: (n,)."""
    left, right = (np.asarray(vectors, dtype=np.float64) for vectors in (ours, theirs))  # (n, dim)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.sum(left * right, axis=1) / lengths


def lowest_cosine(ours: Any, theirs: Any) -> float:
    """The lowest of the cosines."""
    return float(cosines(ours, theirs).min())
