"""List and text operations: sort, filter, count, extract, reverse, join, replace.

Solutions look at the items one by one where that helps, so the answer is mostly a copy of text that
is already there. The content of a list is hashed without its order: a test list is not a shuffled
training list.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from sdlm_core.retrofit.problems.base import HE, SHE, Draft, Family, comma_list, conclude, draw_people, ordinal

WORDS = (
    "apple bread cloud dance eagle flame grape horse island jungle kite lemon mango night ocean paper queen "
    "river stone tiger uncle violin water yellow zebra bridge candle desert engine forest garden hammer "
    "jacket kitchen ladder market needle orange pencil rabbit school table umbrella valley window anchor "
    "basket castle dragon feather guitar house insect jewel lamp mirror nest onion piano road silver train "
    "wagon bottle coffee dinner flower glove honey iron king letter music nurse owl planet rope sugar tower"
).split()
SEPARATORS = {"a hyphen": "-", "a slash": "/", "a plus sign": "+", "an underscore": "_", "a colon": ":"}
DOMAINS = ("mail.com", "post.org", "school.edu", "home.net", "work.com", "city.gov", "web.org", "shop.net")
SENTENCES = (
    "the small {a} stood near the old {b} and a bright {c}",
    "a heavy {a} fell on the {b} next to our {c}",
    "my sister found a red {a} and a big {b} under the {c}",
    "we saw one {a} behind the {b} and the {c}",
    "every {a} in the town needs a new {b} or a good {c}",
    "nobody put the {a} on top of the {b} before the {c} came",
)

Draw = Callable[[random.Random], Draft]


def _numbers(rng: random.Random) -> list[int]:
    return rng.sample(range(2, 100), rng.randint(4, 6))


def _words(rng: random.Random) -> list[str]:
    return rng.sample(WORDS, rng.randint(3, 5))


def _draft(op: str, items: list[int] | list[str], extra: object, prompt: str, work: str, answer: str) -> Draft:
    """A draft whose content is the operation, its parameter and the items in no order."""
    level = 1 if len(items) <= 4 else 2
    ordered = sorted(items, key=str)
    return Draft(level, (op, extra, *ordered), prompt, conclude(work, answer), answer)


def sort_numbers(rng: random.Random) -> Draft:
    items = _numbers(rng)
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
    return _draft("sort", items, down, prompt, f"Sorted {order}, the numbers are {answer}.", answer)


def sort_words(rng: random.Random) -> Draft:
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
    return _draft("alphabet", items, None, prompt, f"In alphabetical order, the words are {answer}.", answer)


def _parity_walk(items: list[int]) -> str:
    return ", ".join(f"{n} is {'odd' if n % 2 else 'even'}" for n in items) + "."


def _limit_walk(items: list[int], limit: int, word: str) -> str:
    return f"Compare with {limit}: " + ", ".join(f"{n} is {word if n > limit else 'not'}" for n in items) + "."


def filter_parity(rng: random.Random) -> Draft:
    odd = rng.random() < 0.5
    word = "odd" if odd else "even"
    items = _numbers(rng)
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
    return _draft("parity", items, word, prompt, f"{_parity_walk(items)} The {word} numbers are {answer}.", answer)


def filter_greater(rng: random.Random) -> Draft:
    items = _numbers(rng)
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
    return _draft("greater", items, limit, prompt, work, answer)


def count_parity(rng: random.Random) -> Draft:
    odd = rng.random() < 0.5
    word = "odd" if odd else "even"
    items = _numbers(rng)
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
    return _draft("count parity", items, word, prompt, work, str(len(kept)))


def count_greater(rng: random.Random) -> Draft:
    items = _numbers(rng)
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
    return _draft("count greater", items, limit, prompt, work, str(len(kept)))


def count_word(rng: random.Random) -> Draft:
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
    return _draft("count word", items, word, prompt, f"Counting: {walk}. The word is there {count} times.", str(count))


def extract_email(rng: random.Random) -> Draft:
    people = draw_people(rng)
    user = f"{people['N'].lower()}{rng.choice(('', '.', '_'))}{rng.choice(WORDS)}"
    email = f"{user}@{rng.choice(DOMAINS)}"
    day = rng.choice(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"))
    text = rng.choice(
        (
            f"Please write to {email} before {day}.",
            f"On {day} {people['M']} sent the letter to {email} again.",
            f"You can reach {people['N']} at {email} until {day}.",
            f"The new address is {email}, {people['M']} said on {day}.",
        )
    )
    prompt = rng.choice(
        (
            f"Extract the email address: {text}",
            f"Find the email address in this text: {text}",
            f"What is the email address in this sentence? {text}",
        )
    )
    return Draft(1, ("email", email), prompt, conclude(f"The text contains the email address {email}.", email), email)


def extract_names(rng: random.Random) -> Draft:
    names = rng.sample(SHE + HE, rng.randint(2, 3))
    place = rng.choice(WORDS)
    rest = f" and later {names[2]}" if len(names) == 3 else ""
    text = rng.choice(
        (
            f"yesterday {names[0]} and {names[1]}{rest} walked to the {place}.",
            f"at the {place} we met {names[0]}, then {names[1]}{rest}.",
            f"near the {place}, {names[0]} waited for {names[1]}{rest}.",
        )
    )
    prompt = rng.choice(
        (
            f"List the names in this text: {text}",
            f"Which names are in this sentence? {text}",
            f"Extract all names: {text}",
        )
    )
    answer = comma_list(names)
    return _draft("names", names, None, prompt, f"The names in the text are {answer}.", answer)


def _sentence(rng: random.Random) -> tuple[str, list[str]]:
    picked = rng.sample(WORDS, 3)
    text = rng.choice(SENTENCES).format_map(dict(zip("abc", picked, strict=True)))
    return text, text.split()


def nth_word(rng: random.Random) -> Draft:
    text, tokens = _sentence(rng)
    n = rng.randint(2, 7)
    answer = tokens[n - 1]
    prompt = rng.choice(
        (
            f'What is the {ordinal(n)} word of "{text}"?',
            f'Give the {ordinal(n)} word of this sentence: "{text}"',
        )
    )
    walk = ", ".join(f"{number} {word}" for number, word in enumerate(tokens[:n], 1))
    work = f"Counting the words: {walk}. The {ordinal(n)} word is {answer}."
    return Draft(2, ("nth word", n, text), prompt, conclude(work, answer), answer)


def last_word(rng: random.Random) -> Draft:
    items = _words(rng)
    last = rng.random() < 0.5
    where = "last" if last else "first"
    answer = items[-1 if last else 0]
    prompt = rng.choice(
        (
            f"What is the {where} word in this list? {comma_list(items)}",
            f"Give the {where} item of this list: {comma_list(items)}.",
        )
    )
    return _draft("end word", items, where, prompt, f"The {where} item of the list is {answer}.", answer)


def extract_numbers(rng: random.Random) -> Draft:
    people = draw_people(rng)
    a, b, c = rng.sample(range(2, 100), 3)
    x, y = rng.sample(WORDS, 2)
    text = rng.choice(
        (
            f"{people['N']} saw {a} birds, {b} boats and {c} clouds near the {x}.",
            f"In room {a} there are {b} chairs, and the {x} costs {c} dollars.",
            f"Bus {a} takes {b} minutes to the {x} and {c} minutes to the {y}.",
            f"{people['N']} is {a} years old, {people['M']} is {b}, and the {x} is {c}.",
        )
    )
    prompt = rng.choice(
        (
            f"List all numbers in this text: {text}",
            f"Extract the numbers: {text}",
            f"Which numbers are in this sentence? {text}",
        )
    )
    answer = comma_list([a, b, c])
    return _draft("numbers", [a, b, c], None, prompt, f"The numbers in the text are {answer}.", answer)


def reverse_list(rng: random.Random) -> Draft:
    items: list[str] = _words(rng) if rng.random() < 0.6 else [str(n) for n in _numbers(rng)]
    answer = comma_list(items[::-1])
    prompt = rng.choice(
        (
            f"Reverse this list: {comma_list(items)}.",
            f"Write this list backwards: {comma_list(items)}.",
            f"Put the items of this list in reverse order: {comma_list(items)}.",
        )
    )
    return _draft("reverse", items, None, prompt, f"In reverse order, the list is {answer}.", answer)


def uppercase(rng: random.Random) -> Draft:
    items = rng.sample(WORDS, rng.randint(2, 3))
    text = " ".join(items)
    answer = text.upper()
    prompt = rng.choice(
        (
            f'Write "{text}" in capital letters.',
            f'Convert to uppercase: "{text}"',
            f'Turn "{text}" into uppercase.',
        )
    )
    return _draft("uppercase", items, None, prompt, f"In capital letters, the text is {answer}.", answer)


def join_words(rng: random.Random) -> Draft:
    items = _words(rng)
    name = rng.choice(list(SEPARATORS))
    answer = SEPARATORS[name].join(items)
    prompt = rng.choice(
        (
            f"Join these words with {name}: {comma_list(items)}.",
            f"Connect the words {comma_list(items)} with {name}.",
        )
    )
    return _draft("join", items, name, prompt, f"Joined with {name}, the words are {answer}.", answer)


def extreme(rng: random.Random) -> Draft:
    items = _numbers(rng)
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
    return _draft("extreme", items, word, prompt, work, str(best))


def unique(rng: random.Random) -> Draft:
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
    return _draft("unique", items, None, prompt, f"Without duplicates, the list is {answer}.", answer)


def replace_word(rng: random.Random) -> Draft:
    text, tokens = _sentence(rng)
    old = rng.choice([token for token in tokens if token in WORDS])
    new = rng.choice([word for word in WORDS if word not in tokens])
    answer = " ".join(new if token == old else token for token in tokens)
    prompt = rng.choice(
        (
            f'Replace "{old}" with "{new}" in this sentence: {text}',
            f'In the sentence "{text}", change "{old}" to "{new}".',
        )
    )
    work = f"{old} becomes {new}."
    return Draft(2, ("replace", old, new, text), prompt, conclude(work, answer), answer)


def word_lengths(rng: random.Random) -> Draft:
    word = rng.choice(WORDS)
    extra = rng.choice(("letters", "vowels"))
    if extra == "vowels":
        found = [letter for letter in word if letter in "aeiou"]
    else:
        found = list(word)
    if len(found) < 2:
        return word_lengths(rng)
    prompt = rng.choice(
        (f'How many {extra} are in the word "{word}"?', f'Count the {extra} in the word "{word}".')
    )
    walk = ", ".join(f"{letter} {number}" for number, letter in enumerate(found, 1))
    work = f"Counting the {extra}: {walk}. There are {len(found)} {extra}."
    return Draft(1, ("letters", extra, word), prompt, conclude(work, str(len(found))), str(len(found)))


def add_up(rng: random.Random) -> Draft:
    items = rng.sample(range(2, 30), rng.randint(3, 4))
    total = items[0]
    steps = []
    for n in items[1:]:
        steps.append(f"{total} + {n} = {total + n}.")
        total += n
    prompt = rng.choice(
        (f"Add up these numbers: {comma_list(items)}.", f"What is the sum of {comma_list(items)}?")
    )
    return _draft("sum", items, None, prompt, " ".join(steps), str(total))


_DRAWS: dict[str, Draw] = {
    draw.__name__: draw
    for draw in (
        sort_numbers, sort_words, filter_parity, filter_greater, count_parity, count_greater, count_word,
        extract_email, extract_names, extract_numbers, nth_word, last_word, reverse_list, uppercase,
        join_words, extreme, unique, replace_word, word_lengths, add_up,
    )
}  # fmt: skip


def draw_list_problem(stratum: str, rng: random.Random) -> Draft:
    """Draw a problem of the operation named by the stratum."""
    return _DRAWS[stratum](rng)


FAMILY = Family("lists", tuple(_DRAWS), draw_list_problem)
