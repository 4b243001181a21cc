"""Short Python functions with one canonical answer.

The prompt names the function and its arguments and says how to do it, so an exact comparison is fair.
The content is the idiom with its constants and argument names; the function's name and the wording
are free. Nothing here runs the code.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from sdlm_core.problems.base import Draft, Family, words

POOLS = {
    "n": words("n, number, value, num, k, amount, count, total, size, level, score, points"),
    "m": words("m, other, limit, step, base, b, rate, width, bonus, factor"),
    "xs": words("numbers, values, nums, data, scores, prices, sizes, results, entries, ages, marks, counts"),
    "ys": words("others, extra, second, more, rest, new_values, added, bonus_list"),
    "s": words("text, word, line, name, phrase, sentence, message, title, label, string, note, topic"),
    "p": words("prefix, start, head, begin, sub, part, key_text, pattern"),
    "ws": words("words, names, lines, labels, titles, tags, items, texts, tokens, parts, notes, topics"),
    "d": words("table, mapping, prices, ages, stock, scores, lookup, counts, data, records, index, settings"),
    "key": words("key, wanted, entry, choice, query, search_key"),
    "f": words("path, filename, file_path, file_name, source, location, report, log_path"),
}
OPENINGS = (
    "Write a Python function `{head}` that {task}.",
    "Write a Python function `{head}` which {task}.",
    "In Python, define a function `{head}` that {task}.",
    "Please write a Python function `{head}` that {task}.",
)
LEAD = "Here is the function:"


@dataclass(frozen=True)
class Idiom:
    """Function names to choose from, argument pools, a constant's range, the task and the body."""

    names: str
    args: str
    task: str
    body: str
    constant: range | None = None


def _one(names: str, args: str, task: str, value: str, constant: range | None = None) -> Idiom:
    return Idiom(names, args, task, f"return {value}", constant)


