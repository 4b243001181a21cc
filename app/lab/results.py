"""What a visitor's runs come to: one result a run, and results as points of the plot, as calibration, as files.

It knows nothing of Gradio, nor of how the runs came about.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app import limits
from sdlm_core import DecodeConfig, Trace
from sdlm_core.evaluate import metrics
from sdlm_core.evaluate.table import NAMES
from sdlm_core.evaluate.tasks import Item
from sdlm_core.problems.grading import is_correct

Result = dict[str, Any]


def describe(config: DecodeConfig) -> str:
    """A setting in a few words."""
    if config.algorithm == "autoregressive":
        return NAMES[config.algorithm]
    tau = f", τ {config.threshold:g}" if config.algorithm in limits.BY_CONFIDENCE else ""
    return f"{NAMES[config.algorithm]}, D {config.block_size}{tau}"


def measure(
    trace: Trace, before: Sequence[Trace], item: Item, timed: bool = True, log_likelihood: float | None = None
) -> Result:
    """One run's figures; `before` holds the prompt's runs so far: the first autoregressive, the second at τ 1.

    timed: whether neither this run nor the first shared a pass. log_likelihood: nats a token, end token included.
    """
    first = before[0]
    speed = len(trace.token_ids) / max(trace.seconds, 1e-9)
    reference = next((t for t in before if t.config.algorithm in limits.BY_CONFIDENCE), None)
    at_one = None if reference is None or reference.config.threshold < 1 else reference
    alone = trace.config.algorithm == "autoregressive"
    return {
        "item": item.id,
        "prompt": item.prompt,
        "label": describe(replace(trace.config, block_size=trace.block_size)),
        "algorithm": trace.config.algorithm,
        "block_size": trace.block_size,
        "threshold": trace.config.threshold if trace.config.algorithm in limits.BY_CONFIDENCE else None,
        "tokens": len(trace.token_ids),
        "passes": len(trace.passes),
        "seconds": round(trace.seconds, 4),
        "tokens_per_pass": trace.tokens_per_pass,
        "wall_clock": speed * first.seconds / max(len(first.token_ids), 1) if timed else None,
        "agreement": 1.0 if alone else metrics.agreement(trace.token_ids, at_one.token_ids) if at_one else None,
        "log_likelihood": log_likelihood,
        "correct": None if item.problem is None else is_correct(trace.text, item.problem),
        "text": trace.text,
        "accepted": [p.accepted for p in trace.passes],
        "judged": [
            [j.position, j.confidence, j.right]
            for j in (metrics.judge_trace(trace, at_one.token_ids) if at_one and not alone else [])
        ],
    }


def as_points(results: Sequence[Result]) -> list[Result]:
    """Results as points of the plot: runs of one setting on several problems become one point."""
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for r in results:
        groups.setdefault((r["sweep"], r["label"]), []).append(r)
    points = []
    for own in groups.values():
        graded = [r["correct"] for r in own if r["correct"] is not None]
        agreed = [r["agreement"] for r in own if r["agreement"] is not None]
        speeds = sorted(r["wall_clock"] for r in own if r["wall_clock"] is not None)
        read = [r for r in own if r["log_likelihood"] is not None]
        nats, read_tokens = sum(r["log_likelihood"] * r["tokens"] for r in read), sum(r["tokens"] for r in read)
        points.append(
            {
                "label": own[0]["label"],
                "prompt": own[0]["prompt"] if len(own) == 1 else f"{len(own)} problems",
                "n": len(own),
                "timed": len(speeds),
                "tokens_per_pass": sum(r["tokens"] for r in own) / max(1, sum(r["passes"] for r in own)),
                "wall_clock": speeds[len(speeds) // 2] if speeds else None,
                "accuracy": sum(graded) / len(graded) if graded else None,
                "agreement": sum(agreed) / len(agreed) if agreed else None,
                "log_likelihood": nats / read_tokens if read_tokens else None,
            }
        )
    return points


def reliability_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Calibration rows, as a sweep has them, of the candidates that these runs met."""
    judged = [metrics.Judged(*j) for r in results for j in r["judged"]]
    return [
        {
            "position": position,
            "n": bins.n,
            "ece": bins.ece,
            "count": bins.count,
            "confidence": [c / n if n else None for c, n in zip(bins.confidence, bins.count, strict=True)],
            "right": bins.right,
        }
        for position, bins in metrics.calibration(judged).items()
    ]


COLUMNS = ("item", "label", "algorithm", "block_size", "threshold", "tokens", "passes", "seconds", "tokens_per_pass",
           "wall_clock", "agreement", "log_likelihood", "correct", "prompt", "text")  # fmt: skip


def to_csv(results: Sequence[Result]) -> str:
    """One line a run. A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for r in results:
        writer.writerow([_harmless(r[column]) for column in COLUMNS])
    return out.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def to_json(results: Sequence[Result]) -> str:
    """All runs with their accepted lengths, as one JSON object."""
    return json.dumps({"format": "sdlm-lab", "version": 1, "runs": list(results)}, ensure_ascii=False, indent=1)
