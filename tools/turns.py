"""Does the model still solve a problem after other turns of a conversation? Right alone, after one turn, after three.

The earlier turns are open prompts with the model's own greedy answers.

    python -m tools.turns --problems 48
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import sdlm_core
from sdlm_core import DecodeConfig
from sdlm_core.evaluate.tasks import load_set
from sdlm_core.problems.grading import is_correct
from tools.together import together

BEFORE = (0, 1, 3)  # other turns before the problem


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--problems", type=int, default=48)
    parser.add_argument("--threshold", type=float, default=0.9)
    args = parser.parse_args(arguments)
    lm = sdlm_core.load_model(args.model)
    problems, chat = load_set("problems", args.problems), load_set("chat")
    config = DecodeConfig(threshold=args.threshold, max_new_tokens=problems.max_new_tokens)
    answers = together(lm, [item.prompt for item in chat.items], DecodeConfig("autoregressive", max_new_tokens=80))
    turns = [(item.prompt, run.text) for item, run in zip(chat.items, answers, strict=True)]
    for before in BEFORE:
        prompts = []
        for i, item in enumerate(problems.items):
            messages = []
            for said, answered in (turns[(i + 7 * n) % len(turns)] for n in range(before)):
                messages += [{"role": "user", "content": said}, {"role": "assistant", "content": answered}]
            prompts.append([*messages, {"role": "user", "content": item.prompt}])
        runs = together(lm, prompts, config)
        right = sum(
            is_correct(run.text, item.problem)
            for run, item in zip(runs, problems.items, strict=True)
            if item.problem is not None
        )
        each = sum(len(run.token_ids) for run in runs) / sum(len(run.passes) for run in runs)
        print(f"after {before} other turns: {right} of {len(runs)} right, {each:.2f} tokens per pass", flush=True)


if __name__ == "__main__":
    main()
