"""From a sweep's records to its one JSON: for every setting the speed, the quality and their 95 % intervals."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sdlm_core.evaluate import metrics
from sdlm_core.evaluate.cells import Cell
from sdlm_core.evaluate.sweep import Plan, Record

FORMAT, VERSION = "sdlm-sweep", 1
DEFINITIONS = {
    "tokens_per_pass": "generated tokens over forward passes, summed over the answers (the paper's SpeedUp); not a "
    "wall-clock figure. Bootstrap interval over answers.",
    "accuracy": "share of answers whose final answer is right. Wilson interval.",
    "accuracy_change": "accuracy minus that of tau 1 at the same D, paired by problem. Bootstrap interval.",
    "agreement": "1 - token edit distance to the answer at tau 1 and the same D, over the longer one's length; mean "
    "over answers. Bootstrap interval.",
    "log_likelihood": "nats per token of the answers, end token included, read autoregressively by the same model.",
    "base_log_likelihood": "the same, read by the base model; for answers equal to those at tau 1.",
    "calibration": "candidates of the tau 1 runs, right where tau 1 decoding produced the same token at that place. "
    "Position 1 is right by construction.",
    "self_speculative": "tokens and passes follow exactly from the tau 1 passes of the same D, and were read off them.",
    "intervals": "95 %",
}


def summarise(plan: Plan, records: Sequence[Record]) -> dict[str, Any]:
    """Everything that follows from the records alone, so that the same records give the same bytes."""
    rows: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        for row in record["answers"]:
            rows[record["set"], row["cell"]].append(row)
    finished = {record["unit"] for record in records}
    return {
        "format": FORMAT,
        "version": VERSION,
        "complete": all(unit.key in finished for unit in plan.units()),
        "definitions": DEFINITIONS,
        "settings": plan.to_dict(),
        "passes_computed": sum(record["passes_computed"] for record in records),
        "cells": [
            _cell(task.name, cell, rows[task.name, cell.key], rows[task.name, _reference_key(cell)], plan)
            for task in plan.sets
            for cell in plan.cells
            if rows[task.name, cell.key]
        ],
        "calibration": _calibration(records),
        "answers": _answers(plan, rows),
    }


def _reference_key(cell: Cell) -> str:
    return Cell("prob_conf", cell.block_size, 1.0).key if cell.block_size > 1 else cell.key


def _cell(name: str, cell: Cell, rows: Sequence[Record], reference: Sequence[Record], plan: Plan) -> dict[str, Any]:
    """One setting on one set; estimates are [value, low, high, n]."""
    seed = plan.seed
    tokens, passes = [r["tokens"] for r in rows], [r["passes"] for r in rows]
    graded = [r for r in rows if r["correct"] is not None]
    at_one = {r["id"]: r["correct"] for r in reference}
    changes = [float(r["correct"]) - float(at_one[r["id"]]) for r in graded if at_one.get(r["id"]) is not None]
    histogram = [sum(column) for column in zip(*(r["accepted"] for r in rows), strict=True)]
    estimates = {
        "tokens_per_pass": metrics.ratio(tokens, passes, seed),
        "accuracy": metrics.proportion(sum(r["correct"] for r in graded), len(graded)),
        "accuracy_change": metrics.mean(changes, seed),
        "agreement": metrics.mean([r["agreement"] for r in rows], seed),
        "log_likelihood": _per_token(rows, "log_likelihood", seed),
        "base_log_likelihood": _per_token(rows, "base_log_likelihood", seed),
    }
    return {
        "set": name,
        "algorithm": cell.algorithm,
        "block_size": cell.block_size,
        "threshold": cell.threshold,
        "guesses": cell.guesses(plan.guesses),
        "n": len(rows),
        "tokens": sum(tokens),
        "passes": sum(passes),
        "ended": sum(r["finish_reason"] == "eos" for r in rows),
        "same_as_tau_1": sum(r["agreement"] == 1.0 for r in rows),
        **{key: estimate.to_list() if estimate.n else None for key, estimate in estimates.items()},
        "accepted": histogram,
    }


def _per_token(rows: Sequence[Record], key: str, seed: int) -> metrics.Estimate:
    read = [r for r in rows if r[key] is not None]
    return metrics.ratio([r[key] for r in read], [r["tokens"] for r in read], seed)


def _calibration(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Reliability bins and calibration error for each set, D, rule and position; bins of all units add up."""
    merged: dict[tuple[str, int, str, int], metrics.Bins] = {}
    for record in records:
        for rule, positions in record["calibration"].items():
            for position, sums in positions.items():
                key = record["set"], record["block_size"], rule, int(position)
                bins = metrics.Bins(sums["count"], sums["confidence"], sums["right"])
                merged.setdefault(key, metrics.Bins.empty()).merge(bins)
    out = []
    for (name, d, rule, position), bins in sorted(merged.items()):
        out.append(
            {
                "set": name,
                "block_size": d,
                "algorithm": rule,
                "position": position,
                "n": bins.n,
                "ece": None if math.isnan(bins.ece) else round(bins.ece, 6),
                "count": bins.count,
                "confidence": [
                    round(c / n, 6) if n else None for c, n in zip(bins.confidence, bins.count, strict=True)
                ],
                "right": bins.right,
            }
        )
    return out


def _answers(plan: Plan, rows: dict[tuple[str, str], list[Record]]) -> list[dict[str, Any]]:
    """Every answer once: an item's different texts, and for each cell which of them, in how many tokens and passes.

    A cell's row is [text, tokens, passes, correct, agreement].
    """
    out = []
    for task in plan.sets:
        by_item: dict[str, dict[str, Record]] = defaultdict(dict)
        for cell in plan.cells:
            for row in rows[task.name, cell.key]:
                by_item[row["id"]][cell.key] = row
        for item in task.items:
            if item.id not in by_item:
                continue
            texts = list(dict.fromkeys(row["text"] for row in by_item[item.id].values()))
            place = {text: i for i, text in enumerate(texts)}
            cells = {
                key: [place[r["text"]], r["tokens"], r["passes"], r["correct"], round(r["agreement"], 4)]
                for key, r in by_item[item.id].items()
            }
            out.append({"set": task.name, "id": item.id, "prompt": item.prompt, "texts": texts, "cells": cells})
    return out
