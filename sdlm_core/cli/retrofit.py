"""`sdlm retrofit`: the command line of the retrofit. One option a field of RetrofitConfig."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from sdlm_core.retrofit.config import ATTENTION, RetrofitConfig

DESCRIPTION = """\
Turn an autoregressive Llama, Qwen2 or Qwen3 model into one that guesses a block of tokens per forward pass.
Needs conversations, ideally the model's own answers (see `synthesize`): text it would not write itself is hard to
guess ahead. Stop a run with Ctrl-C at any time; the same command with --resume goes on where it stopped.
--sampler trains a small head as well, by which each guess of a block knows the ones before it; --sampler-only trains
nothing else, for a model that guesses blocks already.
Several GPUs: `accelerate launch -m sdlm_core retrofit ...`."""

HELP = {
    "model": "folder or hub name of the model to retrofit; 'builtin' is the built-in model's base",
    "data": 'conversations as JSONL, or a JSON file that mixes several: {"sources": [{"path", "weight", "group"}]}; '
    '"self_distilled": true marks answers that the model wrote itself',
    "output": "folder for the result, the log and checkpoints",
    "block_size": "tokens guessed per pass, D in the paper",
    "causal_attn": "let a block's rows see only the rows before them, instead of the whole block",
    "mask_token": "the token that stands for 'not known yet'; pick an unused special token",
    "lora_rank": "rank of the LoRA adapter; 0 trains all weights",
    "lora_alpha": "LoRA's scale times its rank",
    "learning_rate": "peak learning rate; a tenth to a hundredth of LoRA's default suits full weights",
    "schedule": "cosine falls to a tenth over the planned steps or minutes",
    "warmup_steps": "steps until the learning rate is reached",
    "grad_clip": "longest gradient, by its norm; inf turns it off",
    "steps": "stop after so many steps",
    "minutes": "stop after so many minutes of training, resumed ones counted",
    "rows_per_step": "rows (tokens of text and of blocks) a step and process",
    "rows_per_pass": "most rows computed at once; fewer save memory",
    "workers": "on a CPU: passes computed side by side, each on one core",
    "block_density": "blocks per answer token",
    "max_blocks": "most blocks a conversation",
    "text_loss": "weight of next-token labels on the text rows, which are computed anyway; the paper's loss has none",
    "teacher_temperature": "above 0: in sources marked self_distilled, text rows and each block's first row learn, "
    "instead of single tokens, the base model's distribution sharpened to this temperature; keeps the answers close "
    "to the base's",
    "max_tokens": "conversations are cut to this length",
    "held_out": "share of prompts kept out of training to judge by",
    "held_out_rows": "most rows per group in a held-out evaluation",
    "evaluate_every": "steps between held-out evaluations",
    "checkpoint_minutes": "minutes between checkpoints",
    "seed": "fixes the order of the data, the blocks and the adapter's start",
    "dtype": "precision of the computation: auto, bfloat16 or float32",
    "attention": "how attention is computed; all give the same result",
    "recompute_layers": "save memory by computing each layer again in the backward pass",
    "resume": "continue the run in --output",
    "start_adapter": "folder of an earlier run's adapter to train further, with fresh moments and learning rate",
    "base_name": "the base model's name to write into the adapter's config",
}
CHOICES = {"schedule": ("cosine", "constant"), "attention": ("auto", *ATTENTION)}
TYPES = {"int": int, "float": float, "str": str, "int | None": int, "float | None": float, "str | None": str}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    for field in dataclasses.fields(RetrofitConfig):
        option, text = "--" + field.name.replace("_", "-"), HELP[field.name]
        if field.type == "bool":
            parser.add_argument(option, action="store_true", help=text)
        elif field.default is dataclasses.MISSING:
            parser.add_argument(option, required=True, help=text)
        else:
            text = text if field.default is None else f"{text} (default: {field.default})"
            kind = TYPES[str(field.type)]
            parser.add_argument(option, type=kind, default=field.default, choices=CHOICES.get(field.name), help=text)

    parser.add_argument("--sampler", action="store_true", help="train a sampler for the result, too")
    parser.add_argument("--sampler-only", action="store_true", help="train a sampler for --model, an SDLM, and no more")
    parser.add_argument("--sampler-width", type=int, default=768, help="size of the sampler's state (default: 768)")
    parser.add_argument("--sampler-blocks", type=int, default=400_000, help="blocks it learns from (default: 400000)")
    parser.add_argument("--sampler-minutes", type=float, default=60.0, help="how long it is trained (default: 60)")


def run(args: argparse.Namespace) -> int:
    """Train; 0 when done. SDLMError carries what a person should read."""
    from sdlm_core.retrofit.sampler import add_sampler
    from sdlm_core.retrofit.train import retrofit

    names = [field.name for field in dataclasses.fields(RetrofitConfig)]
    config = RetrofitConfig(**{name: getattr(args, name) for name in names})
    folder = Path(config.output) if args.sampler_only else retrofit(config)
    if args.sampler or args.sampler_only:
        trained = None if args.sampler_only else folder / ("adapter" if config.lora_rank else "model")
        add_sampler(config, trained, args.sampler_width, args.sampler_blocks, args.sampler_minutes)
    print(f"Written to {folder}")
    return 0
