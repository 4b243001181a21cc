"""Conversations to train on: files in, token ids and the assistant's turns out, in an order that a seed fixes.

Reads ShareGPT-style JSONL, `{"conversations": [{"from": "human" | "gpt" | "system", "value": ...}, ...]}`, or a meta
JSON that mixes several such files by weight. It knows nothing of blocks, masks or models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from sdlm_core.errors import SDLMError
from sdlm_core.jsonl import read_lines
from sdlm_core.models.chat_template import render, replace_surrogates, turn_end

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
DEFAULT_GROUP = "all"


@dataclass(frozen=True)
class Conversation:
    """Token ids of one conversation and where the assistant speaks.

    turns: (first, end) of each answer's tokens, end exclusive; the end token is the last one inside unless the answer
    was cut off. self_distilled: the answers are the base model's own.
    """

    token_ids: list[int]
    turns: list[tuple[int, int]]
    group: str
    self_distilled: bool = False


@dataclass(frozen=True)
class Source:
    """One JSONL file of the mixture. `weight` is its share of the rows trained on, relative to the others."""

    path: Path
    weight: float
    group: str
    records: list[str]  # the JSON lines to train on
    held_out: list[str]  # those kept apart
    self_distilled: bool = False  # the base model wrote the answers itself

    def conversation(self, line: str, tokenizer: Any, max_tokens: int) -> Conversation:
        """The conversation of one of its lines."""
        try:
            made = tokenize(json.loads(line), tokenizer, max_tokens, self.group)
        except SDLMError as error:
            raise SDLMError(f"{self.path}, the line that begins {line[:80]!r}: {error}") from error
        return replace(made, self_distilled=self.self_distilled)


class Mixture:
    """Endless draws from the sources. Each source is walked in a fresh permutation an epoch; the next draw comes from
    the source that is furthest behind its share of rows. `state` is all there is to resume."""

    def __init__(self, sources: list[Source], tokenizer: Any, seed: int, max_tokens: int) -> None:
        self.sources = sources
        self.tokenizer = tokenizer
        self.seed = seed
        self.max_tokens = max_tokens
        self.drawn = [0] * len(sources)  # conversations taken from each source
        self.rows = [0] * len(sources)  # rows they made
        self._order: dict[tuple[int, int], list[int]] = {}
        self._barren = [0] * len(sources)  # conversations in a row without an answer

    @property
    def state(self) -> dict[str, list[int]]:
        return {"drawn": list(self.drawn), "rows": list(self.rows)}

    def restore(self, state: dict[str, list[int]]) -> None:
        if len(state["drawn"]) != len(self.sources):
            raise SDLMError(
                f"The checkpoint was trained on {len(state['drawn'])} data files, now there are {len(self.sources)}. "
                "Resume with the same data, or choose a new --output."
            )
        self.drawn, self.rows = list(state["drawn"]), list(state["rows"])

    @property
    def count(self) -> int:
        """Conversations drawn so far."""
        return sum(self.drawn)

    def draw(self) -> tuple[int, Conversation]:
        """The next conversation and its source's index; call `account` with the rows that were made of it."""
        while True:
            index = min(range(len(self.sources)), key=lambda i: (self.rows[i] / self.sources[i].weight, i))
            epoch, place = divmod(self.drawn[index], len(self.sources[index].records))
            source = self.sources[index]
            line = source.records[self._permutation(index, epoch)[place]]
            self.drawn[index] += 1
            conversation = source.conversation(line, self.tokenizer, self.max_tokens)
            if conversation.turns:
                self._barren[index] = 0
                return index, conversation
            self.rows[index] += 1  # nothing to learn from it; move on, and never stand still
            self._barren[index] += 1
            if self._barren[index] >= len(source.records):
                raise SDLMError(f"No conversation in {source.path} has an answer within {self.max_tokens} tokens.")

    def account(self, index: int, rows: int) -> None:
        self.rows[index] += rows

    def _permutation(self, index: int, epoch: int) -> list[int]:
        if (index, epoch) not in self._order:
            generator = torch.Generator().manual_seed(mix_seed(self.seed, index, epoch))
            order = torch.randperm(len(self.sources[index].records), generator=generator).tolist()
            self._order = {k: v for k, v in self._order.items() if k[0] != index} | {(index, epoch): order}
        return self._order[index, epoch]


