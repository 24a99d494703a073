"""What the benchmarks encode: real sentences of chosen lengths, or made-up ones where the data are not there."""

import random
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from likewise.files import read_texts

TEXTS = Path(__file__).parents[2] / "shared" / "data" / "nli" / "mnli_dev.parquet"
COLUMN = "premise"
POOL = 10_000  # texts that the sets are chosen from, at most
COUNTS = {"short": 600, "natural": 400, "medium": 200, "long": 36}
LENGTHS = {"short": (5, 15), "medium": (36, 44)}  # tokens, special ones included, from and to
LONGEST = 256  # tokens of a long text, and the limit of all-MiniLM-L6-v2
WORDS = (  # of made-up sentences
    *("the", "a", "of", "in", "to", "and", "that", "it", "was", "for", "on", "with", "as", "by", "at", "from", "they"),
    *("river", "market", "letter", "engine", "winter", "teacher", "harbour", "question", "garden", "morning", "answer"),
    *("government", "remember", "carefully", "possible", "understanding", "nevertheless", "according", "international"),
    *("built", "carried", "asked", "opened", "found", "written", "between", "village", "company", "station", "library"),
)


@dataclass(frozen=True, slots=True)
class TextSet:
    name: str  # one of COUNTS
    texts: list[str]
    tokens: list[int]  # of each text, special ones included

    def __str__(self) -> str:
        mean = sum(self.tokens) / len(self.tokens)
        return f"{self.name}: {len(self.texts):,} texts of {min(self.tokens)} to {max(self.tokens)} tokens, {mean:.1f}"


def text_sets(pool: list[str], tokenizer_file: Path, names: list[str], scale: float) -> list[TextSet]:
    """The sets of these names, with ``scale`` times as many texts as COUNTS has, from the beginning of ``pool``."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    lengths = [len(encoding) for encoding in tokenizer.encode_batch(pool)]
    sets = []
    for name in names:
        count = max(round(COUNTS[name] * scale), 1)
        if name == "natural":
            texts = pool[:count]
        elif name == "long":
            texts = long_texts(pool, tokenizer, count)
        else:
            shortest, longest = LENGTHS[name]
            fitting = (text for text, length in zip(pool, lengths, strict=True) if shortest <= length <= longest)
            texts = [text for text, _ in zip(fitting, range(count), strict=False)]
        if not texts:
            raise ValueError(f"no text has the length of the set {name}")
        sets.append(TextSet(name, texts, [len(encoding) for encoding in tokenizer.encode_batch(texts)]))
    return sets


def long_texts(pool: list[str], tokenizer: Tokenizer, count: int) -> list[str]:
    """``count`` texts, or as many as there are, of about LONGEST tokens: texts joined, the last one cut."""
    found: list[str] = []
    joined = ""
    for text in pool:
        joined = f"{joined} {text}".lstrip()
        encoding = tokenizer.encode(joined, add_special_tokens=False)
        room = LONGEST - tokenizer.num_special_tokens_to_add(is_pair=False)
        if len(encoding) >= room:
            found.append(joined[: encoding.offsets[room - 1][1]])
            joined = ""
        if len(found) == count:
            break
    return found


def read_distinct(path: Path, column: str, count: int) -> tuple[list[str], str]:
    """The first ``count`` distinct texts, and in words where they come from; without the file they are made up."""
    if path.is_file():
        texts = list(dict.fromkeys(read_texts(path, column)))[:count]
        return texts, f"the first {len(texts):,} distinct texts in the column {column} of {path.name}"
    return made_up(count), f"{count:,} made-up sentences as long as MNLI's premises, because {path} is not there"


def made_up(count: int) -> list[str]:
    """Words at random; how many to a sentence is distributed as in MNLI's premises: log-normal, 16 in the middle."""
    draw = random.Random(0)
    lengths = (min(max(round(draw.lognormvariate(2.75, 0.72)), 1), 200) for _ in range(count))
    return [" ".join(draw.choices(WORDS, k=length)).capitalize() + "." for length in lengths]
