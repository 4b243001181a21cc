"""Find the final answer in a model's text and decide whether it is right.

Knows the two forms an answer takes, "The answer is X." and a fenced code block, and nothing of models or
decoding. A model's text is only ever compared, never run: code is split into tokens, and what reaches the
mathematics parser is short and has neither letters, beyond a few LaTeX commands, nor powers.
"""

from __future__ import annotations

import io
import logging
import re
import tokenize
from decimal import Decimal

from sdlm_core.problems import Problem

_SENTENCE = re.compile(r"the answer is:?", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_FENCE = re.compile(r"^[ \t]*```.*$", re.MULTILINE)

_WRAPPING = " \t\"'`*"  # quotes and emphasis around an answer are not part of it
_NUMBER = re.compile(r"-?\\?\$?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?\$?", re.ASCII)
# What the mathematics parser may see. Without powers and factorials no short text takes it long.
_MATHS = re.compile(r"(\\d?frac|\\boxed|\\left|\\right|[\d.\s$(){}/]){1,48}", re.ASCII)
_MAX_CODE = 10_000


def is_correct(answer_text: str, problem: Problem) -> bool:
    """Whether a model's whole text ends in the right answer to a problem.

    Raises nothing, whatever the text, except ModuleNotFoundError where a formula has to be compared and math-verify
    (of the extra `eval`) is not installed.

    Code counts if its last closed block has the tokens of the answer, and so the same indentation structure.
    Numbers count if they are equal ("24", "24.0", "$24"). Everything else must match but for
    spacing around commas and quotes or emphasis around the whole.
    """
    if problem.kind == "code":
        block = _last_block(answer_text)
        return block is not None and _same_code(block, problem.answer)
    answer = _last_sentence(answer_text)
    if answer is None:
        return False
    return _normalise(answer) == _normalise(problem.answer) or _same_number(answer, problem.answer)


def _last_sentence(text: str) -> str | None:
    """What the last "The answer is ..." says; None where there is none, or it says nothing."""
    start = None
    for match in _SENTENCE.finditer(text):
        start = match
    if start is None:
        return None
    line = text[start.end() :].lstrip().partition("\n")[0]
    end = _SENTENCE_END.search(line)
    answer = (line[: end.start()] if end else line).strip(_WRAPPING)
    return answer or None


def _last_block(text: str) -> str | None:
    """The content of the last fenced block that is closed."""
    fences = list(_FENCE.finditer(text))
    if len(fences) < 2:
        return None
    first = (len(fences) // 2 - 1) * 2  # an unclosed fence at the end opens nothing
    opening, closing = fences[first], fences[first + 1]
    return text[opening.end() : closing.start()].strip("\r\n")


def _normalise(answer: str) -> str:
    """An answer with single spaces, ", " between items, and nothing wrapped around it."""
    answer = " ".join(answer.strip(_WRAPPING).split())
    return ", ".join(item.strip() for item in answer.split(","))


def _same_number(answer: str, expected: str) -> bool:
    """Whether both are numbers and equal; the cheap comparison decides almost every case."""
    gold = _to_decimal(expected)
    if gold is None:
        return False
    value = _to_decimal(answer)
    if value is not None:
        return value == gold
    return _MATHS.fullmatch(answer) is not None and _same_maths(answer, expected)


def _to_decimal(text: str) -> Decimal | None:
    """The number that a text is, with or without thousands separators and a dollar sign; None if it is none."""
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        return None
    return Decimal(re.sub(r"[\\$,]", "", text))


def _same_maths(answer: str, expected: str) -> bool:
    """math-verify's judgement, for LaTeX such as \\boxed{24} or \\frac{48}{2}."""
    from math_verify import parse, verify  # brings in sympy, which most runs never need

    # Its timeouts are signals, which only the main thread may set; the input is bounded instead. It warns
    # about that once a process, and logs text it cannot parse.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    try:
        gold = parse(expected, parsing_timeout=None)
        return bool(verify(gold, parse(answer, parsing_timeout=None), timeout_seconds=None))
    except Exception:  # sympy raises many things on text from a model; what cannot be parsed is wrong
        return False


def _same_code(code: str, expected: str) -> bool:
    """Whether two pieces of code differ in spacing and comments at most."""
    tokens = _tokens(code)
    return tokens is not None and tokens == _tokens(expected)


def _tokens(code: str) -> list[tuple[int, str]] | None:
    """The Python tokens of a text without comments, spacing and blank lines, or None if it has none."""
    if len(code) > _MAX_CODE:
        return None
    tokens = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code + "\n").readline):
            if token.type in (tokenize.COMMENT, tokenize.NL):
                continue
            # How far a block is indented does not matter, only that it is.
            layout = token.type in (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE)
            tokens.append((token.type, "" if layout else token.string))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None
    return tokens
