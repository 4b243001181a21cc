"""List operations: sort, filter, count, reverse, join, add up; with the text operations one family.

Solutions look at the items one by one where that helps, so the answer is mostly a copy of text that
is already there.
"""

from __future__ import annotations

import random

from sdlm_core.problems.base import Draft, Family, comma_list
from sdlm_core.problems.items import WORDS, Draw, draw_numbers, draw_words, item_draft
from sdlm_core.problems.texts import TEXT_DRAWS

SEPARATORS = {"a hyphen": "-", "a slash": "/", "a plus sign": "+", "an underscore": "_", "a colon": ":"}


def sort_numbers(rng: random.Random) -> Draft:
    """Sort numbers in either direction."""
    items = draw_numbers(rng)
    down = rng.random() < 0.5
    order = "from largest to smallest" if down else "from smallest to largest"
    answer = comma_list(sorted(items, reverse=down))
    prompt = rng.choice(
        (
            f"Sort these numbers {order}: {comma_list(items)}.",
            f"Put these numbers in order {order}: {comma_list(items)}.",
            f"Write the numbers {comma_list(items)} {order}.",
        )
    )
    return item_draft("sort", items, down, prompt, f"Sorted {order}, the numbers are {answer}.", answer)


def sort_words(rng: random.Random) -> Draft:
    """Sort words with different first letters."""
    by_letter = {word[0]: word for word in rng.sample(WORDS, len(WORDS))}
    items = rng.sample(sorted(by_letter.values()), rng.randint(3, 5))  # distinct first letters
    answer = comma_list(sorted(items))
    prompt = rng.choice(
        (
            f"Sort these words alphabetically: {comma_list(items)}.",
            f"Put these words in alphabetical order: {comma_list(items)}.",
            f"Write the words {comma_list(items)} in alphabetical order.",
        )
    )
    return item_draft("alphabet", items, None, prompt, f"In alphabetical order, the words are {answer}.", answer)


def _parity_walk(items: list[int]) -> str:
    """Each number with its parity."""
    return ", ".join(f"{n} is {'odd' if n % 2 else 'even'}" for n in items) + "."


def _limit_walk(items: list[int], limit: int, word: str) -> str:
    """Each number compared with the limit."""
    return f"Compare with {limit}: " + ", ".join(f"{n} is {word if n > limit else 'not'}" for n in items) + "."


def filter_parity(rng: random.Random) -> Draft:
    """Keep the even or the odd numbers."""
    odd = rng.random() < 0.5
    word = "odd" if odd else "even"
    items = draw_numbers(rng)
    kept = [n for n in items if n % 2 == odd]
    if len(kept) < 2:
        return filter_parity(rng)
    answer = comma_list(kept)
    prompt = rng.choice(
        (
            f"Keep only the {word} numbers: {comma_list(items)}.",
            f"Which of these numbers are {word}? {comma_list(items)}",
            f"List the {word} numbers in {comma_list(items)}.",
        )
    )
    return item_draft("parity", items, word, prompt, f"{_parity_walk(items)} The {word} numbers are {answer}.", answer)


def filter_greater(rng: random.Random) -> Draft:
    """Keep the numbers above a limit."""
    items = draw_numbers(rng)
    limit = rng.randint(2, 8) * 10
    kept = [n for n in items if n > limit]
    if len(kept) < 2 or limit in items:
        return filter_greater(rng)
    answer = comma_list(kept)
    prompt = rng.choice(
        (
            f"Keep only the numbers greater than {limit}: {comma_list(items)}.",
            f"Which of these numbers are greater than {limit}? {comma_list(items)}",
            f"List the numbers above {limit} in {comma_list(items)}.",
        )
    )
    work = f"{_limit_walk(items, limit, 'greater')} The numbers greater than {limit} are {answer}."
    return item_draft("greater", items, limit, prompt, work, answer)


def count_parity(rng: random.Random) -> Draft:
    """Count the even or the odd numbers."""
    odd = rng.random() < 0.5
    word = "odd" if odd else "even"
    items = draw_numbers(rng)
    kept = [n for n in items if n % 2 == odd]
    if len(kept) < 2:
        return count_parity(rng)
    prompt = rng.choice(
        (
            f"How many of these numbers are {word}? {comma_list(items)}",
            f"Count the {word} numbers: {comma_list(items)}.",
        )
    )
    work = f"{_parity_walk(items)} The {word} numbers are {comma_list(kept)}. That is {len(kept)} numbers."
    return item_draft("count parity", items, word, prompt, work, str(len(kept)))


def count_greater(rng: random.Random) -> Draft:
    """Count the numbers above a limit."""
    items = draw_numbers(rng)
    limit = rng.randint(2, 8) * 10
    kept = [n for n in items if n > limit]
    if len(kept) < 2 or limit in items:
        return count_greater(rng)
    prompt = rng.choice(
        (
            f"How many of these numbers are greater than {limit}? {comma_list(items)}",
            f"Count the numbers above {limit}: {comma_list(items)}.",
        )
    )
    work = (
        f"{_limit_walk(items, limit, 'greater')} The numbers greater than {limit} are {comma_list(kept)}. "
        f"That is {len(kept)} numbers."
    )
    return item_draft("count greater", items, limit, prompt, work, str(len(kept)))