def load_sources(path: str | Path, held_out: float) -> list[Source]:
    """The sources named by a JSONL file, or by a meta JSON file: {"sources": [{"path", "weight", "group"}, ...]}.

    Paths in a meta file are relative to it; `"self_distilled": true` marks a file whose answers the base model wrote.
    `held_out` is the share of prompts kept apart, chosen by their hash, so a prompt that stands in two files is kept
    apart in both.
    """
    path = Path(path)
    if not path.is_file():
        raise SDLMError(f"There is no data file at {path}. Give --data a JSONL file or a meta JSON file.")
    if path.suffix == ".jsonl":
        return [_load_source(path, 1.0, DEFAULT_GROUP, held_out, False)]
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["sources"]
        named = [
            (
                path.parent / e["path"],
                float(e.get("weight", 1.0)),
                str(e.get("group", DEFAULT_GROUP)),
                e.get("self_distilled") is True,
            )
            for e in entries
        ]
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise SDLMError(
            f'{path} is no meta file; expected {{"sources": [{{"path": "a.jsonl", "weight": 0.5, "group": "chat"}}]}}.'
        ) from error
    if not named or any(weight <= 0 for _, weight, *_ in named):
        raise SDLMError(f"{path} must name at least one source, each with a weight above 0.")
    return [_load_source(p, weight, group, held_out, own) for p, weight, group, own in named]


def _load_source(path: Path, weight: float, group: str, held_out: float, self_distilled: bool) -> Source:
    if not path.is_file():
        raise SDLMError(f"There is no data file at {path}.")
    try:
        lines = read_lines(path)
    except UnicodeDecodeError:
        raise SDLMError(f"{path} is not text in UTF-8.") from None
    records: list[str] = []
    kept_apart: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            said = [(ROLES[t["from"]], t["value"]) for t in json.loads(line)["conversations"]]
            if not all(isinstance(text, str) for _, text in said):
                raise TypeError
            prompt = next((text for role, text in said if role == "user"), "")
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise SDLMError(
                f'{path}, line {number}: expected {{"conversations": [{{"from": "human", "value": "..."}}, ...]}}.'
            ) from error
        (kept_apart if is_held_out(prompt, held_out) else records).append(line)
    if not records:
        raise SDLMError(f"{path} holds no conversation to train on.")
    return Source(path, weight, group, records, kept_apart, self_distilled)


def is_held_out(prompt: str, share: float) -> bool:
    """Whether a prompt is kept out of training; depends on nothing but its text."""
    digest = hashlib.sha256(replace_surrogates(" ".join(prompt.split())).encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def tokenize(record: dict[str, Any], tokenizer: Any, max_tokens: int, group: str = DEFAULT_GROUP) -> Conversation:
    """Token ids and answer spans of one record, through the tokenizer's chat template.

    Each answer is tokenised apart from what precedes it, as in decoding, where the prompt ends with the generation
    prompt. An answer ends with the first token that ends it in decoding too: the one with which the template closes a
    turn, or the tokenizer's end token. A record with `"finished": false` was cut off, so its last answer has none.
    """
    messages = [{"role": ROLES[t["from"]], "content": t["value"]} for t in record["conversations"]]
    token_ids: list[int] = []
    turns: list[tuple[int, int]] = []
    rendered = ""
    ends = _end_tokens(tokenizer)
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt = render(tokenizer, messages[:index], generation_prompt=True)
        answer = render(tokenizer, messages[: index + 1], generation_prompt=False)
        if not (prompt.startswith(rendered) and answer.startswith(prompt)):
            raise SDLMError("The chat template rewrites earlier turns; only templates that append can be trained on.")
        token_ids += _encode(tokenizer, prompt[len(rendered) :])
        start = len(token_ids)
        token_ids += _encode(tokenizer, answer[len(prompt) :])
        end = len(token_ids)
        closed = next((i for i in range(start, end) if token_ids[i] in ends), None)
        if closed is not None:
            cut_off = record.get("finished") is False and index == len(messages) - 1
            end = closed if cut_off else closed + 1  # templates often add a newline after it
        turns.append((start, end))
        rendered = answer
    turns = [(start, min(end, max_tokens)) for start, end in turns if min(end, max_tokens) > max(start, 1)]
    return Conversation(token_ids[:max_tokens], turns, group)


@lru_cache(maxsize=1)  # the same for every conversation of a run
def _end_tokens(tokenizer: Any) -> frozenset[int | None]:
    return frozenset((turn_end(tokenizer), tokenizer.eos_token_id))


def _encode(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


def held_out_conversations(sources: list[Source], tokenizer: Any, max_tokens: int) -> Iterator[Conversation]:
    """The conversations kept apart, source by source in the file's order."""
    for source in sources:
        for line in source.held_out:
            conversation = source.conversation(line, tokenizer, max_tokens)
            if conversation.turns:
                yield conversation


def mix_seed(*parts: int) -> int:
    """One 63-bit seed from several integers; neighbouring inputs give unrelated seeds."""
    digest = hashlib.sha256(",".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
