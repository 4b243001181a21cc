"""Turn an autoregressive model into an SDLM with a few training steps, and decode with the result.

python examples/retrofit_tiny.py runs/tiny              the built-in model's base, some minutes on two cores

The data are generated problems with their worked solutions. A few steps show that everything works, not how good an
SDLM gets: the built-in one took hours (assets/models/smollm2-135m-sdlm/README.md).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import sdlm_core
from sdlm_core.problems import generate, to_conversation
from sdlm_core.retrofit.config import RetrofitConfig
from sdlm_core.retrofit.train import retrofit


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--mask-token", default="<empty_output>")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--problems", type=int, default=400)
    parser.add_argument("--block-size", type=int, default=4)
    args = parser.parse_args(argv)

    args.output.mkdir(parents=True, exist_ok=True)
    data = args.output / "problems.jsonl"
    with data.open("w", encoding="utf-8") as file:
        for problem in generate("train", args.problems):
            file.write(json.dumps(to_conversation(problem)) + "\n")
    config = RetrofitConfig(
        model=args.model,
        data=str(data),
        output=str(args.output / "run"),
        block_size=args.block_size,
        mask_token=args.mask_token,
        steps=args.steps,
    )
    folder = retrofit(config)

    lm = sdlm_core.load_model(str(folder / "adapter"))
    question = next(generate("test", 1))
    trace = sdlm_core.decode(lm, question.prompt, sdlm_core.DecodeConfig("self_speculative", max_new_tokens=64))
    print(f"{question.prompt}\n{trace.text}\n{trace.tokens_per_pass:.2f} tokens per pass")


if __name__ == "__main__":
    main()
