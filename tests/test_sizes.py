"""Nothing grows past what fits into a head: functions of 60 lines of code, files of 350, the algorithm on one page."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("sdlm_core", "app", "tools", "examples", "tests")
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
# Data: sentences and numbers of the generated problems, one table a subject.
TABLES = {f"sdlm_core/problems/scenarios/{name}.py" for name in ("home", "money", "places")} | {
    f"app/theatre/js/{name}.js"
    for name in ("words", "words-zh")  # all words of a language in one file
}


def files(*endings: str) -> dict[str, str]:
    """Every source file of ours: its path from the checkout's root, and its text."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in endings]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in [ROOT / "app.py", *found]}


def function_sizes(text: str) -> Iterator[tuple[str, int]]:
    """Each function with its lines of code: neither blank lines, nor comments, nor the docstring."""
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            docstring = range(node.body[0].lineno, first.lineno) if first is not node.body[0] else range(0)
            yield node.name, len(code & set(range(node.lineno, (node.end_lineno or 0) + 1)) - set(docstring))


def test_lines_of_a_function_are_counted() -> None:
    text = 'def f(\n    a,\n):\n    """What.\n\n    More.\n    """\n    # why\n\n    return """\n    a\n    """\n'
    assert list(function_sizes(text)) == [("f", 6)]


def test_no_function_is_longer_than_sixty_lines_of_code() -> None:
    sizes = [(path, *size) for path, text in files(".py").items() for size in function_sizes(text)]
    assert len(sizes) > 1000
    assert not [size for size in sizes if size[2] > 60]


def test_no_file_is_longer_than_350_lines() -> None:
    sizes = {path: len(text.splitlines()) for path, text in files(".py", ".js", ".css").items()}
    assert any(path.endswith(".js") for path in sizes)
    assert not {path: size for path, size in sizes.items() if size > 350 and path not in TABLES}


def test_the_algorithm_is_one_page() -> None:
    assert len((ROOT / "sdlm_core" / "reference.py").read_text(encoding="utf-8").splitlines()) <= 100
