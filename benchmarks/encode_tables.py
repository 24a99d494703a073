"""What encode.py prints: its tables in Markdown, and what is said of its goals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from contestants import (
    OURS_BFLOAT16,
    OURS_DEFAULT,
    OURS_FLOAT32,
    OURS_INT8,
    PEER,
    PEER_BFLOAT16,
    PEER_DEFAULT,
    Contestant,
)
from interleaved import ratios, spread, verdict
from text_sets import TextSet

NATIVE = (OURS_FLOAT32, OURS_BFLOAT16, OURS_INT8)
FASTER_THAN_PEER = ((OURS_BFLOAT16, 7.5, 10), (OURS_INT8, 12.5, 16))  # on the natural mix: asked for, and the goal
INT8_ON_SHORT = 1.45  # times as fast as our own bfloat16
LOWEST_COSINE = 0.9998  # in float32 and bfloat16


@dataclass(frozen=True)
class Measured:
    """What came of one set of texts."""

    texts: TextSet
    seconds: Mapping[Contestant, Sequence[float]]  # of each round
    dtypes: Mapping[Contestant, str]  # what each computes in, by its own word
    padding: Mapping[Contestant, float]  # tokens added for each real one
    cosines: Mapping[Contestant, float]  # the lowest to the incumbent's default

    def times(self, slower: Contestant, faster: Contestant) -> list[float]:
        """How many times as fast, in each round."""
        return ratios(self.seconds[slower], self.seconds[faster])


@dataclass(frozen=True)
class Costs:
    """What a contestant asks for besides the time of many texts."""

    first_vector: Sequence[float]  # seconds from a process's start, one of each round
    latency: Sequence[float]  # milliseconds of each call with one sentence
    resident: int | None  # bytes, after all texts
    peak: int
    installed: int


def speed_table(measured: Measured) -> str:
    lines = [
        f"| {measured.texts.name} | sentences/s | times {PEER}' default | times its bfloat16 "
        "| padding | lowest cosine |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for c in measured.seconds:
        cells = [
            named(c, measured.dtypes[c]),
            f"{len(measured.texts.texts) / median(measured.seconds[c]):,.0f}",
            spread(measured.times(PEER_DEFAULT, c)),
            spread(measured.times(PEER_BFLOAT16, c)) if PEER_BFLOAT16 in measured.seconds else "–",
            f"{measured.padding[c]:.1%}",
            f"{measured.cosines[c]:.6f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def costs_table(costs: Mapping[Contestant, Costs]) -> str:
    lines = [
        "| | seconds to the first vector | one sentence, ms | 90th percentile | resident | peak | installed |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for contestant, cost in costs.items():
        cells = [
            str(contestant),
            spread(cost.first_vector),
            f"{median(cost.latency):.2f}",
            f"{sorted(cost.latency)[int(len(cost.latency) * 0.9)]:.2f}",
            "–" if cost.resident is None else f"{cost.resident / 1e6:,.0f} MB",
            f"{cost.peak / 1e6:,.0f} MB",
            f"{cost.installed / 1e6:,.0f} MB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def named(contestant: Contestant, dtype: str) -> str:
    """Its name, and what it computes in where that is something else."""
    return str(contestant) if contestant.dtype == dtype else f"{contestant} ({dtype})"


def verdicts(results: Mapping[str, Measured]) -> Iterator[str]:
    """A line for each goal that the sets and contestants of this run say something of."""
    if (natural := results.get("natural")) is not None:
        for ours, least, goal in FASTER_THAN_PEER:
            if ours not in natural.seconds:
                yield f"natural: {ours} took no part, so nothing is known of the goal of {least} times {PEER_DEFAULT}"
                continue
            reached = median(natural.times(PEER_DEFAULT, ours))
            yield (
                f"natural: {ours}, at least {least} times {PEER_DEFAULT}: {reached:.2f}, "
                f"{verdict(reached, least, at_least=True)}; goal of {goal}: {verdict(reached, goal, at_least=True)}"
            )
    if (short := results.get("short")) is not None and OURS_INT8 in short.seconds:
        if OURS_BFLOAT16 in short.seconds:
            reached = median(short.times(OURS_BFLOAT16, OURS_INT8))
            outcome = verdict(reached, INT8_ON_SHORT, at_least=True)
            yield f"short: {OURS_INT8}, at least {INT8_ON_SHORT} times {OURS_BFLOAT16}: {reached:.2f}, {outcome}"
        elif OURS_FLOAT32 in short.seconds:
            reached = median(short.times(OURS_FLOAT32, OURS_INT8))
            yield f"short: {OURS_INT8} is {reached:.2f} times {OURS_FLOAT32}; the goal is set for bfloat16"
    for name, measured in results.items():
        yield from _against_others(name, measured)
        for ours in (OURS_FLOAT32, OURS_BFLOAT16, OURS_DEFAULT):
            if ours in measured.cosines:
                lowest = measured.cosines[ours]
                outcome = "pass" if lowest > LOWEST_COSINE else f"short by {LOWEST_COSINE - lowest:.6f}"
                yield f"{name}: {ours}, lowest cosine above {LOWEST_COSINE}: {lowest:.6f}, {outcome}"


def _against_others(name: str, measured: Measured) -> Iterator[str]:
    """Whether the native engine is ahead of every other engine that computes in the same precision."""
    for ours in NATIVE:
        if ours not in measured.seconds:
            continue
        others = [c for c in measured.seconds if c not in (*NATIVE, OURS_DEFAULT) and measured.dtypes[c] == ours.dtype]
        if others:
            times = {c: median(measured.times(c, ours)) for c in others}
            nearest = min(times, key=lambda c: times[c])
            called, outcome = named(nearest, measured.dtypes[nearest]), verdict(times[nearest], 1, at_least=True)
            yield f"{name}: {ours}, times the fastest other in it, {called}: {times[nearest]:.2f}, {outcome}"
