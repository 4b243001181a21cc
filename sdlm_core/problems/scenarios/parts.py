"""What a scenario is made of, and the parts that many of them share.

A story is an opening, some moves and perhaps a closing. Each move happens at most once, and none depends on
another. All numbers are at least 2, so every noun is a plural. In the sentences {N} is a person with the
pronouns {She}, {she} and {her}, {M} a friend, {x} to {w} the drawn numbers, and any other field a slot.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A piece of a story: numbers to draw, ways to say it, and one solution line a step.

    `numbers` reads "x:2-9 y:10-50/5 z:2-6|t": a range, a range in steps of 5, a divisor of the total so far.
    `work` holds computations such as "[r = t - x]"; the last result becomes the total `t`.
    """

    numbers: str
    say: tuple[str, ...]
    work: tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """A setting. `slots` are interchangeable words, `ask` the question when no closing asks one."""

    name: str
    slots: dict[str, tuple[str, ...]]
    openings: tuple[Part, ...]
    moves: tuple[Part, ...]
    closings: tuple[Part, ...]
    ask: tuple[str, ...]
    in_order: bool = False  # the moves name days or seasons and keep their order

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts; a part's place here is what a problem's content records."""
        return self.openings + self.moves + self.closings


def part(numbers: str, say: str, *work: str) -> Part:
    """`say` holds its alternatives separated by "|"."""
    return Part(numbers, ways(say), work)


def ways(text: str) -> tuple[str, ...]:
    """Alternatives separated by "|"."""
    return tuple(way.strip() for way in text.split("|"))


# Parts that many scenarios share.
SHARE = part(
    "x:2-9|t",
    "{She} shares them equally among {x} friends. How many {items} does each friend get?"
    " | {She} splits them equally between {x} people. How many {items} does each person get?",
    "Each one gets [r = t / x] {items}.",
)
GIVE = part(
    "x:2-30",
    "{She} gives {x} {items} to {M}. | Then {M} gets {x} of the {items} from {N}.",
    "After giving {x} to {M}, {she} has [r = t - x] {items} left.",
)
RECEIVE = part(
    "x:2-30",
    "{M} gives {N} {x} more {items}. | {N} gets {x} more {items} from {M}.",
    "With {x} more from {M}, {she} has [r = t + x] {items}.",
)
LOSE = part(
    "x:2-15",
    "{N} loses {x} {items}. | Then {x} of the {items} get lost.",
    "After losing {x}, {she} has [r = t - x] {items} left.",
)
FIND = part(
    "x:2-25",
    "{N} finds {x} more {items} in a drawer. | In a drawer {she} finds {x} more {items}.",
    "With the {x} from the drawer, {she} has [r = t + x] {items}.",
)
EARN = part(
    "x:3-40",
    "{N} gets {x} dollars from an aunt. | An aunt gives {N} {x} dollars.",
    "With {x} dollars from the aunt, {she} has [r = t + x] dollars.",
)
SPEND = part(
    "x:3-40",
    "{She} spends {x} dollars on a gift. | {N} pays {x} dollars for a gift.",
    "After the gift, {she} has [r = t - x] dollars left.",
)
HAVE_NOW = ways("How many {items} does {she} have now? | How many {items} does {N} have in the end?")
MONEY_NOW = ways("How many dollars does {she} have now? | How many dollars does {N} have in the end?")
TICKETS = part(
    "x:2-5 y:4-12",
    "{She} buys {x} tickets for {y} dollars each. | Then {she} pays for {x} tickets that cost {y} dollars each.",
    "The tickets cost [p = x * y] dollars.",
    "After the tickets, {she} has [r = t - p] dollars left.",
)
