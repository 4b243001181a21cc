"""A made-up sweep with believable numbers, and a made-up training log."""

from __future__ import annotations

import math
from typing import Any

TAUS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


def make_sweep(model: str = "made-up") -> dict[str, Any]:
    """Every rule and D on problems and chat: the surer a rule, the slower and the better."""
    cells, clock = [], []
    for name, n in (("problems", 160), ("chat", 60)):
        settings: list[tuple[str, int, float | None]] = [("autoregressive", 1, None)]
        for d in (2, 4, 8):
            settings += [(rule, d, tau) for rule in ("prob_conf", "entropy_conf") for tau in TAUS]
            settings.append(("self_speculative", d, None))
        for rule, d, tau in settings:
            eager = 0.0 if tau is None else (1 - tau) ** 0.5 * (1.15 if rule == "entropy_conf" else 1)
            x = 1 + (d - 1) * (0.75 * eager if name == "problems" else 0.3 * eager)
            x = 1 + (d - 1) * 0.5 if rule == "self_speculative" else x
            accuracy = 0.86 - 0.3 * eager**2.2 * math.log2(max(d, 1) + 1) / 3
            passes = round(n * 60 / x)
            cells.append(
                {
                    "set": name, "algorithm": rule, "block_size": d, "threshold": tau, "n": n, "tokens": n * 60,
                    "passes": passes, "ended": n, "same_as_tau_1": n // 2,
                    "tokens_per_pass": [x, x * 0.95, x * 1.05, n],
                    "accuracy": [accuracy, accuracy - 0.055, accuracy + 0.05, n] if name == "problems" else None,
                    "accuracy_change": [accuracy - 0.86, accuracy - 0.9, accuracy - 0.82, n],
                    "agreement": [1 - 0.5 * eager, 1 - 0.56 * eager, 1 - 0.45 * eager, n],
                    "log_likelihood": [-0.6 - eager, -0.7 - eager, -0.5 - eager, n] if name == "chat" else None,
                    "base_log_likelihood": None,
                    "accepted": [round(passes / 2**i / 2) for i in range(d)],
                }
            )  # fmt: skip
            clock.append(
                {
                    "set": name, "algorithm": rule, "block_size": d, "threshold": tau,
                    "speedup": [x * 0.8, x * 0.75, x * 0.85, 4], "tokens_per_second": [50 * x, 48 * x, 52 * x, 4],
                    "tokens_per_pass": [x, x * 0.95, x * 1.05, 4],
                }
            )  # fmt: skip
    calibration = [
        {
            "set": name, "block_size": d, "algorithm": rule, "position": position, "n": 1000,
            "ece": 0.02 * position, "count": [10 * (i + 1) for i in range(10)],
            "confidence": [0.05 + 0.1 * i for i in range(10)],
            "right": [round(10 * (i + 1) * min(1, (0.05 + 0.1 * i) * (1.1 - 0.04 * position))) for i in range(10)],
        }
        for name in ("problems", "chat")
        for d in (2, 4, 8)
        for rule in ("prob_conf", "entropy_conf")
        for position in range(1, d + 1)
    ]  # fmt: skip
    return {
        "format": "sdlm-sweep", "version": 1, "complete": True, "definitions": {"accuracy": "share of right answers"},
        "settings": {"sets": [{"name": "problems", "n": 160}, {"name": "chat", "n": 60}]},
        "cells": cells, "calibration": calibration, "wall_clock": clock, "answers": [], "model": model,
        "device": "CPU, 2 threads", "created": "2026-11-22T00:00:00+00:00", "command": "python -m sdlm_core sweep",
        "versions": {"torch": "2"}, "seed": 0,
    }  # fmt: skip


def make_log(steps: int = 900, block_size: int = 8) -> list[dict[str, Any]]:
    """Losses that fall, the later a position the higher."""
    return [
        {
            "step": step,
            "rows": step * 2000,
            **{
                f"loss_pos_{i}": (0.2 + 0.3 * i**0.8) * (1 + 3 / (1 + step / 40)) + 0.1 * math.sin(step * i)
                for i in range(1, block_size + 1)
            },
        }
        for step in range(1, steps)
    ]
