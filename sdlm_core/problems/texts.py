"""Text operations: extract, count, replace, uppercase. The answer is mostly a copy of the text."""

from __future__ import annotations

import random

from sdlm_core.problems.base import HE, SHE, Draft, comma_list, conclude, draw_people, ordinal
from sdlm_core.problems.items import WORDS, Draw, item_draft

DOMAINS = ("mail.com", "post.org", "school.edu", "home.net", "work.com", "city.gov", "web.org", "shop.net")
SENTENCES = (
    "the small {a} stood near the old {b} and a bright {c}",
    "a heavy {a} fell on the {b} next to our {c}",
    "my sister found a red {a} and a big {b} under the {c}",
    "we saw one {a} behind the {b} and the {c}",
    "every {a} in the town needs a new {b} or a good {c}",
    "nobody put the {a} on top of the {b} before the {c} came",
)


def extract_email(rng: random.Random) -> Draft:
    """Find the email address in a sentence."""
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
    """List the capitalised names in a sentence without other capitals."""
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
    return item_draft("names", names, None, prompt, f"The names in the text are {answer}.", answer)


def extract_numbers(rng: random.Random) -> Draft:
    """List the numbers in a sentence."""
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
    return item_draft("numbers", [a, b, c], None, prompt, f"The numbers in the text are {answer}.", answer)


def _sentence(rng: random.Random) -> tuple[str, list[str]]:
    """A sentence without capitals and its words."""
    picked = rng.sample(WORDS, 3)
    text = rng.choice(SENTENCES).format_map(dict(zip("abc", picked, strict=True)))
    return text, text.split()


def nth_word(rng: random.Random) -> Draft:
    """The n-th word of a sentence, by counting."""
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


def replace_word(rng: random.Random) -> Draft:
    """Replace one word of a sentence."""
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


def uppercase(rng: random.Random) -> Draft:
    """Write words in capital letters."""
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
    return item_draft("uppercase", items, None, prompt, f"In capital letters, the text is {answer}.", answer)


def count_letters(rng: random.Random) -> Draft:
    """Count the letters or the vowels of a word."""
    word = rng.choice(WORDS)
    extra = rng.choice(("letters", "vowels"))
    found = [letter for letter in word if extra == "letters" or letter in "aeiou"]
    if len(found) < 2:
        return count_letters(rng)
    prompt = rng.choice((f'How many {extra} are in the word "{word}"?', f'Count the {extra} in the word "{word}".'))
    walk = ", ".join(f"{letter} {number}" for number, letter in enumerate(found, 1))
    work = f"Counting the {extra}: {walk}. There are {len(found)} {extra}."
    return Draft(1, ("letters", extra, word), prompt, conclude(work, str(len(found))), str(len(found)))


TEXT_DRAWS: tuple[Draw, ...] = (
    extract_email, extract_names, extract_numbers, nth_word, replace_word, uppercase, count_letters,
)  # fmt: skip
