"""Options and checks that several commands share."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdlm_core.assets import app_folder
from sdlm_core.config import ALGORITHMS, GUESSES, DecodeConfig
from sdlm_core.errors import SDLMError


def add_model_arguments(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """--model, --device, --dtype and --quantization, as every command that loads a model takes them. several: of
    models; --model is then a list, or None."""
    what = '"builtin", a checkpoint\'s folder, or a hub id (default: builtin)'
    if several:
        parser.add_argument("--model", action="append", help=f"{what}; given more than once, all of them on demand")
        most = "how many of several models stay in memory; the one asked for longest ago makes room (default: as many "
        parser.add_argument("--max-loaded-models", type=int, metavar="N", help=f"{most}as fit; on a CPU 1)")
    else:
        parser.add_argument("--model", default="builtin", help=what)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--dtype", default="auto", help="auto, bfloat16, float16, float32 (default: what is fast here)")
    parser.add_argument("--quantization", choices=["int8", "nf4"], help="load quantized weights, by bitsandbytes")


def check_several(models: Sequence[str], most: int | None, alone: str | None = None) -> None:
    """Raise SDLMError for models, or a number of them, that cannot be meant. alone: what takes only one model."""
    if most is not None and most < 1:
        raise SDLMError(f"--max-loaded-models must be at least 1, but is {most}.")
    if alone is not None and len(models) > 1:
        raise SDLMError(f"{alone} takes one model, but --model names {len(models)}: {', '.join(models)}. Give one.")


def _block_size(text: str) -> int | str:
    """--block-size: a whole number, or "auto"."""
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is neither a whole number nor "auto"') from None


def add_ray_arguments(parser: argparse.ArgumentParser) -> None:
    """--ray and --threads, of commands whose work can be spread over a cluster."""
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="spread the work over a Ray cluster, with the same results: its head's host:port, "
        '"auto" for the one of this machine, or "local" for one that ends with this command',
    )
    parser.add_argument("--threads", type=int, default=1, help="with --ray: CPU cores of each process (default: 1)")
    parser.add_argument("--gpus", type=float, default=0.0, help="with --ray: GPUs of each process (default: 0)")


def spread_over(args: argparse.Namespace, work: Any, model: str | None = None) -> Any:
    """A function that has work(lm, item) done for items in the cluster of --ray; None without --ray.

    model: where it is not --model. SDLMError where Ray is missing or the numbers cannot be meant.
    """
    if args.ray is None:
        return None
    if args.threads < 1 or args.gpus < 0:
        raise SDLMError("--threads must be at least 1, and --gpus at least 0.")
    from functools import partial

    from sdlm_core.serve.spread import ModelSource, spread

    source = ModelSource(model or args.model, args.device, args.dtype, args.quantization, args.threads, args.gpus)
    return partial(spread, args.ray, source, work)


def add_decoding_arguments(parser: argparse.ArgumentParser) -> None:
    """--algorithm, --block-size, --threshold and --seed of one DecodeConfig."""
    defaults = DecodeConfig()
    parser.add_argument(
        "--algorithm",
        choices=ALGORITHMS,
        default=defaults.algorithm,
        help=f"how many candidates of a pass are accepted (default: {defaults.algorithm})",
    )
    add_block_size_argument(
        parser,
        type=_block_size,
        help='candidates a pass, or "auto": as many as pay, pass for pass (default: the model\'s)',
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="TAU",
        default=defaults.threshold,
        help=f"accept candidates whose confidence is above this (default: {defaults.threshold})",
    )
    add_guesses_argument(parser)
    parser.add_argument(
        "--seed", type=int, default=defaults.seed, help=f"of what is sampled (default: {defaults.seed})"
    )


def add_block_size_argument(parser: argparse.ArgumentParser, **options: Any) -> None:
    """--block-size; `options` go to argparse."""
    options = {"type": int, "help": "candidates per pass (default: the model's)", **options}
    parser.add_argument("--block-size", metavar="D", **options)


def add_guesses_argument(parser: argparse.ArgumentParser) -> None:
    """--guesses."""
    parser.add_argument(
        "--guesses",
        choices=GUESSES,
        help="whether the guesses of a block know each other, which needs a sampler (default: coherent where the model "
        "has one)",
    )


def add_batch_argument(parser: argparse.ArgumentParser, default: int, what: str = "runs in one forward pass") -> None:
    """--batch, which `check_batch` checks."""
    parser.add_argument("--batch", type=int, default=default, help=f"{what} (default: {default})")


def check_batch(batch: int) -> None:
    """SDLMError unless --batch, the runs in one forward pass, is at least 1."""
    if batch < 1:
        raise SDLMError(f"--batch must be at least 1, but is {batch}.")


def prepare_output(path: Path) -> None:
    """Make the folder of a file that will be written. SDLMError where it cannot be: before the work, not after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SDLMError(f"{str(path)!r} cannot be written ({error.strerror}). Give another file.") from None
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SDLMError(f"{str(path)!r} cannot be written: it is a folder, or protected. Give another file.")


def app_module(name: str) -> Any:
    """A module of the app, such as "app.plots.report". It is imported only here, when a command needs it.

    The app's folder comes first on the path, so that `app` is ours whatever else is installed under that name.
    Raises ModuleNotFoundError where a package of the extra `app` is missing.
    """
    folder = str(app_folder())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)
