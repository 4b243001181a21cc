"""Training data that a model can learn to guess ahead, and problems to test it by.

`chat` is self-distillation: a model writes a user's prompt (it is given the chat template up to where the user speaks),
then it or another answers greedily, for one turn or several. Conversation number i depends on the settings and i alone,
so a killed run goes on where it stopped. `problems` writes worked problems from the seeded generators.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdlm_core.config import DecodeConfig
from sdlm_core.decoding.loop import Run, advance, run_batch
from sdlm_core.errors import SDLMError
from sdlm_core.execution.executor import executor_for
from sdlm_core.models.chat_template import MARK, render
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.problems import generate, to_conversation
from sdlm_core.problems.base import Split

# Half of the prompts begin with one of these, since a model left alone asks the same few things.
OPENINGS = (
    "Explain", "Explain why", "Explain to a child how", "What is the difference between", "What happens when",
    "Why do", "How do I", "How does", "How can I", "Write a short story about", "Write a poem about",
    "Write an email to", "Write a Python function", "Write a paragraph about", "Write a list of", "List",
    "List five", "Name three", "Give me", "Give an example of", "Give me tips for", "Describe", "Describe how",
    "Summarize", "Rewrite this sentence", "Translate", "Compare", "Suggest", "Recommend", "Create a plan for",
    "Plan a", "Help me", "I want to learn", "I need advice on", "Can you explain", "Can you help me",
    "Could you tell me", "Tell me about", "Tell me a story", "Who was", "Who invented", "When did", "Where is",
    "Which", "Is it true that", "Define", "Outline the steps", "What are the benefits of", "What are some",
    "What should I", "Imagine", "Pretend you are", "Classify", "Correct the grammar", "Convert", "Design",
    "Brainstorm", "Teach me", "What is the capital", "Make a shopping list",
)  # fmt: skip


# The same for what a user says next.
FOLLOW_UPS = (
    "Can you", "What about", "Why", "Thanks", "Now", "And", "Give me another", "Explain", "Make it shorter", "How",
    "Could you", "Tell me more about", "What is", "Is", "Please", "Rewrite", "What if", "Do you", "Which", "List",
)  # fmt: skip
TURNS = (2, 2, 3, 4)  # of a conversation with several, equally likely


def write_problems(
    path: Path,
    count: int,
    seed: int,
    kinds: list[str] | None,
    split: Split = "train",
    conversations: bool = True,
    after: Sequence[dict[str, Any]] = (),
) -> None:
    """Generated problems, as conversations or as they are, the file whole or not at all.

    after: conversations of which one to three come before each problem, so that a model learns to leave them aside.
    SDLMError where there are not so many problems, or chats in the way.
    """
    if path.exists():
        with path.open(encoding="utf-8") as file:
            if '"number": ' in file.readline():
                raise SDLMError(f"{path} holds a model's conversations; give --output another name.")
    draw = random.Random(f"after/{seed}")
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for problem in generate(split, count, seed, kinds):
                record: dict[str, Any] = to_conversation(problem) if conversations else asdict(problem)
                if after:
                    before = [
                        turn for _ in range(draw.choice((1, 1, 2, 3))) for turn in draw.choice(after)["conversations"]
                    ]
                    record["conversations"] = before + record["conversations"]
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        part.replace(path)
    except ValueError as error:
        raise SDLMError(f"The generators cannot do this: {error}.") from error
    finally:
        part.unlink(missing_ok=True)


@dataclass
class ChatConfig:
    """Which conversations to write, and how many at once."""

    count: int
    seed: int = 0
    batch: int = 32
    max_new_tokens: int = 220  # of an answer
    like: Sequence[str] = ()  # prompts of people: some begin with the first words of one
    several: float = 0.0  # share of conversations with two to four turns


@dataclass(eq=False)
class _Turn:
    """A turn of conversation `number` being written: the user's, from `opening` on, or the answer to the last of
    `messages`."""

    number: int
    messages: list[dict[str, str]]
    wanted: int  # turns of the conversation
    run: Run
    draw: random.Random
    opening: str | None = None  # None where the model answers

    @property
    def done(self) -> int:
        """The turns that were answered before."""
        return len(self.messages) // 2


def self_distill(
    lm: LanguageModel, config: ChatConfig, done: list[dict[str, Any]], answering: LanguageModel | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the conversations that `done` lacks to make `count`: `conversations`, `finished`, `tokens`, `number`.

    lm writes the prompts (temperature 0.9, top-k 50), `answering`, by default lm, the answers, greedily. Left out are
    prompts seen before, prompts that are empty or endless, and answers that repeat themselves; where that happens in a
    later turn, the conversation ends before it. They come in the order of their numbers.
    """
    seen = {normalized(record["conversations"][0]["value"]) for record in done}
    missing, unusable = config.count - len(done), 0
    first = 1 + max((record["number"] for record in done), default=-1)
    if missing <= 0:
        return
    for record in _in_order(_conversations(lm, config, first, seen, answering or lm), first):
        key = normalized(record["conversations"][0]["value"]) if record else ""
        if record is None or key in seen:
            unusable += 1
            if unusable == 20 * config.batch:
                raise SDLMError(
                    f"The model {lm.name!r} wrote no usable conversation in {unusable} tries. Is it a chat model?"
                )
            continue
        seen.add(key)
        missing, unusable = missing - 1, 0
        yield record
        if missing == 0:
            return


