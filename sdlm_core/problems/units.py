"""Sums with units, times and dates, worked in one to three short steps."""

from __future__ import annotations

import random
from collections.abc import Callable

from sdlm_core.problems.base import Draft, Family, conclude, count_noun, draw_people

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# February is left out: its length depends on the year.
MONTHS = {
    "January": 31,
    "March": 31,
    "April": 30,
    "May": 31,
    "June": 30,
    "July": 31,
    "August": 31,
    "September": 30,
    "October": 31,
    "November": 30,
    "December": 31,
}
EVENTS = ("a trip", "a test", "a concert", "a party", "a match", "a holiday", "a meeting", "a visit")

# (large unit, small unit, factor, the most large units asked for)
_PAIRS = {
    "hours": ("hour", "minute", 60, 9),
    "weeks": ("week", "day", 7, 9),
    "metres": ("meter", "centimeter", 100, 20),
    "kilograms": ("kilogram", "gram", 1000, 9),
    "kilometers": ("kilometer", "meter", 1000, 9),
    "years": ("year", "month", 12, 9),
    "euros": ("euro", "cent", 100, 20),
    "minutes": ("minute", "second", 60, 9),
}


def _rest(factor: int, rng: random.Random) -> int:
    """A number of small units that does not fill a large one, easy to add."""
    if factor == 1000:
        return rng.randint(1, 19) * 50
    return rng.randint(2, factor - 1)


def to_small(pair: str, rng: random.Random) -> Draft:
    """Large units and a rest, in small units: 2 hours and 15 minutes are 135 minutes."""
    large, small, factor, most = _PAIRS[pair]
    n = rng.randint(2, most)
    rest = _rest(factor, rng)
    whole, total = n * factor, n * factor + rest
    left = f"{count_noun(n, large)} and {count_noun(rest, small)}"
    prompt = rng.choice(
        (
            f"How many {small}s are {left}?",
            f"Convert {left} to {small}s.",
            f"Write {left} in {small}s.",
        )
    )
    fact = f"1 {large} has {factor} {small}s"
    work = f"{fact}, so {count_noun(n, large)} are {n} * {factor} = {whole} {small}s. {whole} + {rest} = {total}."
    return Draft(2, ("to small", pair, n, rest), prompt, conclude(work, str(total)), str(total))


def to_large(pair: str, rng: random.Random) -> Draft:
    """Small units as large units and a rest: 135 minutes are 2 hours and 15 minutes."""
    large, small, factor, most = _PAIRS[pair]
    n = rng.randint(2, most)
    rest = _rest(factor, rng)
    whole, total = n * factor, n * factor + rest
    prompt = rng.choice(
        (
            f"How many {large}s and {small}s are {count_noun(total, small)}?",
            f"Convert {count_noun(total, small)} to {large}s and {small}s.",
            f"Write {count_noun(total, small)} as {large}s and {small}s.",
        )
    )
    answer = f"{count_noun(n, large)} and {count_noun(rest, small)}"
    work = (
        f"{count_noun(n, large)} are {n} * {factor} = {whole} {small}s. {total} - {whole} = {rest}, "
        f"so {count_noun(rest, small)} are left."
    )
    return Draft(2, ("to large", pair, n, rest), prompt, conclude(work, answer), answer)


def day_later(rng: random.Random) -> Draft:
    """The day of the week some days later, counted after whole weeks are taken away."""
    start = rng.randrange(7)
    n = rng.randint(2, 20)
    event = rng.choice(EVENTS)
    people = draw_people(rng)
    prompt = rng.choice(
        (
            f"Today is {DAYS[start]}. What day of the week is it in {n} days?",
            f"Today is {DAYS[start]}. {people['N']} has {event} in {n} days. What day of the week is that?",
            f"{people['N']} has {event} {n} days after {DAYS[start]}. On which day of the week is it?",
        )
    )
    weeks, rest = divmod(n, 7)
    answer = DAYS[(start + n) % 7]
    parts = []
    if weeks:
        span = "7 days are 1 week" if weeks == 1 else "14 days are 2 weeks"
        parts.append(f"{span}, and {n} - {7 * weeks} = {rest}.")
    if rest:
        path = ", ".join(DAYS[(start + step) % 7] for step in range(1, rest + 1))
        parts.append(f"Count {count_noun(rest, 'day')} from {DAYS[start]}: {path}.")
    else:
        parts.append(f"After whole weeks it is {DAYS[start]} again.")
    return Draft(2, ("day later", start, n), prompt, conclude(" ".join(parts), answer), answer)


