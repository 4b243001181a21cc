"""What list and text problems are made of: plain nouns, small numbers, and a draft that ignores their order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from sdlm_core.problems.base import Draft, conclude, words

Draw = Callable[[random.Random], Draft]

WORDS = words(
    "apple, bread, cloud, dance, eagle, flame, grape, horse, island, jungle, kite, lemon, mango, night, "
    "ocean, paper, queen, river, stone, tiger, uncle, violin, water, yellow, zebra, bridge, candle, desert, "
    "engine, forest, garden, hammer, jacket, kitchen, ladder, market, needle, orange, pencil, rabbit, school, "
    "table, umbrella, valley, window, anchor, basket, castle, dragon, feather, guitar, house, insect, jewel, "
    "lamp, mirror, nest, onion, piano, road, silver, train, wagon, bottle, coffee, dinner, flower, glove, "
    "honey, iron, king, letter, music, nurse, owl, planet, rope, sugar, tower"
)


def draw_numbers(rng: random.Random) -> list[int]:
    """Four to six different numbers below 100."""
    return rng.sample(range(2, 100), rng.randint(4, 6))


def draw_words(rng: random.Random) -> list[str]:
    """Three to five different nouns."""
    return rng.sample(WORDS, rng.randint(3, 5))


def item_draft(op: str, items: Sequence[object], extra: object, prompt: str, work: str, answer: str) -> Draft:
    """A draft whose content is the operation, its parameter and the items, sorted.

    Sorted, so that a test list is never a shuffled training list.
    """
    level = 1 if len(items) <= 4 else 2
    return Draft(level, (op, extra, *sorted(items, key=str)), prompt, conclude(work, answer), answer)
