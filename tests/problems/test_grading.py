"""Grading: right answers in any spelling count, wrong ones never do, and no text does harm."""

from __future__ import annotations

import threading
import time

import pytest

from sdlm_core.problems import KINDS, Problem, generate
from sdlm_core.problems.grading import is_correct

CODE = "def evens(xs):\n    return [x for x in xs if x % 2 == 0]"


def problem(answer: str, kind: str = "words") -> Problem:
    return Problem(id="p", kind=kind, level=2, prompt="?", solution="", answer=answer)


def block(code: str) -> str:
    return f"Here is the function:\n\n```python\n{code}\n```"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is 24.", "24"),
        ("The answer is 24", "24"),
        ("The answer is 24.0.", "24"),
        ("The answer is $24.", "24"),
        ("The answer is \\$24.", "24"),
        ("The answer is $24$.", "24"),
        ("The answer is \\boxed{24}.", "24"),
        ("The answer is \\frac{48}{2}.", "24"),
        ("The answer is 1,376.", "1376"),
        ("The answer is 24. I hope this helps!", "24"),
        ("The answer is 3,8,  12.", "3, 8, 12"),
        ('The answer is "river".', "river"),
        ("The answer is 9:05.", "9:05"),
        ("The answer is 2 hours and 21 minutes.", "2 hours and 21 minutes"),
        ("4 * 6 = 24. The answer is 24.", "24"),
        ("The answer is 3.5. It is final.", "3.5"),
        ("The answer is: **24**", "24"),
        ("the answer is Mia.Stone@mail.com. Bye!", "Mia.Stone@mail.com"),
        ("The answer is 7. No, the answer is 8.", "8"),
        ("The answer is 7\nand more text", "7"),
        ("The answer is:\n\n7", "7"),
        ("The answer is 7.\n" + block(CODE), "7"),
        (block(CODE) + "\nThe answer is 7.", "7"),
    ],
)
def test_right_answers(text: str, expected: str) -> None:
    assert is_correct(text, problem(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is 240.", "24"),
        ("The answer is 2.4.", "24"),
        ("The answer is -24.", "24"),
        ("The answer is 24%.", "24"),
        ("The answer is 20 + 4.", "24"),
        ("The answer is 24 or 25.", "24"),
        ("The answer is 1, 376.", "1376"),
        ("24", "24"),
        ("So she has 24 pencils.", "24"),
        ("It is 24.", "24"),
        ("The answer is", ""),
        ("The answer is .", ""),
        ("The answer is 24. The answer is 25.", "24"),
        ("The answer is 8, 3, 12.", "3, 8, 12"),
        ("The answer is 3, 8.", "3, 8, 12"),
        ("The answer is river stone.", "RIVER STONE"),
        ("The answer is 9:50.", "9:05"),
        ("", "24"),
    ],
)
def test_wrong_answers(text: str, expected: str) -> None:
    assert not is_correct(text, problem(expected))


@pytest.mark.parametrize(
    "code",
    [
        CODE,
        CODE + "\n\n",
        CODE.replace("    return", "  return"),
        CODE.replace("    return", "\treturn"),
        CODE.replace("x % 2 == 0", "x%2==0"),
        CODE.replace("0]", "0]  # keep the even ones"),
    ],
)
def test_code_may_differ_in_spacing_and_comments(code: str) -> None:
    assert is_correct(block(code), problem(CODE, "code"))


@pytest.mark.parametrize(
    "text",
    [
        block("old") + "\n" + block(CODE),
        "The answer is 7.\n" + block(CODE),
        block(CODE) + "\nThe answer is 7.",
        block(CODE) + "\n```python\nnot closed",
    ],
)
def test_the_last_closed_block_counts(text: str) -> None:
    assert is_correct(text, problem(CODE, "code"))


@pytest.mark.parametrize(
    "text",
    [
        block(CODE) + "\n" + block("other"),
        block(CODE.replace("== 0", "== 1")),
        block(CODE.replace("evens", "odds")),
        block(CODE.replace("\n    ", "\n")),  # the body is not indented
        block(CODE.replace("x in xs", "xin xs")),
        block(CODE + "\nimport os"),
        CODE,
        "```python\n" + CODE,
        "The answer is " + CODE,
        block(""),
    ],
)
def test_other_code_is_wrong(text: str) -> None:
    assert not is_correct(text, problem(CODE, "code"))


def test_spaces_inside_strings_matter() -> None:
    code = 'def join_words(ws):\n    return " ".join(ws)'
    assert is_correct(block(code), problem(code, "code"))
    assert not is_correct(block(code.replace('" "', '"  "')), problem(code, "code"))


HOSTILE = [
    "The answer is 9**9**9**9.",
    "The answer is 9^{9^{9^{9}}}.",
    "The answer is 99999999!!!.",
    "The answer is __import__('os').system('exit 1').",
    "The answer is \\frac{1}{0}.",
    "The answer is " + "(" * 5000,
    "The answer is " + "{" * 40,
    "The answer is " + "1" * 100_000,
    "The answer is ١٢٣.",
    "The answer is " * 20_000,
    "```\n" * 20_000,
    "`" * 100_000,
    block("(" * 5000),
    block("'''"),
    block("\x00\ud800"),
    block("  x\n y"),
    block("x = 1\n" * 50_000),
    "\ud800 The answer is \udfff.",
    "The answer is $$.",
    "The answer is \\boxed{}.",
    "The answer is İİİ.",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_wrong_fast_and_raises_nothing(text: str) -> None:
    assert is_correct("The answer is \\frac{48}{2}.", problem("24"))  # loads sympy, which is no part of the time
    began = time.thread_time()
    assert not is_correct(text, problem("24"))
    assert not is_correct(text, problem(CODE, "code"))
    assert time.thread_time() - began < 2


def test_works_off_the_main_thread() -> None:
    results: list[bool] = []
    texts = ("The answer is \\boxed{24}.", "The answer is \\boxed{25}.")
    thread = threading.Thread(target=lambda: results.extend(is_correct(text, problem("24")) for text in texts))
    thread.start()
    thread.join()
    assert results == [True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_solutions_are_graded_correct_and_others_are_not(kind: str) -> None:
    problems = [*generate("train", 300, kinds=[kind]), *generate("test", 300, kinds=[kind])]
    for one, other in zip(problems, problems[1:] + problems[:1], strict=True):
        assert is_correct(one.solution, one), one
        assert is_correct(other.solution, one) == (one.answer == other.answer), (one, other)