def _clock(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02d}"


def time_later(rng: random.Random) -> Draft:
    """A time of day plus hours and minutes, on a 24-hour clock, the same day."""
    hour = rng.randint(6, 17)
    minute = rng.randrange(0, 60, 5)
    hours = rng.randint(1, 5)
    minutes = rng.randrange(5, 60, 5)
    people = draw_people(rng)
    start = _clock(hour * 60 + minute)
    answer = _clock((hour + hours) * 60 + minute + minutes)
    span = f"{count_noun(hours, 'hour')} and {minutes} minutes"
    thing = rng.choice(("train ride", "film", "lesson", "hike", "flight", "game", "drive"))
    prompt = rng.choice(
        (
            f"It is {start}. What time is it in {span}?",
            f"A {thing} starts at {start} and takes {span}. When does it end?",
            f"{people['N']} starts a {thing} at {start}. It takes {span}. At what time is it over?",
        )
    )
    later = hour + hours
    total = minute + minutes
    carry = f", which is 1 hour and {count_noun(total - 60, 'minute')}" if total >= 60 else ""
    work = (
        f"{start} plus {count_noun(hours, 'hour')} is {_clock(later * 60 + minute)}. "
        f"{minute} + {minutes} = {total} minutes{carry}. So it is {answer}."
    )
    return Draft(2, ("time later", hour, minute, hours, minutes), prompt, conclude(work, answer), answer)


def date_later(rng: random.Random) -> Draft:
    """A date plus days, within a month or into the next one."""
    names = list(MONTHS)
    month = rng.choice(names[1:-1])  # the month after each of these is in the table too
    day = rng.randint(2, 28)
    n = rng.randint(3, 20)
    length = MONTHS[month]
    event = rng.choice(EVENTS)
    people = draw_people(rng)
    prompt = rng.choice(
        (
            f"What is the date {n} days after {month} {day}?",
            f"Today is {month} {day}. What is the date in {n} days?",
            f"Today is {month} {day}. {people['N']} has {event} in {n} days. What is the date then?",
        )
    )
    total = day + n
    if total <= length:
        answer = f"{month} {total}"
        work = f"{day} + {n} = {total}, and {month} has {length} days. So it is {answer}."
    else:
        answer = f"{names[names.index(month) + 1]} {total - length}"
        work = (
            f"{day} + {n} = {total}, but {month} has {length} days. {total} - {length} = {total - length}. "
            f"So it is {answer}."
        )
    return Draft(2, ("date later", month, day, n), prompt, conclude(work, answer), answer)


def time_between(rng: random.Random) -> Draft:
    """Minutes between two times of the same hour or the next."""
    hour = rng.randint(6, 20)
    start = rng.randrange(5, 60, 5)
    gap = rng.randrange(10, 60, 5)
    end = start + gap
    people = draw_people(rng)
    first, last = _clock(hour * 60 + start), _clock(hour * 60 + end)
    prompt = rng.choice(
        (
            f"How many minutes are there from {first} to {last}?",
            f"{people['N']} waits from {first} to {last}. How many minutes is that?",
            f"A lesson lasts from {first} to {last}. How many minutes does it take?",
        )
    )
    if end <= 60:
        work = f"{end} - {start} = {gap} minutes."
    else:
        to_full, past = 60 - start, end - 60
        work = (
            f"From {first} to {hour + 1}:00 it is 60 - {start} = {to_full} minutes. {to_full} + {past} = {gap} minutes."
        )
    return Draft(2, ("time between", hour, start, gap), prompt, conclude(work, str(gap)), str(gap))


_DRAWS: dict[str, Callable[[random.Random], Draft]] = {
    "day_later": day_later,
    "time_later": time_later,
    "date_later": date_later,
    "time_between": time_between,
}
# Both directions of each pair, between the times and dates so that a round visits all of them.
_STRATA = tuple(f"{way}:{pair}" for pair in _PAIRS for way in ("to_small", "to_large")) + tuple(_DRAWS) * 3


def draw_unit_problem(stratum: str, rng: random.Random) -> Draft:
    """Draw a problem of the stratum, such as "to_small:hours" or "day_later"."""
    way, _, pair = stratum.partition(":")
    if pair:
        return to_small(pair, rng) if way == "to_small" else to_large(pair, rng)
    return _DRAWS[way](rng)


FAMILY = Family("units", _STRATA, draw_unit_problem)
