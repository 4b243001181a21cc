"""What all families of problems share: the records, the train/test split and small helpers for English.

It knows nothing of any particular family. The split is a property of a problem's content alone, so no
random draw, seed or wording can move a problem from one side to the other.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "test"]
Content = tuple[object, ...]

TEST_BUCKETS = 8  # one content bucket in this many belongs to the test split


@dataclass(frozen=True)
class Problem:
    """A question with a worked solution and the one answer that is graded.

    `level` is the number of steps for word problems and a coarse difficulty elsewhere. For code,
    `answer` is the function itself; elsewhere it is what follows "The answer is".
    """

    id: str
    kind: str
    level: int
    prompt: str
    solution: str
    answer: str


@dataclass(frozen=True)
class Draft:
    """A drawn problem before its split is known. `content` is what is asked, free of names and wording."""

    level: int
    content: Content
    prompt: str
    solution: str
    answer: str


@dataclass(frozen=True)
class Family:
    """A kind of problem: the strata to visit in turn, and how to draw one problem of a stratum."""

    kind: str
    strata: tuple[str, ...]
    draw: Callable[[str, random.Random], Draft]


def stable_hash(value: object) -> int:
    """A 64-bit hash of plain data that is the same in every process and on every machine."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def split_of(kind: str, content: Content) -> Split:
    """The side of the split a problem is on, decided by its kind and content alone."""
    return "test" if stable_hash([kind, list(content)]) % TEST_BUCKETS == 0 else "train"


def words(text: str) -> tuple[str, ...]:
    """The comma-separated words of a text, for tables that are read more often than edited."""
    return tuple(word.strip() for word in text.split(","))


def conclude(work: str, answer: str) -> str:
    """The worked text followed by the sentence that carries the answer."""
    return f"{work} The answer is {answer}."


def comma_list(values: Sequence[object]) -> str:
    """The values as "a, b, c"."""
    return ", ".join(str(value) for value in values)


def ordinal(n: int) -> str:
    """1 -> "first", ... 10 -> "tenth"."""
    return words("first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth")[n - 1]


def count_noun(n: int, singular: str) -> str:
    """The number with its noun: "1 hour", "3 hours"."""
    return f"{n} {singular}" if n == 1 else f"{n} {singular}s"


SHE = words(
    "Mia, Emma, Lily, Anna, Sara, Nina, Zoe, Maya, Clara, Ella, Ruby, Alice, Grace, Lucy, Rosa, Nora, Ivy, Leila, "
    "Hana, Priya, Sofia, Julia, Kate, Amira, Jane, Olivia"
)
HE = words(
    "Tom, Ben, Sam, Leo, Max, Omar, Jack, Noah, Adam, Luis, Ravi, Paul, Finn, Hugo, Ivan, Eric, Dan, Kenji, Mark, "
    "Peter, David, Carl, Oscar, Ali, Liam, Joe"
)


def draw_people(rng: random.Random) -> dict[str, str]:
    """Two people for a story: {N} with the pronouns {She}, {she}, {her}, and a friend {M}."""
    female = rng.random() < 0.5
    name = rng.choice(SHE if female else HE)
    friend = rng.choice([other for other in SHE + HE if other != name])
    pronouns = ("She", "she", "her") if female else ("He", "he", "his")
    return dict(zip(("N", "M", "She", "she", "her"), (name, friend, *pronouns), strict=True))
