"""Arithmetic word problems of two to five steps, composed from the parts of a scenario.

A problem is an opening, some moves and possibly a closing question. Every part carries
its own sentences for the story and one sentence a step for the solution, in which `[r = t - x]` is
worked out and written as "24 - 5 = 19". `t` is the running total, the other letters are drawn numbers.
"""

from __future__ import annotations

import random
import re

from sdlm_core.problems.base import Draft, Family, conclude, draw_people
from sdlm_core.problems.scenarios import SCENARIOS, Part, Scenario

LEVELS = (2, 3, 4, 5)
MAX_VALUE = 200
SHARE_OF_LARGE = 0.3  # of the problems that reach 100, how many are kept: long sums stay rare

_STEP = re.compile(r"\[(\w) = (\w) ([-+*/]) (\w)\]")


class _Unsuitable(Exception):
    """The numbers drawn do not make a problem that is easy enough, exact and positive."""


def draw_word_problem(stratum: str, rng: random.Random) -> Draft:
    """Draw a word problem of `int(stratum)` steps."""
    steps = int(stratum)
    while True:
        scenario = rng.choice(SCENARIOS)
        parts = _choose_parts(scenario, steps, rng)
        if parts is None:
            continue
        # Division asks for a total with the right divisors, so the numbers get a few tries.
        for _ in range(20):
            try:
                return _write(scenario, parts, steps, rng)
            except _Unsuitable:
                continue


def _choose_parts(scenario: Scenario, steps: int, rng: random.Random) -> list[Part] | None:
    """Parts with `steps` steps in all: an opening, moves, perhaps a closing. None if they do not add up."""
    opening = rng.choice(scenario.openings)
    closing = rng.choice((None, *scenario.closings))
    left = steps - len(opening.work) - (len(closing.work) if closing else 0)
    chosen: list[Part] = []
    for move in rng.sample(scenario.moves, len(scenario.moves)):
        if len(move.work) <= left:
            chosen.append(move)
            left -= len(move.work)
    if left:
        return None
    if scenario.in_order:
        chosen.sort(key=scenario.moves.index)
    return [opening, *chosen, *([closing] if closing else [])]


def _write(scenario: Scenario, parts: list[Part], steps: int, rng: random.Random) -> Draft:
    """Draw the numbers, then write the story and its solution."""
    words = draw_people(rng) | {slot: rng.choice(choices) for slot, choices in scenario.slots.items()}
    story: list[str] = []
    work: list[str] = []
    content: list[object] = [scenario.name]
    total = 0
    largest = 0
    for part in parts:
        numbers = _draw_numbers(part.numbers, total, rng)
        content += [scenario.parts.index(part), *numbers.values()]
        values = numbers | {"t": total}
        fields = words | {name: str(number) for name, number in numbers.items()}
        story.append(rng.choice(part.say).format_map(fields))
        for line in part.work:
            line, total = _work_out(line, values)
            work.append(line.format_map(fields))
            largest = max(largest, total)
    if largest >= 100 and rng.random() > SHARE_OF_LARGE:
        raise _Unsuitable
    if not story[-1].endswith("?"):
        story.append(rng.choice(scenario.ask).format_map(words))
    prompt = " ".join(story)
    return Draft(steps, tuple(content), prompt, conclude(" ".join(work), str(total)), str(total))


def _draw_numbers(spec: str, total: int, rng: random.Random) -> dict[str, int]:
    """Numbers for a spec such as "x:2-9 y:10-50/5 z:2-6|t": a range, in steps of 5, a divisor of t."""
    numbers: dict[str, int] = {}
    for field in spec.split():
        name, bounds = field.split(":")
        bounds, _, divides = bounds.partition("|")
        bounds, _, stride = bounds.partition("/")
        low, high = map(int, bounds.split("-"))
        choices = [n for n in range(low, high + 1, int(stride or 1)) if not divides or total % n == 0]
        if not choices:
            raise _Unsuitable
        numbers[name] = rng.choice(choices)
    return numbers


def _work_out(line: str, values: dict[str, int]) -> tuple[str, int]:
    """Write out the one computation of a solution line and remember its result."""
    match = _STEP.search(line)
    if match is None:
        raise ValueError(f"solution line without a computation: {line!r}")
    target, left, operator, right = match.groups()
    a, b = values[left], values[right]
    if not _is_easy(a, operator, b):
        raise _Unsuitable
    result = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[operator]
    if not 2 <= result <= MAX_VALUE:  # from 2 up every noun is a plural
        raise _Unsuitable
    values[target] = result
    return line[: match.start()] + f"{a} {operator} {b} = {result}" + line[match.end() :], result


def _is_easy(a: int, operator: str, b: int) -> bool:
    """Whether a small model can be expected to learn this computation."""
    if operator == "*":
        small, large = sorted((a, b))
        return small <= 10 and (large <= 12 or (large <= 25 and small <= 4) or (large % 10 == 0 and small <= 5))
    if operator == "/":
        return a % b == 0 and b <= 10 and a // b <= 20
    return True


FAMILY = Family("words", tuple(map(str, LEVELS)), draw_word_problem)
