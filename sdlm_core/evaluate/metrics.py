"""The numbers of an evaluation, each from plain lists: agreement, intervals, calibration, accepted lengths.

Speed here is tokens per pass, the paper's SpeedUp; wall-clock speed is measured in `wall_clock` and never mixed with
it. It knows nothing of models or files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from sdlm_core.trace import Trace

BINS = 10  # of confidence, equally wide: [0, 0.1], (0.1, 0.2], … (0.9, 1]
RESAMPLES = 2000
Z95 = 1.959963984540054  # half width of a normal 95 % interval, in standard errors


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval and the number of answers behind it. Bounds are nan where there is none."""

    value: float
    low: float
    high: float
    n: int

    def to_list(self) -> list[float | int | None]:
        """[value, low, high, n], six decimals; null where there is no number."""
        rounded = [round(x, 6) if math.isfinite(x) else None for x in (self.value, self.low, self.high)]
        return [*rounded, self.n]


NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def agreement(answer: Sequence[int], reference: Sequence[int]) -> float:
    """1 − (token edits from one answer to the other) / (tokens of the longer one); 1 is the same answer.

    Both as token ids, end tokens included. An edit inserts, deletes or replaces one token.
    """
    return 1.0 - float(Levenshtein.normalized_distance(list(answer), list(reference)))


def proportion(successes: int, n: int) -> Estimate:
    """A proportion with its Wilson 95 % interval, which holds near 0 and 1 and for small n too."""
    if n == 0:
        return NOTHING
    p, z2 = successes / n, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return Estimate(p, max(0.0, centre - half), min(1.0, centre + half), n)


def ratio(numerators: Sequence[float], denominators: Sequence[float], seed: int = 0) -> Estimate:
    """Sum over sum, such as tokens over passes, with a bootstrap 95 % interval over the answers.

    Whole answers are drawn again, since tokens of one answer are not independent. Percentile interval, seeded.
    """
    top, bottom = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if len(top) == 0 or bottom.sum() == 0:
        return NOTHING
    value = float(top.sum() / bottom.sum())
    if len(top) == 1:
        return Estimate(value, math.nan, math.nan, 1)
    drawn = np.random.default_rng(seed).integers(0, len(top), size=(RESAMPLES, len(top)))
    totals = bottom[drawn].sum(axis=1)
    samples = top[drawn].sum(axis=1)[totals > 0] / totals[totals > 0]
    low, high = np.percentile(samples, [2.5, 97.5])
    return Estimate(value, float(low), float(high), len(top))


def mean(values: Sequence[float], seed: int = 0) -> Estimate:
    """The mean with a bootstrap 95 % interval."""
    return ratio(values, [1.0] * len(values), seed)


def accepted_histogram(accepted: Iterable[int], block_size: int) -> list[int]:
    """How many passes kept 1, 2, … D tokens."""
    counts = [0] * block_size
    for n in accepted:
        counts[n - 1] += 1
    return counts


# -- calibration: is a confidence of 0.8 right in 80 % of cases? -------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """One candidate held against the τ 1 answer. position: its place in the block, 1 … D."""

    position: int
    confidence: float
    right: bool


@dataclass
class Bins:
    """Sums over the judged candidates of each confidence bin; bins of several answers add up."""

    count: list[int]
    confidence: list[float]  # summed
    right: list[int]

    @classmethod
    def empty(cls) -> Bins:
        return cls([0] * BINS, [0.0] * BINS, [0] * BINS)

    def add(self, confidence: float, right: bool) -> None:
        i = min(BINS - 1, max(0, math.ceil(confidence * BINS) - 1))
        self.count[i] += 1
        self.confidence[i] += confidence
        self.right[i] += right

    def merge(self, other: Bins) -> None:
        for i in range(BINS):
            self.count[i] += other.count[i]
            self.confidence[i] += other.confidence[i]
            self.right[i] += other.right[i]

    @property
    def n(self) -> int:
        return sum(self.count)

    @property
    def ece(self) -> float:
        """Expected calibration error: |share right − mean confidence|, averaged over candidates; nan without any."""
        gaps = [abs(r - c) for r, c in zip(self.right, self.confidence, strict=True)]
        return sum(gaps) / self.n if self.n else math.nan


def judge_trace(trace: Trace, reference: Sequence[int]) -> list[Judged]:
    """A run's candidates held against the τ 1 answer of the same model, prompt and D, as token ids.

    What τ 1 decoding would have produced at a place is only known after a text it has itself produced. So candidates
    count only in passes before which the run's answer agrees with `reference`, and only at places that `reference`
    has: nothing is said of guesses beyond its end. Position 1 then is right by construction (it is τ 1's own choice)
    and says nothing of calibration. A self-speculative pass is judged by the draft it verified, whose tokens were
    positions 2 … D of an earlier block.
    """
    judged: list[Judged] = []
    for p in trace.passes:
        if list(trace.token_ids[: p.start]) != list(reference[: p.start]):
            break
        speculative = trace.config.algorithm == "self_speculative"
        guesses, first = (p.draft, 2) if speculative else (p.candidates, 1)
        judged += [
            Judged(first + i, c.confidence, c.token_id == reference[p.start + i])
            for i, c in enumerate(guesses[: max(0, len(reference) - p.start)])
        ]
    return judged


def calibration(judged: Iterable[Judged]) -> dict[int, Bins]:
    """Bins for each position in the block."""
    positions: dict[int, Bins] = {}
    for j in judged:
        positions.setdefault(j.position, Bins.empty()).add(j.confidence, j.right)
    return dict(sorted(positions.items()))
