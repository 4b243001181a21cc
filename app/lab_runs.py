"""Sweeps that a visitor starts: runs in the house, one setting after the other, and what they come to.

The house decodes; here its messages become traces, and traces become points of the plot. Passes may be shared with
other visitors, which changes no token but the time they take: such runs have no wall-clock figure. It knows nothing of
Gradio.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app import limits
from app.runs import House
from sdlm_core import DecodeConfig, SDLMError, Trace
from sdlm_core.evaluate import metrics
from sdlm_core.evaluate.grading import is_correct
from sdlm_core.evaluate.tasks import Item, TaskSet

TAUS = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
MAX_PROBLEMS = 20
MAX_NEW_TOKENS = 100  # tokens an answer to a visitor's own prompt may have
# Results a session keeps. One takes about 100 kB where a pass keeps one token: each guess with its confidence.
KEEP_RESULTS = 400

Result = dict[str, Any]


@dataclass
class Update:
    """News of a sweep: a sentence, how far it is (0 to 1), and results that are new."""

    sentence: str
    done: float
    results: list[Result] = field(default_factory=list)


def settings(algorithm: str, block_size: int, max_new_tokens: int) -> list[DecodeConfig]:
    """What is decoded for one prompt: autoregressive, τ from 1 down, and self-speculative, at one D."""
    if algorithm not in ("prob_conf", "entropy_conf"):
        raise SDLMError("A sweep needs a rule with a threshold. Choose probability or entropy.")
    common: dict[str, Any] = {"block_size": block_size, "max_new_tokens": max_new_tokens}
    limits.parse_settings({"algorithm": algorithm, **common})
    return [
        DecodeConfig(algorithm="autoregressive", max_new_tokens=max_new_tokens),
        *(DecodeConfig(algorithm=algorithm, threshold=tau, **common) for tau in TAUS),
        DecodeConfig(algorithm="self_speculative", **common),
    ]


async def sweep(house: House, prompts: TaskSet, algorithm: str, block_size: int, owner: str) -> AsyncIterator[Update]:
    """Decode every item under all settings; closing it ends the run in hand within one pass. Raises SDLMError."""
    if not 1 <= len(prompts.items) <= MAX_PROBLEMS:
        raise SDLMError(f"A sweep here takes 1 to {MAX_PROBLEMS} prompts. For more, use: python -m sdlm_core sweep.")
    configs = settings(algorithm, block_size, prompts.max_new_tokens)
    total = len(prompts.items) * len(configs)
    count = untimed = 0
    for item in prompts.items:
        messages = limits.parse_messages([{"role": "user", "content": item.prompt}])
        request = limits.Request(secrets.token_hex(16), messages, configs)
        lanes: dict[int, dict[str, Any]] = {}
        traces: list[Trace] = []
        seen = -1
        following: Any = house.follow(request, owner, keep=False)
        async with contextlib.aclosing(following) as feed:
            async for batch in feed:
                for number, text in sorted(batch.items()):
                    if number <= seen:
                        continue
                    seen = number
                    message = json.loads(text)
                    if message["kind"] == "failed":
                        raise SDLMError(message["message"])
                    if message["kind"] == "waiting":
                        yield Update(_waiting(message), count / total)
                        continue
                    finished = _collect(lanes, message)
                    if finished is None:
                        continue
                    traces.append(finished)
                    count += 1
                    timed = not (lanes[0]["company"] or message["company"])
                    untimed += not timed
                    try:
                        reading = await house.log_likelihood(messages, finished.token_ids)
                    except SDLMError:  # the run itself is worth having
                        reading = None
                    at = _at_another_d(house, block_size)
                    sentence = f"{count} of {total} runs{at}: {describe(finished.config)}."
                    yield Update(sentence, count / total, [measure(finished, traces, item, timed, reading)])
    note = f" Others were decoding too, so {untimed} of them have no wall-clock figure." if untimed else ""
    yield Update(f"Done: {total} runs{_at_another_d(house, block_size)}.{note}", 1.0)


def last_answer(house: House, owner: str) -> Trace | None:
    """What the chat has last decoded for a browser session, if that is still known."""
    lanes: dict[int, dict[str, Any]] = {}
    messages = [json.loads(text) for text in house.latest(owner)]
    found = [_collect(lanes, m) for m in messages if m["kind"] in ("start", "passes", "end")]
    return found[-1] if found and lanes[0]["passes"] else None


def _at_another_d(house: House, block_size: int) -> str:
    """Words for a D that the model was not trained with: its figures are not the model's best. Else ""."""
    trained = house.status().get("block_size")
    return "" if trained in (None, block_size) else f" at D {block_size} (this model was trained with D {trained})"


def _waiting(message: dict[str, Any]) -> str:
    if message.get("model") == "loading":
        return "The model is loading; the sweep begins as soon as it is there."
    return f"Waiting for the model, place {message.get('position', 1)} in the line."


def _collect(lanes: dict[int, dict[str, Any]], message: dict[str, Any]) -> Trace | None:
    """Put a message to its lane; the lane's trace, when that was its last."""
    lane = lanes.setdefault(message["lane"], {"passes": []})
    if message["kind"] == "start":
        lane["head"] = message["head"]
    elif message["kind"] == "passes":
        lane["passes"] += message["passes"]
    elif message["kind"] == "end":
        lane["company"] = message["company"]
        return Trace.from_json(json.dumps({**lane["head"], **message["tail"], "passes": lane["passes"]}))
    return None


def describe(config: DecodeConfig) -> str:
    """A setting in a few words."""
    if config.algorithm == "autoregressive":
        return "autoregressive"
    name = {"prob_conf": "probability", "entropy_conf": "entropy"}.get(config.algorithm, "self-speculative")
    tau = f", τ {config.threshold:g}" if config.algorithm in ("prob_conf", "entropy_conf") else ""
    return f"{name}, D {config.block_size}{tau}"


def measure(
    trace: Trace, before: Sequence[Trace], item: Item, timed: bool = True, log_likelihood: float | None = None
) -> Result:
    """One run's figures; `before` holds the prompt's runs so far: the first autoregressive, the second at τ 1.

    timed: whether this run and the first had the model to themselves. log_likelihood: nats a token, end token included.
    """
    first = before[0]
    speed = len(trace.token_ids) / max(trace.seconds, 1e-9)
    reference = next((t for t in before if t.config.algorithm in ("prob_conf", "entropy_conf")), None)
    at_one = None if reference is None or reference.config.threshold < 1 else reference
    alone = trace.config.algorithm == "autoregressive"
    return {
        "item": item.id,
        "prompt": item.prompt,
        "label": describe(replace(trace.config, block_size=trace.block_size)),
        "algorithm": trace.config.algorithm,
        "block_size": trace.block_size,
        "threshold": trace.config.threshold if trace.config.algorithm in ("prob_conf", "entropy_conf") else None,
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
    """All runs with their accepted lengths."""
    return json.dumps({"format": "sdlm-lab", "version": 1, "runs": list(results)}, ensure_ascii=False, indent=1)
