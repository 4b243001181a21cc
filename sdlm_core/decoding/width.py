"""As wide as it pays: how many tokens a pass guesses, and what of a draft it verifies.

What a pass holds is chosen by two numbers: what a row more costs in this company, and how likely a guess holds. Rows
are taken on while they promise more tokens a second than the runs make anyway. Functions of numbers: no tensor, no
model, no clock. What self-speculative decoding writes does not depend on any of this.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTHS = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64)  # few, since a GPU captures a graph for each size
# Passes without a guess until one is tried, to see whether it would pay now: at first, and after many in vain.
FIRST_PROBE, PROBE = 3, 24
KNOTS = (1, 2, 4, 8, 16, 32, 64, 128)  # rows of the passes whose time is measured; in between it is interpolated
NEGLIGIBLE = 0.01  # tokens; a branch that promises less is not looked at
MOST_CHANGE = 1.5  # by so much, and no more, may one pass be slower or faster than expected

# How fast new passes push out old ones: what the device does at large, what so many rows cost, what guesses are worth.
LEVEL_PACE, ROWS_PACE, GUESS_PACE = 0.2, 0.05, 0.1
# Before a run has shown anything: that a guess holds where the one before it did, with the weight of so many guesses.
PRIOR_CHANCE, PRIOR_WEIGHT = 0.6, 1.0
TRUST = 4.0  # the weight of what guesses say of themselves, in guesses seen


# -- what rows cost ---------------------------------------------------------------------------------------------------


class Costs:
    """Seconds of a pass by its rows: a straight line between the KNOTS, never falling.

    drafting: seconds that a pass with a verified draft's block takes on top, whatever its rows: scoring what follows.
    """

    def __init__(self, seconds: Sequence[float], drafting: float = 0.0) -> None:
        """seconds: of the first len(seconds) KNOTS, at least two; from there on the last line goes on."""
        self.drafting = drafting
        self._seconds = list(seconds)
        for i in range(len(seconds), len(KNOTS)):
            slope = (self._seconds[i - 1] - self._seconds[i - 2]) / (KNOTS[i - 1] - KNOTS[i - 2])
            self._seconds.append(self._seconds[i - 1] + max(slope, 0.0) * (KNOTS[i] - KNOTS[i - 1]))
        self._level = 1.0
        self._line = never_falling(self._seconds)

    def at(self, rows: float) -> float:
        """Seconds of a pass of so many rows, on a machine as busy as when they were first measured."""
        i, share = self._place(rows)
        low, high = self._line[i], self._line[i + 1]
        return low + (high - low) * share

    def observe(self, rows: int, seconds: float, drafting: bool = False) -> None:
        """A pass of so many rows took so long. A busy machine slows all passes alike, which changes the level only."""
        if rows > 2 * KNOTS[-1]:
            return  # a prompt
        expected = self._level * (self.at(rows) + (self.drafting if drafting else 0.0))
        ratio = min(max(seconds / expected, 1 / MOST_CHANGE), MOST_CHANGE)
        self._level *= ratio**LEVEL_PACE
        i, share = self._place(rows)
        for knot, weight in ((i, max(1 - share, 0.0)), (i + 1, min(share, 1.0))):
            self._seconds[knot] *= ratio ** (ROWS_PACE * weight)
        self._line = never_falling(self._seconds)

    def _place(self, rows: float) -> tuple[int, float]:
        """The knot at or before `rows`, and how far `rows` is towards the next; beyond the last, more than 1."""
        i = min(max(bisect_right(KNOTS, rows) - 1, 0), len(KNOTS) - 2)
        return i, (rows - KNOTS[i]) / (KNOTS[i + 1] - KNOTS[i])


def never_falling(values: Sequence[float]) -> list[float]:
    """The nearest line that never falls: neighbours that fall are replaced by their mean."""
    pools: list[tuple[float, int]] = []
    for value in values:
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (last, n), (before, m) = pools.pop(), pools.pop()
            pools.append(((last * n + before * m) / (n + m), n + m))
    return [mean for mean, count in pools for _ in range(count)]


# -- how likely guesses hold ------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """Counts by place in a block's guesses, the first at 0, the latest counting most: how often something could have
    come about, and how often it did; either may be a chance rather than a count."""

    tried: list[float] = field(default_factory=list)
    came: list[float] = field(default_factory=list)

    def add(self, place: int, tried: float, came: float) -> None:
        for counts, seen in ((self.tried, tried), (self.came, came)):
            counts += [0.0] * (place + 1 - len(counts))
            counts[place] += seen - GUESS_PACE * counts[place]

    def at(self, place: int) -> tuple[float, float]:
        return (self.tried[place], self.came[place]) if place < len(self.tried) else (0.0, 0.0)


@dataclass
class Experience:
    """What a run has seen of its guesses.

    kept:   of the guesses that were looked at, their own probabilities (as tried) and how many held.
    likely: of all guesses that were made, by how likely the ones before them hold, and they themselves.
    tokens, seconds: of a pass, the latter as expected by its rows. unguessed: passes since the last guess, and
    patience: how many of them until one is tried.
    """

    kept: Tally = field(default_factory=Tally)
    likely: Tally = field(default_factory=Tally)
    tokens: float = 1.0
    seconds: float = 0.0
    unguessed: int = 0
    patience: int = FIRST_PROBE

    def saw(self, probabilities: Sequence[float], held: int) -> None:
        """Guesses of these probabilities were looked at in order; `held` of them held, the next, if any, did not."""
        for i, probability in enumerate(probabilities[: held + 1]):
            self.kept.add(i, probability, float(i < held))

    def made(self, chances: Sequence[float]) -> None:
        """Guesses were made that hold with these chances, each once those before it do."""
        before = 1.0
        for i, chance in enumerate(chances):
            self.likely.add(i, before, before * chance)
            before *= chance

    def passed(self, accepted: int, seconds: float, guessed: bool) -> None:
        """A pass, expected to take so long, gave so many tokens."""
        self.tokens += GUESS_PACE * (accepted - self.tokens)
        self.seconds += (GUESS_PACE if self.seconds else 1.0) * (seconds - self.seconds)
        self.unguessed = 0 if guessed else self.unguessed + 1
        if guessed:
            self.patience = FIRST_PROBE if accepted > 1 else min(2 * self.patience, PROBE)

    def usual(self, count: int) -> list[float]:
        """For `count` places, the chance that a guess not yet made holds once those before it do."""
        chances, chance = [], PRIOR_CHANCE
        for i in range(count):
            tried, came = self.likely.at(i)
            chance = (came + PRIOR_WEIGHT * chance) / (tried + PRIOR_WEIGHT)  # a place nobody reached is as the last
            chances.append(chance)
        return chances

    def chances(self, probabilities: Sequence[float]) -> list[float]:
        """The same of guesses that are made, by their own probabilities: corrected by what such ones came to."""
        corrected = []
        for i, probability in enumerate(probabilities):
            promised, came = self.kept.at(i)
            corrected.append(min(probability * (came + TRUST) / (promised + TRUST), 0.99))
        return corrected


# -- the choice -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Company:
    """What a run's pass is shared with: the rows of the other runs, what rows cost, and tokens a second of all runs."""

    costs: Costs
    rows: int = 0
    rate: float = 0.0