def count_word(rng: random.Random) -> Draft:
    """Count how often a word is in a list."""
    kinds = rng.sample(WORDS, 3)
    items = [rng.choice(kinds) for _ in range(rng.randint(5, 8))]
    word = rng.choice(kinds)
    count = items.count(word)
    if count < 2:
        return count_word(rng)
    prompt = rng.choice(
        (
            f'How often is the word "{word}" in this list? {comma_list(items)}',
            f'Count the word "{word}" in this list: {comma_list(items)}.',
        )
    )
    walk = ", ".join(f"{word} {number}" for number in range(1, count + 1))
    return item_draft(
        "count word", items, word, prompt, f"Counting: {walk}. The word is there {count} times.", str(count)
    )


def end_item(rng: random.Random) -> Draft:
    """The first or the last item."""
    items = draw_words(rng)
    last = rng.random() < 0.5
    where = "last" if last else "first"
    answer = items[-1 if last else 0]
    prompt = rng.choice(
        (
            f"What is the {where} word in this list? {comma_list(items)}",
            f"Give the {where} item of this list: {comma_list(items)}.",
        )
    )
    return item_draft("end word", items, where, prompt, f"The {where} item of the list is {answer}.", answer)


def reverse_list(rng: random.Random) -> Draft:
    """Reverse a list of words or numbers."""
    items: list[str] = draw_words(rng) if rng.random() < 0.6 else [str(n) for n in draw_numbers(rng)]
    answer = comma_list(items[::-1])
    prompt = rng.choice(
        (
            f"Reverse this list: {comma_list(items)}.",
            f"Write this list backwards: {comma_list(items)}.",
            f"Put the items of this list in reverse order: {comma_list(items)}.",
        )
    )
    return item_draft("reverse", items, None, prompt, f"In reverse order, the list is {answer}.", answer)


def join_words(rng: random.Random) -> Draft:
    """Join words with a separator."""
    items = draw_words(rng)
    name = rng.choice(list(SEPARATORS))
    answer = SEPARATORS[name].join(items)
    prompt = rng.choice(
        (
            f"Join these words with {name}: {comma_list(items)}.",
            f"Connect the words {comma_list(items)} with {name}.",
        )
    )
    return item_draft("join", items, name, prompt, f"Joined with {name}, the words are {answer}.", answer)


def extreme(rng: random.Random) -> Draft:
    """The largest or smallest number, found by looking at each in turn."""
    items = draw_numbers(rng)
    largest = rng.random() < 0.5
    word = "largest" if largest else "smallest"
    best = items[0]
    steps = [f"Start with {best}."]
    for n in items[1:]:
        if (n > best) == largest:
            best = n
            steps.append(f"{n} is {'larger' if largest else 'smaller'}.")
    prompt = rng.choice(
        (
            f"What is the {word} number? {comma_list(items)}",
            f"Find the {word} number in {comma_list(items)}.",
            f"Which of these numbers is the {word}? {comma_list(items)}",
        )
    )
    work = f"{' '.join(steps)} The {word} number is {best}."
    return item_draft("extreme", items, word, prompt, work, str(best))


def unique(rng: random.Random) -> Draft:
    """Drop repeated items and keep the order."""
    base: list[str] = rng.sample(WORDS, 4) if rng.random() < 0.6 else [str(n) for n in rng.sample(range(2, 60), 4)]
    items = base + [rng.choice(base) for _ in range(rng.randint(1, 2))]
    rng.shuffle(items)
    answer = comma_list(list(dict.fromkeys(items)))
    prompt = rng.choice(
        (
            f"Remove the duplicates from this list: {comma_list(items)}.",
            f"Write each item only once: {comma_list(items)}.",
            f"Delete repeated items and keep the order: {comma_list(items)}.",
        )
    )
    return item_draft("unique", items, None, prompt, f"Without duplicates, the list is {answer}.", answer)


def add_up(rng: random.Random) -> Draft:
    """Add three or four numbers one by one."""
    items = rng.sample(range(2, 30), rng.randint(3, 4))
    total = items[0]
    steps = []
    for n in items[1:]:
        steps.append(f"{total} + {n} = {total + n}.")
        total += n
    prompt = rng.choice((f"Add up these numbers: {comma_list(items)}.", f"What is the sum of {comma_list(items)}?"))
    return item_draft("sum", items, None, prompt, " ".join(steps), str(total))


LIST_DRAWS: tuple[Draw, ...] = (
    sort_numbers, sort_words, filter_parity, filter_greater, count_parity, count_greater, count_word,
    end_item, reverse_list, join_words, extreme, unique, add_up,
)  # fmt: skip
_DRAWS: dict[str, Draw] = {draw.__name__: draw for draw in LIST_DRAWS + TEXT_DRAWS}


def draw_list_problem(stratum: str, rng: random.Random) -> Draft:
    """Draw a problem of the operation named by the stratum."""
    return _DRAWS[stratum](rng)


FAMILY = Family("lists", tuple(_DRAWS), draw_list_problem)