# One idiom a line, however long: it is read as a table.
# ruff: noqa: E501
# fmt: off
IDIOMS: dict[str, Idiom] = {
    # Numbers
    "is even": _one("is_even check_even even", "n", "returns whether `{n}` is even", "{n} % 2 == 0"),
    "is odd": _one("is_odd check_odd odd", "n", "returns whether `{n}` is odd", "{n} % 2 == 1"),
    "divisible": _one("is_divisible can_divide divides", "n", "returns whether `{n}` is divisible by {c}", "{n} % {c} == 0", range(3, 13)),
    "add constant": _one("add_bonus increase shift_up", "n", "returns `{n}` plus {c}", "{n} + {c}", range(2, 30)),
    "times constant": _one("scale multiply times", "n", "returns `{n}` times {c}", "{n} * {c}", range(2, 30)),
    "square": _one("square squared power_two", "n", "returns the square of `{n}`", "{n} ** 2"),
    "power": _one("power raise_to to_power", "n", "returns `{n}` to the power of {c}", "{n} ** {c}", range(3, 10)),
    "is greater": _one("is_greater above is_large", "n", "returns whether `{n}` is greater than {c}", "{n} > {c}", range(5, 60, 5)),
    "last digit": _one("last_digit final_digit ones_digit", "n", "returns the last digit of `{n}`", "{n} % 10"),
    "add two": _one("add add_two plus", "n m", "returns the sum of `{n}` and `{m}`", "{n} + {m}"),
    "multiply two": _one("product multiply_two times", "n m", "returns the product of `{n}` and `{m}`", "{n} * {m}"),
    "larger of two": _one("larger bigger max_of_two", "n m", "returns the larger of `{n}` and `{m}`, using max", "max({n}, {m})"),
    "rounded": _one("round_value rounded to_digits", "n", "returns `{n}` rounded to {c} decimal places", "round({n}, {c})", range(2, 7)),
    # Lists of numbers
    "sum": _one("total_of add_all sum_list", "xs", "returns the sum of the list `{xs}`", "sum({xs})"),
    "largest": _one("largest find_max top", "xs", "returns the largest item of `{xs}`", "max({xs})"),
    "average": _one("average mean_of avg", "xs", "returns the average of the list `{xs}`", "sum({xs}) / len({xs})"),
    "sort down": _one("sort_down descending high_to_low", "xs", "returns `{xs}` sorted from largest to smallest", "sorted({xs}, reverse=True)"),
    "first items": _one("first_items take_first head_of", "xs", "returns the first {c} items of `{xs}`", "{xs}[:{c}]", range(2, 10)),
    "last items": _one("last_items take_last tail_of", "xs", "returns the last {c} items of `{xs}`", "{xs}[-{c}:]", range(2, 10)),
    "reverse list": _one("reverse_list backwards flipped", "xs", "returns the list `{xs}` reversed, using a slice", "{xs}[::-1]"),
    "evens": _one("keep_even only_even evens", "xs", "returns the even items of `{xs}`, using a list comprehension with x", "[x for x in {xs} if x % 2 == 0]"),
    "filter greater": _one("keep_large filter_above above", "xs", "returns the items of `{xs}` greater than {c}, using a list comprehension with x", "[x for x in {xs} if x > {c}]", range(5, 60, 5)),
    "scale list": _one("scale_all multiply_all times_all", "xs", "returns each item of `{xs}` times {c}, using a list comprehension with x", "[x * {c} for x in {xs}]", range(2, 13)),
    "squares": _one("squares square_all squared_items", "xs", "returns the squares of the items of `{xs}`, using a list comprehension with x", "[x ** 2 for x in {xs}]"),
    "count value": _one("count_value how_often occurrences", "xs", "returns how often {c} occurs in `{xs}`", "{xs}.count({c})", range(2, 20)),
    "unique": _one("unique_sorted distinct no_duplicates", "xs", "returns the distinct items of `{xs}` as a sorted list", "sorted(set({xs}))"),
    "join lists": _one("join_lists combine merge_lists", "xs ys", "returns the list `{xs}` followed by the list `{ys}`", "{xs} + {ys}"),
    "pairs": _one("pair_up make_pairs zip_lists", "xs ys", "returns a list of pairs from `{xs}` and `{ys}`, using zip", "list(zip({xs}, {ys}))"),
    "any greater": _one("has_large any_above exceeds", "xs", "returns whether any item x of `{xs}` is greater than {c}", "any(x > {c} for x in {xs})", range(5, 60, 5)),
    "all positive": _one("all_above all_larger every_above", "xs", "returns whether all items x of `{xs}` are greater than {c}", "all(x > {c} for x in {xs})", range(5, 60, 5)),
    "count greater": _one("count_large count_above how_many_above", "xs", "returns how many items x of `{xs}` are greater than {c}, using sum", "sum(1 for x in {xs} if x > {c})", range(5, 60, 5)),
    # Strings
    "reverse text": _one("reverse_text reversed_text mirror", "s", "returns `{s}` reversed, using a slice", "{s}[::-1]"),
    "upper": _one("shout to_upper uppercase", "s", "returns `{s}` in uppercase", "{s}.upper()"),
    "palindrome": _one("is_palindrome reads_same same_backwards", "s", "returns whether `{s}` equals its reverse", "{s} == {s}[::-1]"),
    "word count": _one("count_words word_count number_of_words", "s", "returns the number of words in `{s}`", "len({s}.split())"),
    "first letters": _one("shorten first_letters cut", "s", "returns the first {c} characters of `{s}`", "{s}[:{c}]", range(2, 20)),
    "repeat": _one("repeat_text repeat_word copies", "s", "returns `{s}` repeated {c} times", "{s} * {c}", range(2, 20)),
    "strip": _one("clean strip_text trim", "s", "returns `{s}` without spaces at both ends", "{s}.strip()"),
    "starts with": _one("has_prefix starts_with begins_with", "s p", "returns whether `{s}` starts with `{p}`", "{s}.startswith({p})"),
    "contains": _one("contains includes has_part", "s p", "returns whether `{s}` contains `{p}`", "{p} in {s}"),
    "is long": _one("is_long too_long exceeds_length", "s", "returns whether `{s}` has more than {c} characters", "len({s}) > {c}", range(5, 60, 5)),
    "join words": _one("join_words combine_words to_text", "ws", "joins the strings in `{ws}` with spaces", '" ".join({ws})'),
    "lengths": _one("word_lengths lengths sizes_of", "ws", "returns the length of each item of `{ws}`, using a list comprehension with w", "[len(w) for w in {ws}]"),
    "long words": _one("long_words keep_long only_long", "ws", "returns the items of `{ws}` longer than {c} characters, using a list comprehension with w", "[w for w in {ws} if len(w) > {c}]", range(2, 12)),
    "sort by length": _one("sort_by_length by_length short_first", "ws", "returns `{ws}` sorted by length", "sorted({ws}, key=len)"),
    # Dictionaries and files
    "keys": _one("sorted_keys key_list ordered_keys", "d", "returns the keys of the dictionary `{d}` as a sorted list", "sorted({d}.keys())"),
    "values sum": _one("sum_values total_values value_total", "d", "returns the sum of the values of the dictionary `{d}`", "sum({d}.values())"),
    "lookup": _one("get_value find_value value_for", "d key", "returns the value of `{key}` in the dictionary `{d}`, or {c} if it is missing", "{d}.get({key}, {c})", range(0, 10)),
    "invert": _one("invert swap flip_dict", "d", "returns the dictionary `{d}` with keys k and values v swapped", "{{v: k for k, v in {d}.items()}}"),
    "word index": _one("count_letters letter_counts frequencies", "s", "returns a dictionary with the count of each character c in `{s}`", "{{c: {s}.count(c) for c in {s}}}"),
    "read file": Idiom("read_file load_text get_text", "f", "opens the file `{f}` as f and returns its text", "with open({f}) as f:\n        return f.read()"),
    "read lines": Idiom("read_lines load_lines get_lines", "f", "opens the file `{f}` as f and returns a list of its lines", "with open({f}) as f:\n        return f.readlines()"),
    # Loops and branches
    "countdown": Idiom("countdown count_down show_down", "n", "prints the numbers i from `{n}` down to 1, using a for loop", "for i in range({n}, 0, -1):\n        print(i)"),
    "print times": Idiom("print_table show_table times_table", "n", "prints i * `{n}` for each i from 1 to {c}, using a for loop", "for i in range(1, {c1}):\n        print(i * {n})", range(3, 15)),
    "sign": Idiom("clip_low at_least lower_bound", "n", "returns {c} if `{n}` is less than {c}, and otherwise `{n}`, using an if statement", "if {n} < {c}:\n        return {c}\n    return {n}", range(2, 20)),
    "greet": _one("greet say_hello welcome", "s", "returns the f-string Hello, followed by `{s}` and an exclamation mark", 'f"Hello, {{{s}}}!"'),
}
# fmt: on


def draw_code_problem(stratum: str, rng: random.Random) -> Draft:
    """Draw function, argument names and constant for the idiom named by the stratum."""
    idiom = IDIOMS[stratum]
    pools = idiom.args.split()
    fields: dict[str, str] = {pool: rng.choice(POOLS[pool]) for pool in pools}
    args = [fields[pool] for pool in pools]
    function = rng.choice(idiom.names.split())
    if len(set(args)) < len(args) or function in args:
        return draw_code_problem(stratum, rng)
    content: list[object] = [stratum, *args]
    if idiom.constant is not None:
        constant = rng.choice(idiom.constant)
        fields |= {"c": str(constant), "c1": str(constant + 1)}
        content.append(constant)
    head = f"{function}({', '.join(args)})"
    code = f"def {head}:\n    {idiom.body.format_map(fields)}"
    prompt = rng.choice(OPENINGS).format(head=head, task=idiom.task.format_map(fields))
    level = 1 if "\n" not in idiom.body else 2
    return Draft(level, tuple(content), prompt, f"{LEAD}\n\n```python\n{code}\n```", code)


FAMILY = Family("code", tuple(IDIOMS), draw_code_problem)
