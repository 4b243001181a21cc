"""`python -m sdlm_core synthesize`: training data that a model can learn to guess ahead, and problems to test it by.

`chat` is self-distillation: the base model writes a user's prompt (it is given the chat template up to where the user
speaks) and then its own greedy answer. Conversation number i depends on the seed and i alone, so a killed run goes on
where it stopped. `problems` writes worked problems from the seeded generators.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdlm_core.chat import MARK, render
from sdlm_core.config import DecodeConfig
from sdlm_core.decode_cli import add_model_arguments, check_batch, prepare_output
from sdlm_core.decoding import Run, advance
from sdlm_core.errors import SDLMError
from sdlm_core.jsonl import read_records
from sdlm_core.language_model import LanguageModel
from sdlm_core.retrofit.problems import KINDS, generate, to_conversation
from sdlm_core.retrofit.problems.base import Split

log = logging.getLogger(__name__)

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `synthesize`."""
    parser.add_argument(
        "kind", choices=["chat", "problems"], help="the model's own conversations, or generated problems"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="JSONL file; chat continues an existing one"
    )
    parser.add_argument("--count", type=int, required=True, help="conversations or problems the file shall hold")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=32, help="chat: conversations generated at once (default: 32)")
    parser.add_argument("--max-new-tokens", type=int, default=220, help="chat: longest answer (default: 220)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="problems: only these")
    parser.add_argument(
        "--split",
        choices=["train", "test"],
        default="train",
        help="problems: to train on, or to test by; the two never share one, whatever the seeds (default: train)",
    )
    parser.add_argument(
        "--format",
        choices=["conversation", "problem"],
        default="conversation",
        help="problems: conversations to train on, or problems with kind, level and answer (default: conversation)",
    )
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the file, or the rest of it."""
    prepare_output(args.output)
    check_batch(args.batch)
    if args.count < 1:
        raise SDLMError(f"--count must be at least 1, but is {args.count}.")
    if args.kind == "chat" and (args.kinds or (args.split, args.format) != ("train", "conversation")):
        raise SDLMError("--kinds, --split and --format are for problems; leave them out for chat.")
    if args.kind == "problems":
        write_problems(args.output, args.count, args.seed, args.kinds, args.split, args.format == "conversation")
        return 0
    done = read_records(args.output)
    if any("number" not in record for record in done):
        raise SDLMError(f"{args.output} holds something else; give --output another name.")
    from sdlm_core import builtin
    from sdlm_core.loading import load_model

    name = str(builtin.ensure_base()) if args.model == "builtin" else args.model
    lm = load_model(name, args.device, args.dtype, args.quantization)
    began, tokens = time.monotonic(), 0
    with args.output.open("a", encoding="utf-8") as file:
        for record in self_distill(lm, args.seed, args.count, args.batch, args.max_new_tokens, done):
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            file.flush()
            done.append(record)
            tokens += record["tokens"]
            if len(done) % args.batch == 0:
                rate = tokens / (time.monotonic() - began)
                log.info("%d of %d conversations, %.0f answer tokens/s", len(done), args.count, rate)
    return 0


def write_problems(
    path: Path, count: int, seed: int, kinds: list[str] | None, split: Split = "train", conversations: bool = True
) -> None:
    """Generated problems, as conversations or as they are, the file whole or not at all.

    SDLMError where there are not so many, or chats in the way.
    """
    if path.exists():
        with path.open(encoding="utf-8") as file:
            if '"number": ' in file.readline():
                raise SDLMError(f"{path} holds a model's conversations; give --output another name.")
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for problem in generate(split, count, seed, kinds):
                record = to_conversation(problem) if conversations else asdict(problem)
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        part.replace(path)
    except ValueError as error:
        raise SDLMError(f"The generators cannot do this: {error}.") from error
    finally:
        part.unlink(missing_ok=True)


@dataclass(eq=False)
class _Turn:
    """A turn being written in conversation `number`: what the user asks, beginning with `opening`, or the answer."""

    number: int
    run: Run
    opening: str = ""
    prompt: str | None = None  # an answer's; None while the user speaks


def self_distill(
    lm: LanguageModel, seed: int, count: int, batch: int, max_new_tokens: int, done: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield the conversations that `done` lacks to make `count`: `conversations`, `finished`, `tokens`, `number`.

    Prompts are sampled (temperature 0.9, top-k 50), answers greedy. Left out are prompts seen before, prompts that are
    empty or endless, and answers that run in circles. They come in the order of their numbers.
    """
    before, after = user_turn(lm)
    pool = lm.new_pool()

    def asking(number: int) -> _Turn:
        draw = random.Random(f"{seed}/{number}")
        opening = draw.choice(OPENINGS) if draw.random() < 0.5 else ""
        ids = lm.tokenizer(before + opening, add_special_tokens=False)["input_ids"]
        config = DecodeConfig("autoregressive", temperature=0.9, top_k=50, max_new_tokens=80, seed=draw.getrandbits(32))
        return _Turn(number, Run(lm, ids, config, pool), opening)

    def answering(number: int, prompt: str) -> _Turn:
        config = DecodeConfig("autoregressive", max_new_tokens=max_new_tokens)
        return _Turn(number, Run(lm, prompt, config, pool), prompt=prompt)

    seen = {normalized(record["conversations"][0]["value"]) for record in done}
    due = number = 1 + max((record["number"] for record in done), default=-1)
    left, barren = count - len(done), 0
    live: list[_Turn] = []
    asked: list[tuple[int, str]] = []  # prompts that wait for a place to be answered in
    ended: dict[int, dict[str, Any] | None] = {}  # by number, until it is their turn
    while left > 0:
        going = list(live)
        if len(live) <= batch * 3 // 4:  # begun together and apart: their passes are as wide as their prompts
            going = [answering(*asked.pop(0)) for _ in range(min(len(asked), batch - len(live)))]
            while len(live) + len(going) < batch:
                going.append(asking(number))
                number += 1
            live += going
        advance([turn.run for turn in going])
        for turn in going:
            if turn.run.finish_reason is None:
                continue
            live.remove(turn)
            turn.run.leave()
            if turn.prompt is not None:
                ended[turn.number] = _record(turn)
            elif (prompt := _usable_prompt(turn, after)) and normalized(prompt) not in seen:
                asked.append((turn.number, prompt))
            else:
                ended[turn.number] = None
        while left > 0 and due in ended:
            record = ended.pop(due)
            due += 1
            key = normalized(record["conversations"][0]["value"]) if record else ""
            if record is None or key in seen:
                barren += 1
                if barren == 20 * batch:
                    raise SDLMError(
                        f"The model {lm.name!r} wrote no usable conversation in {barren} tries. Is it a chat model?"
                    )
                continue
            seen.add(key)
            left, barren = left - 1, 0
            yield record


def _usable_prompt(turn: _Turn, after: str) -> str:
    """What the user asked; empty where it is too short, or had no end."""
    prompt = (turn.opening + turn.run.text).split(after)[0].strip()
    return prompt if turn.run.finish_reason == "eos" and len(prompt) > 8 else ""


def _record(turn: _Turn) -> dict[str, Any] | None:
    """The conversation that this answer ends; None where it is empty or runs in circles."""
    run = turn.run
    if not run.text.strip() or runs_in_circles(run.token_ids):
        return None
    said = [{"from": "human", "value": turn.prompt}, {"from": "gpt", "value": run.text}]
    return {
        "conversations": said,
        "finished": run.finish_reason == "eos",
        "tokens": len(run.token_ids),
        "number": turn.number,
    }


def user_turn(lm: LanguageModel) -> tuple[str, str]:
    """The chat template's text before and after what a user says."""
    if not lm.tokenizer.chat_template:
        raise SDLMError(
            f"The model {lm.name!r} has no chat template, so it cannot write conversations. Use a chat model."
        )
    rendered = render(lm.tokenizer, [{"role": "user", "content": MARK}], generation_prompt=False)
    before, after = rendered.split(MARK)
    return before, after.strip() or "\n"


def normalized(prompt: str) -> str:
    """A prompt's letters and digits, to tell repetitions by."""
    return re.sub(r"\W+", " ", prompt.lower()).strip()


def runs_in_circles(token_ids: list[int]) -> bool:
    """Whether fewer than 60 % of an answer's 4-grams are distinct."""
    grams = [tuple(token_ids[i : i + 4]) for i in range(len(token_ids) - 3)]
    return len(grams) > 20 and len(set(grams)) < 0.6 * len(grams)
