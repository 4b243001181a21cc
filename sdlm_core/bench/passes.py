"""One pass: against transformers' forward, at growing context, and against reading the weights once."""

from __future__ import annotations

import torch

from sdlm_core.bench.models import (
    Job,
    Models,
    cached_tokens,
    forward_only,
    reference_forward,
    repeat_pass,
    rows_of,
    warm_run,
    widest_speculative_run,
)
from sdlm_core.bench.timing import Row, alternate
from sdlm_core.models.memory import weight_bytes

CONTEXT = 200  # tokens in the cache, where nothing else is said


@torch.inference_mode()
def measure_pass(models: Models) -> list[Row]:
    """A threshold pass (D known and D block rows over 200 cached tokens) against transformers' bare forward."""
    lm, d = models.lm, models.block_size
    run = warm_run(lm, "prob_conf", d, CONTEXT)
    rows = rows_of(run)
    jobs: dict[str, Job] = {
        "ours": lambda: repeat_pass(run),
        "transformers": reference_forward(models, rows, CONTEXT),
    }
    for width in (4, 8):
        speculative = widest_speculative_run(lm, width, CONTEXT)
        jobs[f"self-speculative, D = {width}"] = lambda r=speculative: repeat_pass(r)  # type: ignore[misc]
    sixteen = warm_run(lm, "prob_conf", 8, CONTEXT)
    jobs["ours, D = 8"] = lambda: repeat_pass(sixteen)
    jobs["forward only"] = forward_only(run, d)
    if lm.has_sampler:
        independent = warm_run(lm, "prob_conf", d, CONTEXT, "independent")
        jobs["independent"] = lambda: repeat_pass(independent)
    t = alternate(jobs, models.config.repeats)
    ours, theirs = t["ours"], t["transformers"]
    table = [
        Row(f"pass of {rows} rows, ours", ours.milliseconds, ours.quartiles),
        Row(f"forward of {rows} rows, transformers", theirs.milliseconds, theirs.quartiles),
        Row("our pass / transformers' forward", f"{ours.median / theirs.median:.2f}"),
        Row("engine and record, share of our pass", f"{max(0.0, 1 - t['forward only'].median / ours.median):.1%}"),
    ]
    if lm.has_sampler:
        table.append(Row("sampler, share of our pass", f"{1 - t['independent'].median / ours.median:.1%}"))
    for width in (4, 8):
        name = f"self-speculative, D = {width}"
        ratio = t[name].median / t["ours, D = 8"].median
        table.append(Row(f"{name}: widest pass / our 16-row pass", f"{ratio:.2f}", t[name].milliseconds))
    return table


def measure_context(models: Models) -> list[Row]:
    """A pass at growing context over one at 128 tokens."""
    lm = models.lm
    lengths = [n for n in (128, 512, 1024, 2048) if n < lm.context_length - 64]
    runs = {n: warm_run(lm, "prob_conf", models.block_size, n) for n in lengths}
    t = alternate({str(n): (lambda r=r: repeat_pass(r)) for n, r in runs.items()}, models.config.repeats)  # type: ignore[misc]
    short = t[str(lengths[0])].median
    return [
        Row(f"pass at {n} tokens of context", t[str(n)].milliseconds, f"{t[str(n)].median / short:.2f} × 128")
        for n in lengths
    ]


def measure_floor(models: Models) -> list[Row]:
    """The time to read the weights and the cache once, at the memory bandwidth measured here and now."""
    lm, reference = models.lm, models.reference
    run = warm_run(lm, "prob_conf", models.block_size, CONTEXT)
    shape, itemsize = lm.transformer.shape, lm.dtype.itemsize
    weights = weight_bytes(reference.config, lm.dtype, models.config.quantization)
    if not reference.config.tie_word_embeddings:  # a pass reads a few rows of it; where tied, it is the head
        weights -= shape.vocabulary * shape.hidden * itemsize
    cache = 2 * shape.layers * shape.kv_heads * shape.head_dim * cached_tokens(run) * itemsize
    size = 2**28 if lm.device.type == "cpu" else 2**32  # bytes; long enough for a launch not to count
    block = torch.ones(size // 4, device=lm.device)
    t = alternate({"read": lambda: block.sum(), "pass": lambda: repeat_pass(run)}, models.config.repeats)
    bandwidth = block.nbytes / t["read"].median
    floor = (weights + cache) / bandwidth
    return [
        Row("memory bandwidth, read", f"{bandwidth / 1e9:.1f} GB/s"),
        Row("weights and cache read by a pass", f"{(weights + cache) / 1e6:.0f} MB", f"{floor * 1e3:.1f} ms"),
        Row("our pass / that floor", f"{t['pass'].median / floor:.2f}", t["pass"].milliseconds),
    ]
