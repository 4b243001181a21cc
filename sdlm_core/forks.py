"""Runs of one prompt that left one another at some token: a tree, kept in one file.

The file is the first run's trace with one more member, "forks"; whoever reads it as a trace gets the first run. It
knows nothing of models. What it reads may come from anyone, so it is checked on the way in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sdlm_core.checked import get_field, get_integer, parse_json
from sdlm_core.errors import SDLMError
from sdlm_core.trace import Trace

MAX_FORKS = 2_000
MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class Fork:
    """A run that left another one.

    name:   what people call it.
    parent: the run it left: 0 is the tree's first, i its i-th fork, which stands before this one.
    place:  how many of the parent's tokens it begins with. Of its own tokens, trace.given says which were given.
    """

    name: str
    parent: int
    place: int
    trace: Trace


@dataclass(frozen=True)
class ForkTree:
    """The first run, and those that left it or one another, in the order in which they were made."""

    root: Trace
    forks: tuple[Fork, ...] = ()

    @property
    def traces(self) -> tuple[Trace, ...]:
        """All runs: the first, then the forks."""
        return self.root, *(fork.trace for fork in self.forks)

    def to_json(self) -> str:
        """The whole tree as one JSON object."""
        forks = [{"name": f.name, "parent": f.parent, "place": f.place, "trace": f.trace.to_dict()} for f in self.forks]
        return json.dumps(self.root.to_dict() | {"forks": forks}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ForkTree:
        """Read and check a tree, or a single trace; anything out of order raises SDLMError with one clear sentence."""
        data = parse_json(text)
        root = Trace.from_dict(data)
        forks = get_field(data, "forks", list, "the trace") if "forks" in data else []
        if len(forks) > MAX_FORKS:
            raise SDLMError(f"This trace has {len(forks):,} forks; at most {MAX_FORKS:,} are read.")
        tree = cls(root)
        traces = [root]
        made = []
        for number, fork in enumerate(forks, 1):
            made.append(_fork_from_dict(fork, f"fork {number}", traces))
            traces.append(made[-1].trace)
        return cls(tree.root, tuple(made))


def _fork_from_dict(data: Any, where: str, earlier: list[Trace]) -> Fork:
    """earlier: the runs that stand before it."""
    if not isinstance(data, dict):
        raise SDLMError(f"This trace is broken: {where} is not an object.")
    name = get_field(data, "name", str, where)
    if len(name) > MAX_NAME_CHARACTERS:
        raise SDLMError(f"This trace is broken: the name of {where} has more than {MAX_NAME_CHARACTERS} characters.")
    parent, place = get_integer(data, "parent", where), get_integer(data, "place", where)
    if parent >= len(earlier):
        raise SDLMError(f"This trace is broken: {where} leaves run {parent}, which does not stand before it.")
    try:
        trace = Trace.from_dict(data.get("trace"))
    except SDLMError as error:
        raise SDLMError(f"In {where}: {error}") from None
    if place > len(trace.given) or trace.token_ids[:place] != earlier[parent].token_ids[:place]:
        raise SDLMError(f"This trace contradicts itself: {where} does not begin with {place} tokens of run {parent}.")
    return Fork(name, parent, place, trace)
