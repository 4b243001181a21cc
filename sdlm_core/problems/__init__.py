"""Problems with worked solutions and checkable answers, drawn from seeds: word problems, lists, units, code.

Training and test problems are apart by construction. Each problem has a canonical content (the scenario
with its numbers, the items of a list, an idiom with its constants and argument names), free of people's
names and of wording. A stable hash of kind and content puts one content in eight on the test side, and
`generate` draws until a problem lies on the side that was asked for. A test problem therefore never
returns in training data under another child's name or in other words, whatever the seeds.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal

from sdlm_core.problems import idioms, lists, units, words
from sdlm_core.problems.base import Draft, Family, Problem, split_of, stable_hash

__all__ = ["KINDS", "Problem", "generate", "to_conversation"]

_FAMILIES: dict[str, Family] = {f.kind: f for f in (words.FAMILY, lists.FAMILY, units.FAMILY, idioms.FAMILY)}
KINDS: tuple[str, ...] = tuple(_FAMILIES)

_TRIES = 400  # draws of one stratum without anything new before it counts as used up


def generate(
    split: Literal["train", "test"], count: int, seed: int = 0, kinds: Sequence[str] | None = None
) -> Iterator[Problem]:
    """Yield `count` different problems of one split, the kinds in turn and within a kind its strata in turn.

    Strata are the number of steps for word problems, the operation or idiom elsewhere. The same arguments
    give the same problems in every process. A stratum that has nothing new left is skipped; when no kind
    has anything left, ValueError is raised.
    """
    for problem, _ in generate_with_content(split, count, seed, kinds):
        yield problem


def generate_with_content(
    split: Literal["train", "test"], count: int, seed: int = 0, kinds: Sequence[str] | None = None
) -> Iterator[tuple[Problem, Draft]]:
    """`generate`, with the draft that carries each problem's canonical content."""
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", not {split!r}')
    unknown = set(kinds or ()) - set(KINDS)
    if unknown:
        raise ValueError(f"unknown kinds {sorted(unknown)}; choose from {', '.join(KINDS)}")
    rng = random.Random(f"{split}:{seed}")  # a string seed is hashed by random itself, not by hash()
    turns = deque((_FAMILIES[kind], deque(_FAMILIES[kind].strata)) for kind in kinds or KINDS)
    prompts: set[str] = set()
    while len(prompts) < count:
        if not turns:
            raise ValueError(f"only {len(prompts)} different problems of the {count} asked for could be drawn")
        family, strata = turns[0]
        draft = _draw_new(family, strata[0], split, prompts, rng)
        if draft is None:
            strata.popleft()
            if not strata:
                turns.popleft()
            continue
        strata.rotate(-1)
        turns.rotate(-1)
        prompts.add(draft.prompt)
        name = f"{family.kind}-{stable_hash(draft.prompt):016x}"
        yield Problem(name, family.kind, draft.level, draft.prompt, draft.solution, draft.answer), draft


def to_conversation(problem: Problem) -> dict[str, object]:
    """The problem as one ShareGPT-style record: a question, its worked solution, and the graded answer."""
    return {
        "id": problem.id,
        "conversations": [
            {"from": "human", "value": problem.prompt},
            {"from": "gpt", "value": problem.solution},
        ],
        "answer": problem.answer,
    }


def _draw_new(family: Family, stratum: str, split: str, seen: set[str], rng: random.Random) -> Draft | None:
    """A draft on the right side of the split with a new prompt, or None if the stratum seems used up."""
    for _ in range(_TRIES):
        draft = family.draw(stratum, rng)
        if draft.prompt not in seen and split_of(family.kind, draft.content) == split:
            return draft
    return None
