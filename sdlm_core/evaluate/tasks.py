"""What a sweep decodes: sets of problems with checkable answers, and of open prompts. It knows nothing of models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdlm_core.assets import assets_folder
from sdlm_core.errors import SDLMError
from sdlm_core.jsonl import read_lines
from sdlm_core.problems import Problem

BENCHMARKS = assets_folder() / "benchmarks"
SETS = {"problems": BENCHMARKS / "problems.jsonl", "chat": BENCHMARKS / "open_prompts.jsonl"}
MAX_NEW_TOKENS = {"problems": 128, "chat": 100}  # tokens; a file of one's own gets the first


@dataclass(frozen=True)
class Item:
    """One prompt; `problem` carries the answer to grade against, None where there is no right answer."""

    id: str
    prompt: str
    problem: Problem | None = None

    @property
    def stratum(self) -> Hashable:
        return (self.problem.kind, self.problem.level) if self.problem else None


@dataclass(frozen=True)
class TaskSet:
    """A named list of items and how long an answer may be, in tokens."""

    name: str
    items: tuple[Item, ...]
    max_new_tokens: int

    @property
    def checkable(self) -> bool:
        """Whether every item can be graded."""
        return all(item.problem is not None for item in self.items)

    @property
    def digest(self) -> str:
        """Short hash of the items, so that a resumed sweep notices another set under the same name."""
        text = json.dumps([[i.id, i.prompt, i.problem.answer if i.problem else None] for i in self.items])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_set(name: str, limit: int | None = None, max_new_tokens: int | None = None) -> TaskSet:
    """ "problems", "chat", or a JSONL file of objects with "prompt" and, where it can be graded, "answer".

    limit: take this many, in the set's proportions of kinds and levels. Raises SDLMError.
    """
    path = SETS.get(name) or Path(name).expanduser()
    items = _read_items(path)
    if limit is not None and limit < 1:
        raise SDLMError(f"--limit must be at least 1, but is {limit}.")
    chosen = items if limit is None else stratified(items, limit)
    label = name if name in SETS else path.stem
    return TaskSet(label, tuple(chosen), max_new_tokens or MAX_NEW_TOKENS.get(name, MAX_NEW_TOKENS["problems"]))


def stratified(items: Sequence[Item], count: int) -> list[Item]:
    """`count` items, each stratum (kind and level) in its proportion and evenly spread over the file, in file order.

    Shares are rounded by largest remainder, so that they add up to `count`; the same call gives the same items.
    """
    if count >= len(items):
        return list(items)
    strata: dict[Hashable, list[int]] = {}
    for place, item in enumerate(items):
        strata.setdefault(item.stratum, []).append(place)
    exact = {key: count * len(places) / len(items) for key, places in strata.items()}
    share = {key: int(value) for key, value in exact.items()}
    by_remainder = sorted(strata, key=lambda key: share[key] - exact[key])  # stable: ties in file order
    for key in by_remainder[: count - sum(share.values())]:
        share[key] += 1
    taken = sorted(places[i * len(places) // share[key]] for key, places in strata.items() for i in range(share[key]))
    return [items[place] for place in taken]


def _read_items(path: Path) -> list[Item]:
    try:
        lines = read_lines(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SDLMError(
            f"The set {str(path)!r} could not be read ({type(error).__name__}). "
            f'Give one of {", ".join(SETS)}, or a JSONL file with a "prompt" in each line.'
        ) from None
    items = [_read_item(line, f"{path.name}, line {n}", n) for n, line in enumerate(lines, 1) if line.strip()]
    if not items:
        raise SDLMError(f"The set {str(path)!r} is empty.")
    if len({item.id for item in items}) < len(items):
        raise SDLMError(f"The set {str(path)!r} uses an id twice.")
    return items


def _read_item(line: str, where: str, number: int) -> Item:
    try:
        data: Any = json.loads(line)
    except ValueError:
        raise SDLMError(f"{where} is not valid JSON.") from None
    if not isinstance(data, dict) or not isinstance(data.get("prompt"), str) or not data["prompt"].strip():
        raise SDLMError(f'{where} has no "prompt", which must be a text that is not empty.')
    name, prompt, answer = str(data.get("id", number)), data["prompt"], data.get("answer")
    if answer is None:
        return Item(name, prompt)
    kind, level, solution = str(data.get("kind", "words")), data.get("level", 0), str(data.get("solution", ""))
    if not isinstance(answer, str | int | float) or not isinstance(level, int):
        raise SDLMError(f'{where}: "answer" must be a text or a number, and "level" a whole number.')
    return Item(name, prompt, Problem(name, kind, level, prompt, solution, str(answer)))
