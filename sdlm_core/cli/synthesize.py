"""`sdlm synthesize`: training data by `retrofit.synthesize`, written to a file."""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path

from sdlm_core.cli.options import add_batch_argument, add_model_arguments, check_batch, prepare_output
from sdlm_core.errors import SDLMError
from sdlm_core.jsonl import read_records
from sdlm_core.problems import KINDS

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `synthesize`."""
    parser.add_argument(
        "kind", choices=["chat", "problems"], help="the model's own conversations, or generated problems"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="JSONL file; chat continues an existing one"
    )
    parser.add_argument("--count", type=int, required=True, help="conversations or problems the file shall hold")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same data (default: 0)")
    add_batch_argument(parser, 32, "chat: conversations generated at once")
    parser.add_argument("--max-new-tokens", type=int, default=220, help="chat: longest answer (default: 220)")
    parser.add_argument("--answers-by", metavar="MODEL", help="chat: another model answers what --model asks")
    parser.add_argument(
        "--like", type=Path, metavar="FILE", help='chat: JSONL with people\'s "prompt"s, to begin like them'
    )
    parser.add_argument(
        "--several", type=float, default=0.0, metavar="SHARE", help="chat: share with two to four turns (default: 0)"
    )
    parser.add_argument(
        "--after",
        type=Path,
        metavar="FILE",
        help="problems: each after one to three of the conversations in a JSONL file",
    )
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
    from sdlm_core.retrofit.synthesize import write_problems

    prepare_output(args.output)
    check_batch(args.batch)
    if args.count < 1:
        raise SDLMError(f"--count must be at least 1, but is {args.count}.")
    if not 0 <= args.several <= 1:
        raise SDLMError(f"--several is a share from 0 to 1, but is {args.several}.")
    if args.kind == "problems":
        after = [record for record in read_records(args.after) if "conversations" in record] if args.after else []
        if args.after and (not after or args.format == "problem"):
            raise SDLMError("--after needs a JSONL file of conversations, and --format conversation.")
        conversations = args.format == "conversation"
        write_problems(args.output, args.count, args.seed, args.kinds, args.split, conversations, after)
    elif args.kinds or args.after or (args.split, args.format) != ("train", "conversation"):
        raise SDLMError("--kinds, --split, --format and --after are for problems; leave them out for chat.")
    else:
        _write_chat(args)
    return 0


def _write_chat(args: argparse.Namespace) -> None:
    """Append the conversations that the file lacks, each as soon as it is there."""
    from sdlm_core.models import builtin
    from sdlm_core.models.loading import load_model
    from sdlm_core.retrofit.synthesize import ChatConfig, self_distill

    done = read_records(args.output)
    if any("number" not in record for record in done):
        raise SDLMError(f"{args.output} holds something else; give --output another name.")
    like = [str(record["prompt"]) for record in read_records(args.like) if "prompt" in record] if args.like else []
    if args.like and not like:
        raise SDLMError(f'{args.like} holds no "prompt". Give a JSONL file with one an object.')
    config = ChatConfig(args.count, args.seed, args.batch, args.max_new_tokens, like, args.several)
    name = str(builtin.ensure_base()) if args.model == "builtin" else args.model
    lm = load_model(name, args.device, args.dtype, args.quantization)
    answering = load_model(args.answers_by, args.device, args.dtype, args.quantization) if args.answers_by else None
    began, tokens = time.monotonic(), 0
    with args.output.open("a", encoding="utf-8") as file:
        for record in self_distill(lm, config, done, answering):
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            file.flush()
            done.append(record)
            tokens += record["tokens"]
            if len(done) % args.batch == 0:
                rate = tokens / (time.monotonic() - began)
                log.info("%d of %d conversations, %.0f answer tokens/s", len(done), args.count, rate)
