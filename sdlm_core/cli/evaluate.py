"""`sdlm evaluate`: tasks of lm-evaluation-harness on an SDLM, with tokens per pass beside the scores."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from sdlm_core.cli.options import (
    add_batch_argument,
    add_decoding_arguments,
    add_model_arguments,
    check_batch,
    prepare_output,
)
from sdlm_core.config import DecodeConfig
from sdlm_core.errors import SDLMError

ALIASES = {"math500": "hendrycks_math500", "math": "hendrycks_math", "humaneval+": "humaneval_plus"}
EPILOG = """\
  python -m sdlm_core evaluate --tasks gsm8k,math500,ifeval --limit 50
  python -m sdlm_core evaluate --tasks humaneval,mbpp --confirm-run-unsafe-code
  accelerate launch -m sdlm_core evaluate --model OpenGVLab/SDLM-3B-D8 --tasks gsm8k      one process a GPU

Tasks fetch their data from the model hub. Tasks of one's own with local data: --include-path FOLDER.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `evaluate`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    add_model_arguments(parser)
    parser.add_argument("--tasks", required=True, help="names of tasks, separated by commas")
    add_decoding_arguments(parser)
    parser.add_argument("--max-new-tokens", type=int, default=512, help="where a task sets no limit (default: 512)")
    parser.add_argument("--limit", type=float, help="documents of each task, or a share of them below 1")
    parser.add_argument("--num-fewshot", type=int, metavar="N", help="examples before each question")
    add_batch_argument(parser, 16)
    parser.add_argument("--gen-kwargs", help="settings of generation for all tasks, such as max_gen_toks=256")
    parser.add_argument("--no-chat-template", action="store_true", help="give the model the bare text of a task")
    parser.add_argument("--system", help="a system message before each question")
    parser.add_argument("--include-path", help="a folder with tasks of one's own (YAML)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write scores, settings and samples as JSON")
    parser.add_argument(
        "--confirm-run-unsafe-code",
        action="store_true",
        help="allow tasks that run code which the model wrote, on this machine; without it they are refused",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate, print a table, write the file."""
    import lm_eval  # noqa: F401  # its absence is told before a model loads

    check_batch(args.batch)
    if args.output:
        prepare_output(args.output)
    config = DecodeConfig(
        algorithm=args.algorithm,
        block_size=args.block_size,
        threshold=args.threshold,
        max_new_tokens=args.max_new_tokens,
        seed=args.seed,
        guesses=args.guesses,
    )
    from sdlm_core.decoding.state import block_size_for, coherent_for
    from sdlm_core.models.loading import load_model

    distributed = _distributed()
    device = args.device
    if distributed is not None and distributed.device.type == "cuda":
        device = str(distributed.device)
    lm = load_model(args.model, device, args.dtype, args.quantization)
    block_size_for(lm, config)  # their errors, before any task is fetched
    coherent_for(lm, config)
    from sdlm_core.evaluate.harness import HarnessLM

    model = HarnessLM(lm, config, args.batch, distributed, chat=not args.no_chat_template)
    results = evaluate(model, args)
    speeds = _speeds(model)
    if model.rank == 0 and results is not None:
        print(_table(results, speeds))
        if args.output:
            parts = ("results", "groups", "configs", "versions", "n-samples", "samples", "date")
            kept: dict[str, Any] = {part: results[part] for part in parts if part in results}
            kept |= {"model": lm.name, "device": lm.description, "decoding": config.to_dict(), "speed": speeds}
            args.output.write_text(json.dumps(kept, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
            print(f"Written: {args.output}", file=sys.stderr)
    return 0


def evaluate(model: Any, args: argparse.Namespace) -> dict[str, Any] | None:
    """The harness' results; SDLMError where a task is unknown, refused, or its data cannot be fetched."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    names = [ALIASES.get(name, name) for name in (n.strip() for n in args.tasks.split(",")) if name]
    unknown = names
    if args.include_path:  # reading the harness' own thousands of tasks takes a while, and may not be needed
        manager = TaskManager(include_path=args.include_path, include_defaults=False)
        unknown = [name for name in names if not manager.match_tasks([name])]
    if unknown:
        manager = TaskManager(include_path=args.include_path)
        unknown = [name for name in names if not manager.match_tasks([name])]
    if unknown or not names:
        raise SDLMError(
            f"The harness knows no task {', '.join(map(repr, unknown))}. `lm-eval ls tasks` lists them; "
            "--include-path adds a folder of your own."
        )
    if args.confirm_run_unsafe_code:
        os.environ["HF_ALLOW_CODE_EVAL"] = "1"  # what the code metric itself asks for, beside the harness' flag
    try:
        results: dict[str, Any] | None = simple_evaluate(
            model=model,
            tasks=names,
            num_fewshot=args.num_fewshot,
            limit=int(args.limit) if args.limit and args.limit >= 1 else args.limit,
            gen_kwargs=args.gen_kwargs,
            apply_chat_template=model.templated,
            system_instruction=args.system,
            task_manager=manager,
            bootstrap_iters=1000,
            random_seed=args.seed,
            numpy_random_seed=args.seed,
            torch_random_seed=args.seed,
            fewshot_random_seed=args.seed,
            confirm_run_unsafe_code=args.confirm_run_unsafe_code,
        )
        return results
    except SDLMError:
        raise
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        raise SDLMError(sentence) from error


def explain(error: BaseException) -> str | None:
    """A sentence for what users meet: no network, refused code, a missing package; None for anything else."""
    text = str(error)
    if "confirm_run_unsafe_code" in text or "HF_ALLOW_CODE_EVAL" in text:
        return (
            "This task runs code that the model writes, on this machine. "
            "Add --confirm-run-unsafe-code if you accept that, in a sandbox at best."
        )
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for found in chain:
        module = type(found).__module__.partition(".")[0]
        if isinstance(found, ModuleNotFoundError):
            return f"This task needs the package {found.name!r}, which is not installed."
        if isinstance(found, ConnectionError | TimeoutError) or module in ("httpx", "httpcore", "requests", "urllib3"):
            return _UNREACHABLE
        if type(found).__name__ in ("OfflineModeIsEnabled", "LocalEntryNotFoundError", "HfHubHTTPError"):
            return _UNREACHABLE
    return None


_UNREACHABLE = (
    "The task's data could not be fetched, because the model hub cannot be reached from here. "
    "Connect to it, or evaluate a task with local data (--include-path); "
    "`python -m sdlm_core sweep` measures without any download."
)


def _distributed() -> Any:
    """accelerate's state where several processes were launched, else None."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return None
    from accelerate import PartialState

    return PartialState()


def _speeds(model: Any) -> dict[str, dict[str, float]]:
    """Generated tokens and passes of each task, over all processes."""
    total: dict[str, list[int]] = {}
    for tokens, passes in model.gather_object((dict(model.tokens), dict(model.passes))) or []:
        for name, n in tokens.items():
            known = total.setdefault(name, [0, 0])
            known[0] += n
            known[1] += passes[name]
    return {name: {"tokens": t, "passes": p, "tokens_per_pass": round(t / p, 4)} for name, (t, p) in total.items()}


def _table(results: dict[str, Any], speeds: dict[str, dict[str, float]]) -> str:
    lines = ["| task | measure | value | standard error | tokens per pass |", "| --- | --- | --- | --- | --- |"]
    for name, scores in results["results"].items():
        speed = f"{speeds[name]['tokens_per_pass']:.2f}" if name in speeds else "–"
        for key, value in scores.items():
            measure, _, kind = key.partition(",")
            if measure.endswith("_stderr") or not isinstance(value, int | float) or not kind:
                continue
            error = scores.get(f"{measure}_stderr,{kind}")
            shown = f"{error:.4f}" if isinstance(error, int | float) else "–"
            label = measure if kind == "none" else f"{measure}, {kind}"
            lines.append(f"| {name} | {label} | {value:.4f} | {shown} | {speed} |")
    return "\n".join(lines)
