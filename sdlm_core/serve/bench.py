"""`python -m sdlm_core bench`: what a pass, an answer and a crowd cost, against transformers on the same weights.

Everything that is compared runs in one process, alternating, and is reported as a median with its spread; the ratios
are the result, since machines are noisy. It knows nothing of quality: `sweep` measures that.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from sdlm_core.config import DecodeConfig
from sdlm_core.decode_cli import add_model_arguments, prepare_output
from sdlm_core.decoding import Run, advance, decode
from sdlm_core.errors import SDLMError
from sdlm_core.evaluate.tasks import load_set
from sdlm_core.language_model import LanguageModel
from sdlm_core.loading import load_model, load_transformers
from sdlm_core.memory import weight_bytes
from sdlm_core.serve.engine import Engine, Ticket
from sdlm_core.serve.random_weights import SHAPES, random_models
from sdlm_core.text import AnswerText

log = logging.getLogger(__name__)

T = TypeVar("T")
SECTIONS = ("pass", "answers", "crowd", "first", "context", "floor")


@dataclass(frozen=True)
class Timing:
    """Seconds of one thing: median, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        low, _, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else (seconds[0],) * 3
        return cls(statistics.median(seconds), low, high)


def alternate(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, Timing]:
    """Run the jobs in turn, `repeats` rounds after one that warms up; seconds of each, until all devices are done."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for round_ in range(repeats + 1):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            for device in range(torch.cuda.device_count()):
                torch.cuda.synchronize(device)
            if torch.backends.mps.is_available():
                torch.mps.synchronize()
            if round_:
                seconds[name].append(time.perf_counter() - began)
    return {name: Timing.of(times) for name, times in seconds.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `bench`."""
    add_model_arguments(parser)
    parser.add_argument(
        "--random-weights", choices=sorted(SHAPES), help="bench this shape with random weights instead of --model"
    )
    parser.add_argument(
        "--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="what to measure (default: all)"
    )
    parser.add_argument("--block-size", type=int, metavar="D", help="default: the model's, or 4 with random weights")
    parser.add_argument("--repeats", type=int, default=15, help="rounds behind each median (default: 15)")
    parser.add_argument(
        "--prompts",
        default="problems",
        metavar="SET",
        help='problems, chat, or a JSONL file with "prompt" (default: problems)',
    )
    parser.add_argument("--limit", type=int, default=12, help="prompts to answer (default: 12)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure the sections asked for; print the table and save it."""
    if args.repeats < 1 or args.limit < 1:
        raise SDLMError("--repeats and --limit must be at least 1.")
    if args.output:
        prepare_output(args.output)
    bench = in_its_own_thread(lambda: Bench(args))
    rows: list[dict[str, Any]] = []
    for section in args.sections:
        log.info("Measuring: %s …", section)
        rows += in_its_own_thread(getattr(bench, f"bench_{section}"))
    print(f"\n{bench.lm.name}, {bench.lm.description}, torch {torch.__version__}\n")
    width = max(len(row["what"]) for row in rows)
    for row in rows:
        print(f"{row['what']:<{width}}  {row['value']:>10}  {row.get('note', '')}")
    if args.output:
        record = {
            "model": bench.lm.name,
            "device": bench.lm.description,
            "torch": torch.__version__,
            "date": time.strftime("%Y-%m-%d"),
            "block_size": bench.d,
            "rows": rows,
        }
        args.output.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def in_its_own_thread(work: Callable[[], T]) -> T:
    """What `work` returns. Every thread that computes keeps a team of OpenMP threads until it ends, and where teams
    outnumber the cores none of them waits for work awake: passes then take twice as long. So no thread but the engine's
    may have computed while an engine is measured."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()


class Bench:
    """The model twice, ours and transformers', with the same weights."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        if args.random_weights:
            if args.quantization:
                raise SDLMError("Random weights are not quantized. Leave --quantization out, or name a checkpoint.")
            self.lm, self.reference = random_models(args.random_weights, args.device, args.dtype)
            self.prompts = [self._ids(60, seed=i) for i in range(args.limit)]
        else:
            items = load_set(args.prompts).items  # its sentence, before the model loads
            self.lm = load_model(args.model, args.device, args.dtype, args.quantization)
            self.reference = load_transformers(args.model, args.device, args.dtype, args.quantization)[0]
            evenly = items[:: max(1, len(items) // args.limit)]
            self.prompts = [self.lm.encode(item.prompt)[1] for item in evenly[: args.limit]]
        self.d = args.block_size or self.lm.block_size or 4

    # -- one pass -----------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def bench_pass(self) -> list[dict[str, Any]]:
        """A threshold pass (D known and D block rows over 200 cached tokens) against transformers' bare forward."""
        run = self._warm_run("prob_conf", self.d, 200)
        jobs: dict[str, Callable[[], object]] = {"ours": lambda: repeat_pass(run)}
        rows = len(run.plan().rows)
        jobs["transformers"] = self._reference_forward(rows, 200)
        for d in (4, 8):
            speculative = self._warm_run("self_speculative", d, 200)
            speculative._draft = list(speculative.passes[-1].candidates[1 - d :])  # all of it: as wide as a pass gets
            jobs[f"self-speculative, D = {d}"] = lambda r=speculative: repeat_pass(r)  # type: ignore[misc]
        base = self._warm_run("prob_conf", 8, 200)
        jobs["ours, D = 8"] = lambda: repeat_pass(base)
        forward = self._forward_only(run)
        jobs["forward only"] = forward
        t = alternate(jobs, self.args.repeats)
        ours, theirs = t["ours"].median, t["transformers"].median
        out = [
            row(f"pass of {rows} rows, ours", ms(t["ours"]), spread(t["ours"])),
            row(f"forward of {rows} rows, transformers", ms(t["transformers"]), spread(t["transformers"])),
            row("our pass / transformers' forward", f"{ours / theirs:.2f}"),
            row("engine and record, share of our pass", f"{max(0.0, 1 - t['forward only'].median / ours):.1%}"),
        ]
        for d in (4, 8):
            name = f"self-speculative, D = {d}"
            ratio = t[name].median / t["ours, D = 8"].median
            out.append(row(f"{name}: widest pass / our 16-row pass", f"{ratio:.2f}", ms(t[name])))
        return out

    # -- whole answers ------------------------------------------------------------------------------------------------

    def bench_answers(self) -> list[dict[str, Any]]:
        """Tokens a second of each algorithm and of transformers' generate, the same prompts in turn."""
        limit = 96
        configs = {
            "autoregressive": DecodeConfig("autoregressive", max_new_tokens=limit),
            "prob_conf, τ 0.9": DecodeConfig("prob_conf", self.d, 0.9, max_new_tokens=limit),
            "self_speculative": DecodeConfig("self_speculative", self.d, max_new_tokens=limit),
        }
        generate: dict[str, dict[str, Any]] = {
            "transformers generate, dynamic cache": {},
            "transformers generate, static cache": {"cache_implementation": "static"},
            "transformers generate, prompt lookup": {"prompt_lookup_num_tokens": 8},
        }
        rates: dict[str, list[float]] = {name: [] for name in [*configs, *generate]}
        per_pass: dict[str, list[float]] = {name: [] for name in configs}
        engine = Engine(self.lm)
        for number, ids in enumerate([self.prompts[0], *self.prompts]):
            for name, config in configs.items():
                began = time.perf_counter()
                trace = engine.decode(ids, config)
                rate = len(trace.token_ids) / (time.perf_counter() - began)
                if number:  # the first round warms up
                    rates[name].append(rate)
                    per_pass[name].append(trace.tokens_per_pass)
            for name, options in generate.items():
                began = time.perf_counter()
                count = engine.call(self._generate, ids, limit, options).result()  # where all else computes
                if number:
                    rates[name].append(count / (time.perf_counter() - began))
        engine.close()
        plain = statistics.median(rates["transformers generate, dynamic cache"])
        out = []
        for name, found in rates.items():
            note = f"{statistics.median(found) / plain:.2f} × generate"
            if name in per_pass:
                note += f", {statistics.mean(per_pass[name]):.2f} tokens a pass"
            out.append(row(name, f"{statistics.median(found):.1f} tok/s", note))
        return out

    # -- many visitors ------------------------------------------------------------------------------------------------

    def bench_crowd(self) -> list[dict[str, Any]]:
        """Total tokens a second with 1 … 32 visitors in one engine: the same answers, so many at a time."""
        out = []
        for d, crowds in {4: (1, 8), self.d: (1, 4, 8, 16, 32)}.items():
            config = DecodeConfig("prob_conf", d, 0.9, max_new_tokens=64)
            alone = 0.0
            for visitors in crowds:
                with Engine(self.lm, max_runs=visitors) as engine:
                    for ticket in self._crowd(engine, config, visitors if self.lm.device.type == "cpu" else 32):
                        list(ticket)  # warms up: on a GPU, a graph is captured for each shape that comes
                    began = time.perf_counter()
                    tickets = self._crowd(engine, config, 32)
                    tokens = sum(p.accepted for ticket in tickets for p in ticket)
                    rate = tokens / (time.perf_counter() - began)
                alone = alone or rate
                out.append(row(f"D = {d}, {visitors} at once", f"{rate:.1f} tok/s", f"{rate / alone:.2f} × one"))
        return out

    def _crowd(self, engine: Engine, config: DecodeConfig, runs: int) -> list[Ticket]:
        return [engine.submit(self.prompts[i % len(self.prompts)], config) for i in range(runs)]

    def bench_first(self) -> list[dict[str, Any]]:
        """Time to first token by prompt length."""
        lengths = [n for n in (16, 128, 512, 2048) if n < self.lm.context_length - 8]
        config = DecodeConfig("prob_conf", self.d, max_new_tokens=1)
        jobs: dict[str, Callable[[], object]] = {}
        for n in lengths:
            ids = self._ids(n)
            jobs[str(n)] = lambda ids=ids: decode(self.lm, ids, config)  # type: ignore[misc]
        t = alternate(jobs, max(3, self.args.repeats // 3))
        return [row(f"time to first token, prompt of {n}", ms(t[str(n)]), spread(t[str(n)])) for n in lengths]

    def bench_context(self) -> list[dict[str, Any]]:
        """A pass at growing context over one at 128 tokens."""
        lengths = [n for n in (128, 512, 1024, 2048) if n < self.lm.context_length - 64]
        runs = {str(n): self._warm_run("prob_conf", self.d, n) for n in lengths}
        t = alternate({n: (lambda r=r: repeat_pass(r)) for n, r in runs.items()}, self.args.repeats)  # type: ignore[misc]
        short = t[str(lengths[0])].median
        return [
            row(f"pass at {n} tokens of context", ms(t[str(n)]), f"{t[str(n)].median / short:.2f} × 128")
            for n in lengths
        ]

    def bench_floor(self) -> list[dict[str, Any]]:
        """The time to read the weights and the cache once, at the memory bandwidth measured here and now."""
        run = self._warm_run("prob_conf", self.d, 200)
        shape, itemsize = self.lm.transformer.shape, self.lm.dtype.itemsize
        weights = weight_bytes(self.reference.config, self.lm.dtype, self.args.quantization)
        if not self.reference.config.tie_word_embeddings:  # a pass reads a few rows of it; where tied, it is the head
            weights -= shape.vocabulary * shape.hidden * itemsize
        cache = 2 * shape.layers * shape.kv_heads * shape.head_dim * run.cache.length * itemsize
        size = 2**28 if self.lm.device.type == "cpu" else 2**32  # bytes; long enough for a launch not to count
        block = torch.ones(size // 4, device=self.lm.device)
        t = alternate({"read": lambda: block.sum(), "pass": lambda: repeat_pass(run)}, self.args.repeats)
        bandwidth = block.nbytes / t["read"].median
        floor = (weights + cache) / bandwidth
        return [
            row("memory bandwidth, read", f"{bandwidth / 1e9:.1f} GB/s"),
            row("weights and cache read by a pass", f"{(weights + cache) / 1e6:.0f} MB", f"{floor * 1e3:.1f} ms"),
            row("our pass / that floor", f"{t['pass'].median / floor:.2f}", ms(t["pass"])),
        ]

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _ids(self, n: int, seed: int = 0) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(self.lm.vocabulary // 3, self.lm.vocabulary // 2, (n,), generator=generator).tolist()

    def _warm_run(self, algorithm: str, d: int, context: int) -> Run:
        """A run in the middle of an answer, with `context` tokens in its cache and D newest ones to add."""
        config = DecodeConfig(algorithm, d, 0.0, max_new_tokens=10_000)
        run = Run(self.lm, self._ids(context), config, self.lm.new_pool(lasting=True))
        while len(run.passes) < 2:
            advance([run])
            if run.finish_reason:  # random text may end at once
                run.finish_reason = None
        return run

    def _forward_only(self, run: Run) -> Callable[[], object]:
        """The pass's forward and head, without planning, deciding and recording."""
        from sdlm_core.forward import forward_rows

        plan = run.plan()

        def job() -> object:
            hidden = forward_rows(self.lm, [run.cache], [plan])[0]
            return self.lm.transformer.logits(hidden[-self.d :])

        return job

    def _reference_forward(self, rows: int, context: int) -> Callable[[], object]:
        """transformers' forward of `rows` rows over a cache of `context` tokens, cut back after each."""
        from transformers import DynamicCache

        device = self.lm.device
        cache = DynamicCache(config=self.reference.config)
        self.reference(torch.tensor([self._ids(context)], device=device), past_key_values=cache, logits_to_keep=1)
        ids = torch.tensor([self._ids(rows)], device=device)

        def job() -> object:
            out = self.reference(ids, past_key_values=cache, logits_to_keep=self.d).logits
            cache.crop(-rows)
            return out

        return job

    def _generate(self, _: LanguageModel, ids: list[int], limit: int, options: dict[str, Any]) -> int:
        """Tokens that transformers' greedy generate gives."""
        prompt = torch.tensor([ids], device=self.lm.device)
        out = self.reference.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=limit,
            do_sample=False,
            eos_token_id=sorted(self.lm.end_token_ids) or None,
            **options,
        )
        return int(out.shape[1]) - len(ids)


def repeat_pass(run: Run) -> None:
    """One whole pass of a copy of the run, which itself stays where it is, so that it can be timed again there."""
    probe = copy.copy(run)
    probe.cache = copy.copy(run.cache)  # another frontier over the same buffers
    probe.passes, probe.token_ids, probe._answer = [], list(run.token_ids), AnswerText(run.lm)
    advance([probe])


def row(what: str, value: str, note: str = "") -> dict[str, Any]:
    return {"what": what, "value": value, "note": note}


def ms(t: Timing) -> str:
    return f"{t.median * 1e3:.1f} ms"


def spread(t: Timing) -> str:
    return f"quartiles {t.low * 1e3:.1f} to {t.high * 1e3:.1f} ms"