def _conversations(
    lm: LanguageModel, config: ChatConfig, first: int, seen: set[str], answering: LanguageModel
) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Conversations from number `first` on, without end, as they are finished; None for one that is left out.

    seen: prompts that need no answer; it may grow meanwhile.
    """
    after = user_turn(lm)[1]
    pools = {id(model): executor_for(model).new_pool() for model in (lm, answering)}
    numbers = itertools.count(first)
    waiting: deque[_Turn] = deque()  # whose next turn waits for a place

    def user(number: int, messages: list[dict[str, str]], wanted: int, draw: random.Random) -> _Turn:
        opening = _opening(draw, config.like, bool(messages))
        before = user_turn(lm, messages)[0]
        ids = lm.tokenizer(before + opening, add_special_tokens=False)["input_ids"]
        seed = draw.getrandbits(32)
        sampled = DecodeConfig("autoregressive", temperature=0.9, top_k=50, max_new_tokens=80, seed=seed)
        return _Turn(number, messages, wanted, Run(lm, ids, sampled, pools[id(lm)]), draw, opening)

    def begin(number: int) -> _Turn:
        draw = random.Random(f"{config.seed}/{number}")
        return user(number, [], draw.choice(TURNS) if draw.random() < config.several else 1, draw)

    def follow(turn: _Turn) -> _Turn:
        """What comes after a finished turn: the answer, or what the user says next."""
        if turn.opening is None:
            messages = [*turn.messages, {"role": "assistant", "content": turn.run.text.strip()}]
            return user(turn.number, messages, turn.wanted, turn.draw)
        messages = [*turn.messages, {"role": "user", "content": _usable_prompt(turn, after)}]
        greedy = DecodeConfig("autoregressive", max_new_tokens=config.max_new_tokens)
        run = Run(answering, messages, greedy, pools[id(answering)])
        return _Turn(turn.number, messages, turn.wanted, run, turn.draw)

    def refill(turns: Sequence[_Turn]) -> list[_Turn]:
        if len(turns) > config.batch * 3 // 4:  # many begin together: their first passes are as wide as their prompts
            return []
        free = config.batch - len(turns)
        next_turns = [follow(waiting.popleft()) for _ in range(min(len(waiting), free))]
        return next_turns + [begin(next(numbers)) for _ in range(free - len(next_turns))]

    def step(turns: Sequence[_Turn]) -> None:
        for model in dict.fromkeys((lm, answering)):
            runs = [turn.run for turn in turns if turn.run.lm is model]
            new = [run for run in runs if not run.passes]  # they read their prompts apart from the others
            if runs:
                advance(new or runs)

    for turn in run_batch(refill, step, lambda turn: turn.run.finish_reason is not None):
        turn.run.leave()
        if turn.opening is None:  # an answer has ended
            usable = bool(turn.run.text.strip()) and not repeats_itself(turn.run.token_ids)
            if usable and turn.run.finish_reason == "eos" and turn.done + 1 < turn.wanted:
                waiting.append(turn)
            else:
                yield turn.number, _record(turn, turn.run if usable else None)
        elif (prompt := _usable_prompt(turn, after)) and (turn.messages or normalized(prompt) not in seen):
            waiting.append(turn)
        else:
            yield turn.number, _record(turn, None)


def _opening(draw: random.Random, like: Sequence[str], later: bool) -> str:
    """The first words of what the user says, or nothing: then the model is free."""
    if draw.random() < 0.5:
        return ""
    if like and not later and draw.random() < 0.5:
        words = draw.choice(like).split("\n")[0].split(" ")
        return " ".join(words[: draw.randint(1, min(5, len(words)))])
    return draw.choice(FOLLOW_UPS if later else OPENINGS)


def _in_order(finished: Iterable[tuple[int, dict[str, Any] | None]], due: int) -> Iterator[dict[str, Any] | None]:
    """The finished conversations by ascending number, from `due` on."""
    early: dict[int, dict[str, Any] | None] = {}
    for number, record in finished:
        early[number] = record
        while due in early:
            yield early.pop(due)
            due += 1


def _usable_prompt(turn: _Turn, after: str) -> str:
    """What the user says; empty where it is too short, or had no end."""
    prompt = ((turn.opening or "") + turn.run.text).split(after)[0].strip()
    enough = bool(prompt) if turn.messages else len(prompt) > 8
    return prompt if turn.run.finish_reason == "eos" and enough else ""


def _record(turn: _Turn, answer: Run | None) -> dict[str, Any] | None:
    """The conversation that this answer ends; without one, that of the turns before, or None where there are none."""
    messages = list(turn.messages[: 2 * turn.done])
    if answer:
        messages = [*turn.messages, {"role": "assistant", "content": answer.text}]
    if not messages:
        return None
    names = {"user": "human", "assistant": "gpt"}
    return {
        "conversations": [{"from": names[m["role"]], "value": m["content"]} for m in messages],
        "finished": answer is None or answer.finish_reason == "eos",  # a turn that others follow came to its end
        "tokens": len(turn.run.token_ids),
        "number": turn.number,
    }


def user_turn(lm: LanguageModel, messages: Sequence[dict[str, str]] = ()) -> tuple[str, str]:
    """The chat template's text before and after a user's message that follows `messages`."""
    if not lm.tokenizer.chat_template:
        raise SDLMError(
            f"The model {lm.name!r} has no chat template, so it cannot write conversations. Use a chat model."
        )
    rendered = render(lm.tokenizer, [*messages, {"role": "user", "content": MARK}], generation_prompt=False)
    before, _, after = rendered.rpartition(MARK)
    return before, after.strip() or "\n"


def normalized(prompt: str) -> str:
    """A prompt's letters and digits, to tell repetitions by."""
    return re.sub(r"\W+", " ", prompt.lower()).strip()


def repeats_itself(token_ids: list[int]) -> bool:
    """Whether fewer than 60 % of an answer's 4-grams are distinct."""
    grams = [tuple(token_ids[i : i + 4]) for i in range(len(token_ids) - 3)]
    return len(grams) > 20 and len(set(grams)) < 0.6 * len(grams)