@dataclass(frozen=True)
class Shape:
    """What a pass shall hold: blocks of `width` after the draft's first i tokens for each i of `branches`, and, where
    causal rows verify, how many drafted tokens (None: the blocks' first rows do)."""

    width: int
    branches: tuple[int, ...] = (0,)
    verified: int | None = None


def rate_of(runs: Sequence[Experience], costs: Costs) -> float:
    """Tokens a second that these runs make together; never less than one token a pass each."""
    tokens = sum(run.tokens for run in runs)
    seconds = [run.seconds for run in runs if run.seconds]
    lately = tokens * len(seconds) / sum(seconds) if seconds else 0.0
    return max(lately, len(runs) / costs.at(len(runs)))


def choose_width(run: Experience, missing: int, most: int, company: Company) -> int:
    """Rules with a threshold: how many tokens to guess, where `missing` known tokens have to be read first."""
    if run.unguessed >= run.patience and most > 1:
        return max(w for w in WIDTHS if w <= most)
    before = company.rows + missing
    chances = run.usual(most - 1)
    best, found, tokens, reached = -float("inf"), 1, 1.0, 1
    for width in (w for w in WIDTHS if w <= most):
        tokens += sum(product(chances[:n]) for n in range(reached, width))
        reached = width
        rows = before + (width if width > 1 else 0)
        gain = tokens - company.rate * company.costs.at(rows)
        if gain > best:
            best, found = gain, width
    return found


def choose_shape(run: Experience, probabilities: Sequence[float], missing: int, most: int, company: Company) -> Shape:
    """Self-speculative: how many drafted tokens to verify, after which of them to guess on, and how far.

    probabilities: the draft's own; missing: known tokens that the cache lacks, the newest included; most: the widest
    block, and the most tokens a pass may accept.
    """
    costs, rate = company.costs, company.rate
    before = company.rows + missing
    chances = run.chances(probabilities)[: most - 1]
    reached = [product(chances[:n]) for n in range(len(chances) + 1)]  # that the draft's first n tokens hold
    worths = [(w, worth(run, w, company)) for w in WIDTHS if 1 < w <= most]
    probe = run.unguessed >= run.patience
    best, found = -float("inf"), Shape(1, (), 0)
    for k in range(len(reached)):
        tokens = sum(reached[: k + 1])
        ends = [reached[n] - reached[n + 1] for n in range(k)] + [reached[k]]  # that exactly n tokens hold
        order = sorted(range(k + 1), key=lambda n: -ends[n])  # the likeliest ends get blocks first
        plain = tokens - rate * costs.at(before + k)
        if plain > best and not (probe and worths):
            best, found = plain, Shape(1, (), k)
        for width, value in worths:
            likely = 0.0
            for blocks, end in enumerate(order, 1):
                likely += ends[end]
                gain = tokens + likely * value
                gain -= rate * (costs.at(before + k + blocks * width) + costs.drafting)
                if gain > best:
                    best, found = gain, Shape(width, tuple(sorted(order[:blocks])), k)
                if ends[order[min(blocks, k)]] * value < NEGLIGIBLE:
                    break
    return found


def worth(run: Experience, width: int, company: Company) -> float:
    """Tokens that a draft from a block of `width` adds to the next pass, less those lost to the rows that verify it."""
    rows = company.rows + 1
    alone = company.costs.at(rows)
    chances = run.usual(width - 1)
    best, tokens = 0.0, 0.0
    for n in range(1, width):
        tokens += product(chances[:n])
        best = max(best, tokens - company.rate * (company.costs.at(rows + n) - alone))
    return best


def product(chances: Sequence[float]) -> float:
    result = 1.0
    for chance in chances:
        result *= chance
    return result
