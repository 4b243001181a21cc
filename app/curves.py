"""The measured curves that the stage draws beside τ: tokens per pass against agreement, from the shipped sweep."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from app import limits
from app.lab import data
from app.plots.trade_off import curve, points


@lru_cache
def measured_curves() -> dict[str, Any]:
    """Plain JSON values: the model that was measured, the kind of its guesses, and for each set of prompts, rule and D
    its points [τ, tokens per pass, agreement with τ 1] by rising τ, with the number of answers n."""
    sweep = data.shipped()
    curves = []
    for task in (s["name"] for s in sweep["settings"]["sets"]):
        found = points(sweep, task, "tokens_per_pass", "agreement")
        for rule, d in dict.fromkeys((p.algorithm, p.block_size) for p in found):
            own = [[p.threshold, p.x[0], p.y[0]] for p in curve(found, rule, d)]
            if rule in limits.BY_CONFIDENCE and len(own) > 1:
                n = max(int(p.y[3] or 0) for p in found if (p.algorithm, p.block_size) == (rule, d))
                curves.append({"task": task, "algorithm": rule, "block_size": d, "n": n, "points": own})
    return {"model": sweep["model"], "guesses": sweep["settings"].get("guesses", "independent"), "curves": curves}
