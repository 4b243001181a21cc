"""A tree of runs: there and back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import sdlm_core
from sdlm_core import DecodeConfig, Fork, ForkTree, SDLMError, Trace

CONFIG = DecodeConfig(algorithm="autoregressive", max_new_tokens=12)


@pytest.fixture
def tree(load: Callable[..., sdlm_core.LanguageModel]) -> ForkTree:
    """A run, a fork of it, one of that, and one more of the first."""
    lm = load(kind="qwen2", tied=True)
    root = sdlm_core.decode(lm, "hello", CONFIG)
    forks: list[Fork] = []
    for name, parent, place in (("one", 0, 3), ("two", 1, 5), ("three", 0, 0)):
        before = (root, *(f.trace for f in forks))[parent].token_ids[:place]
        forks.append(Fork(name, parent, place, sdlm_core.decode(lm, "hello", CONFIG, [*before, 70])))
    return ForkTree(root, tuple(forks))


def test_json_there_and_back(tree: ForkTree) -> None:
    assert ForkTree.from_json(tree.to_json()) == tree
    assert ForkTree.from_json(tree.root.to_json()) == ForkTree(tree.root)
    assert tree.traces[2] == tree.forks[1].trace


def test_as_a_trace_it_is_the_first_run(tree: ForkTree) -> None:
    assert Trace.from_json(tree.to_json()) == tree.root


@pytest.mark.parametrize("version", [1, 2])
def test_older_traces_are_read(tree: ForkTree, version: int) -> None:
    data = tree.root.to_dict() | {"version": version}
    del data["given"]
    if version == 1:
        del data["guesses"]
    assert ForkTree.from_json(json.dumps(data)) == ForkTree(tree.root)


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "forks that are a text": lambda d: d.update(forks="many"),
    "a fork that is a number": lambda d: d["forks"].append(7),
    "too many": lambda d: d.update(forks=[None] * 2_001),
    "no name": lambda d: d["forks"][0].pop("name"),
    "a long name": lambda d: d["forks"][0].update(name="x" * 201),
    "its own parent": lambda d: d["forks"][0].update(parent=1),
    "no such parent": lambda d: d["forks"][1].update(parent=99),
    "a parent that is true": lambda d: d["forks"][1].update(parent=True),
    "a place beyond what was given": lambda d: d["forks"][0].update(place=99),
    "another beginning": lambda d: d["forks"][0].update(place=4),
    "no trace": lambda d: d["forks"][0].update(trace=None),
    "a broken trace": lambda d: d["forks"][0]["trace"].update(passes=7),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_anything_else_is_a_sentence(tree: ForkTree, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(tree.to_json())
    change(data)
    with pytest.raises(SDLMError) as error:
        ForkTree.from_json(json.dumps(data))
    assert 10 < len(str(error.value)) < 250
