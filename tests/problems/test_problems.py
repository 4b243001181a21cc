"""Problems: deterministic, apart by construction, stratified, and right in every line."""

from __future__ import annotations

import json
import operator
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sdlm_core.__main__ import main
from sdlm_core.problems import KINDS, Problem, generate, generate_with_content, to_conversation
from sdlm_core.problems.base import Split, split_of
from sdlm_core.problems.idioms import IDIOMS
from sdlm_core.problems.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
EQUATION = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)")
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


@pytest.fixture(scope="module")
def train() -> list[Problem]:
    return list(generate("train", 4000, seed=1))


@pytest.fixture(scope="module")
def test_side() -> list[Problem]:
    return list(generate("test", 2000, seed=2))


def test_same_arguments_same_problems() -> None:
    assert list(generate("train", 200, seed=3)) == list(generate("train", 200, seed=3))
    assert list(generate("train", 200, seed=3)) != list(generate("train", 200, seed=4))


def test_problems_do_not_depend_on_the_hash_seed() -> None:
    code = "from sdlm_core.problems import generate; print([p.id for p in generate('test', 120, seed=5)])"
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    other = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert other.stdout == f"{[p.id for p in generate('test', 120, seed=5)]}\n"


def test_no_prompt_twice_in_a_call_or_on_both_sides(train: list[Problem], test_side: list[Problem]) -> None:
    prompts = [p.prompt for p in train], [p.prompt for p in test_side]
    assert len(set(prompts[0])) == len(train)
    assert len(set(prompts[1])) == len(test_side)
    assert not set(prompts[0]) & set(prompts[1])
    assert len({p.id for p in train + test_side}) == len(train) + len(test_side)


def test_no_content_on_both_sides() -> None:
    def contents(split: Split, count: int) -> set[str]:
        return {
            json.dumps([p.kind, *draft.content])
            for seed in (1, 2)
            for p, draft in generate_with_content(split, count, seed)
        }

    assert contents("train", 3000).isdisjoint(contents("test", 1500))


def test_content_ignores_names_and_wording() -> None:
    """The digits of a story are in its content, its people are not."""
    names = re.compile(r"[A-Z][a-z]+")
    for p, draft in generate_with_content("train", 400, kinds=["words"]):
        content = Counter(str(item) for item in draft.content)
        assert not Counter(re.findall(r"\d+", p.prompt)) - content, p
        assert not any(names.search(str(item)) for item in draft.content)


def test_the_test_side_is_about_an_eighth() -> None:
    sides = Counter(split_of("words", ("shop", a, b)) for a in range(100) for b in range(100))
    assert 0.11 < sides["test"] / 10_000 < 0.14


def test_every_computation_is_true(train: list[Problem], test_side: list[Problem]) -> None:
    checked = 0
    for p in train + test_side:
        equations = EQUATION.findall(p.solution)
        checked += len(equations)
        for a, sign, b, result in equations:
            assert OPERATIONS[sign](int(a), int(b)) == int(result), p
        assert p.solution.count(" = ") == len(equations) or p.kind == "code", p
    assert checked > 4000


def test_word_problems_have_one_computation_a_step_and_small_numbers(train: list[Problem]) -> None:
    stories = [p for p in train if p.kind == "words"]
    for p in stories:
        equations = EQUATION.findall(p.solution)
        assert len(equations) == p.level
        assert equations[-1][3] == p.answer
        assert all(2 <= int(result) <= 200 for *_, result in equations)
        assert p.prompt.endswith("?")
        # Every number of the story is used, so none is there to confuse.
        assert set(re.findall(r"\d+", p.prompt)) <= set(re.findall(r"\d+", p.solution)), p
    large = sum(any(int(number) >= 100 for number in re.findall(r"\d+", p.solution)) for p in stories)
    assert large < len(stories) / 4


def test_kinds_and_levels_come_in_turn() -> None:
    problems = list(generate("test", 320, seed=2024))
    assert [p.kind for p in problems[:8]] == [*KINDS, *KINDS]
    assert Counter(p.kind for p in problems) == dict.fromkeys(KINDS, 80)
    assert Counter(p.level for p in problems if p.kind == "words") == dict.fromkeys((2, 3, 4, 5), 20)


def test_variety() -> None:
    assert len(SCENARIOS) >= 25
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert len(IDIOMS) >= 30
    drawn = {draft.content[0] for _, draft in generate_with_content("test", 600, kinds=["words"])}
    assert drawn == {scenario.name for scenario in SCENARIOS}
    drawn = {draft.content[0] for _, draft in generate_with_content("train", 600, kinds=["code"])}
    assert drawn == set(IDIOMS)


def test_solutions_are_short_and_end_with_the_answer(train: list[Problem]) -> None:
    for p in train:
        if p.kind == "code":
            assert p.solution.endswith(f"```python\n{p.answer}\n```")
            compile(p.answer, "<answer>", "exec")  # our own text, and only compiled
        else:
            assert p.solution.endswith(f" The answer is {p.answer}."), p
    lengths = [len(p.solution) / 3.5 for p in train]  # about the number of tokens
    assert max(lengths) < 130
    assert 25 < sum(lengths) / len(lengths) < 60


def test_english(train: list[Problem]) -> None:
    for p in train:
        text = f"{p.prompt} {p.solution}"
        assert not re.search(r"\b1 (year|month|week|day|hour|minute|second|meter|gram|cent|dollar|item)s\b", text), p
        assert not re.search(r"\b[Aa] [aeiou]", text), p
        assert p.kind == "code" or not re.search(r"[{}]|  ", text), p


def test_to_conversation() -> None:
    (p,) = generate("train", 1)
    assert to_conversation(p) == {
        "id": p.id,
        "conversations": [{"from": "human", "value": p.prompt}, {"from": "gpt", "value": p.solution}],
        "answer": p.answer,
    }


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="split must be"):
        next(generate("validation", 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown kinds \\['poems'\\]"):
        next(generate("test", 1, kinds=["poems"]))


def test_command_line(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "problems.jsonl"
    command = ["synthesize", "problems", "--output", str(out)]
    assert main([*command, "--split", "test", "--format", "problem", "--count", "8", "--seed", "2024"]) == 0
    problems = [Problem(**json.loads(line)) for line in out.read_text().splitlines()]
    assert problems == list(generate("test", 8, seed=2024))
    assert main([*command, "--count", "3", "--kinds", "code"]) == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        to_conversation(p) for p in generate("train", 3, kinds=["code"])
    ]
    assert main([*command, "--count", "0"]) == 2, "a file of problems is not emptied by a slip"
    assert len(out.read_text().splitlines()) == 3


def test_shipped_benchmark_is_what_the_command_writes(tmp_path: Path) -> None:
    shipped = ROOT / "assets" / "benchmarks" / "problems.jsonl"
    out = tmp_path / "problems.jsonl"
    command = ["synthesize", "problems", "--split", "test", "--format", "problem", "--count", "320", "--seed", "2024"]
    assert main([*command, "--output", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == shipped.read_text(encoding="utf-8")
