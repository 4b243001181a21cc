"""Whole answers: of each algorithm, against transformers' generate and against our own autoregressive decoding of the
same prompt; of many visitors at once; and their first token."""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import Any, Literal

from sdlm_core.bench.models import Job, Models, random_ids, reference_generate
from sdlm_core.bench.timing import Row, alternate
from sdlm_core.config import DecodeConfig
from sdlm_core.decoding.loop import decode
from sdlm_core.serve.engine import Engine
from sdlm_core.serve.ticket import Ticket

ANSWER_TOKENS = 96  # longest answer that is timed
CROWD_TOKENS = 64  # longest answer of one of many visitors
PLAIN = "transformers generate, dynamic cache"
GENERATE: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "transformers generate, static cache": {"cache_implementation": "static"},
    "transformers generate, prompt lookup": {"prompt_lookup_num_tokens": 8},
}


def measure_answers(models: Models) -> list[Row]:
    """Tokens a second of each algorithm and of transformers' generate, the same prompts in turn."""
    configs = {name: config for name, config in settings(models).items() if config.block_size != "auto"}
    rates: dict[str, list[float]] = {name: [] for name in [*configs, *GENERATE]}
    per_pass: dict[str, list[float]] = {name: [] for name in configs}
    with Engine(models.lm) as engine:
        for number, ids in enumerate([models.prompts[0], *models.prompts]):
            for name, config in configs.items():
                began = time.perf_counter()
                trace = engine.decode(ids, config)
                rate = len(trace.token_ids) / (time.perf_counter() - began)
                if number:  # the first round warms up
                    rates[name].append(rate)
                    per_pass[name].append(trace.tokens_per_pass)
            for name, options in GENERATE.items():
                began = time.perf_counter()
                job = engine.call(reference_generate, models.reference, ids, ANSWER_TOKENS, options)
                count = job.result()  # computed in the thread where all else computes
                if number:
                    rates[name].append(count / (time.perf_counter() - began))
    plain = statistics.median(rates[PLAIN])
    table = []
    for name, found in rates.items():
        note = f"{statistics.median(found) / plain:.2f} × generate"
        if name in per_pass:
            note += f", {statistics.mean(per_pass[name]):.2f} tokens per pass"
        table.append(Row(name, f"{statistics.median(found):.1f} tok/s", note))
    return table


def settings(models: Models) -> dict[str, DecodeConfig]:
    """What is compared by whole answers, by name; autoregressive decoding first."""
    d = models.block_size
    return {
        "autoregressive": DecodeConfig("autoregressive", max_new_tokens=ANSWER_TOKENS),
        "prob_conf, τ 0.9": DecodeConfig("prob_conf", d, 0.9, max_new_tokens=ANSWER_TOKENS),
        "prob_conf, τ 0.9, D = auto": DecodeConfig("prob_conf", "auto", 0.9, max_new_tokens=ANSWER_TOKENS),
        "self_speculative": DecodeConfig("self_speculative", d, max_new_tokens=ANSWER_TOKENS),
        "self_speculative, D = auto": DecodeConfig("self_speculative", "auto", max_new_tokens=ANSWER_TOKENS),
    }


def measure_speedup(models: Models) -> list[Row]:
    """Tokens a second of each algorithm over those of autoregressive decoding of the same prompt, just before and just
    after: the median of the prompts, and the slowest one."""
    first, *others = settings(models).items()
    gains: dict[str, list[float]] = {name: [] for name, _ in others}
    per_pass: dict[str, list[float]] = {name: [] for name, _ in others}
    with Engine(models.lm) as engine:

        def rate(ids: list[int], config: DecodeConfig) -> tuple[float, float]:
            began = time.perf_counter()
            trace = engine.decode(ids, config)
            return len(trace.token_ids) / (time.perf_counter() - began), trace.tokens_per_pass

        for _, config in [first, *others]:
            rate(models.prompts[0], config)  # warms up
        for ids in models.prompts:
            before, _ = rate(ids, first[1])
            for name, config in others:
                found, tokens = rate(ids, config)
                after, _ = rate(ids, first[1])
                gains[name].append(2 * found / (before + after))
                per_pass[name].append(tokens)
                before = after
    table = []
    for name, gain in gains.items():
        note = f"slowest of {len(gain)} {min(gain):.2f} ×, {statistics.mean(per_pass[name]):.2f} tokens per pass"
        table.append(Row(f"{name}, against autoregressive by the clock", f"{statistics.median(gain):.2f} ×", note))
    return table


def measure_crowd(models: Models) -> list[Row]:
    """Total tokens a second with 1 … 32 visitors in one engine: the same answers, so many at a time."""
    lm, table = models.lm, []
    several: dict[int | Literal["auto"], tuple[int, ...]] = {4: (1, 8), models.block_size: (1, 4, 8, 16, 32)}
    several["auto"] = (1, 8)
    for d, crowds in several.items():
        config = DecodeConfig("prob_conf", d, 0.9, max_new_tokens=CROWD_TOKENS)
        alone = 0.0
        for visitors in crowds:
            with Engine(lm, max_runs=visitors) as engine:
                for ticket in _submit(engine, models, config, visitors if lm.device.type == "cpu" else 32):
                    list(ticket)  # warms up: on a GPU, a graph is captured for each shape that comes
                began = time.perf_counter()
                tickets = _submit(engine, models, config, 32)
                tokens = sum(p.accepted for ticket in tickets for p in ticket)
                rate = tokens / (time.perf_counter() - began)
            alone = alone or rate
            table.append(Row(f"D = {d}, {visitors} at once", f"{rate:.1f} tok/s", f"{rate / alone:.2f} × one"))
    return table


def _submit(engine: Engine, models: Models, config: DecodeConfig, runs: int) -> list[Ticket]:
    return [engine.submit(models.prompts[i % len(models.prompts)], config) for i in range(runs)]


def measure_first(models: Models) -> list[Row]:
    """Time to first token by prompt length."""
    lengths = [n for n in (16, 128, 512, 2048) if n < models.lm.context_length - 8]
    config = DecodeConfig("prob_conf", models.block_size, max_new_tokens=1)
    jobs: dict[str, Job] = {str(n): partial(decode, models.lm, random_ids(models.lm, n), config) for n in lengths}
    t = alternate(jobs, max(3, models.config.repeats // 3))
    return [Row(f"time to first token, prompt of {n}", t[str(n)].milliseconds, t[str(n)].quartiles) for n in lengths]
