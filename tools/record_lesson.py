"""Records what the lesson shows beside the page's recorded runs: python -m tools.record_lesson

Written to assets/lesson by the real model and from the shipped sweep; run it again, after `tools.record_examples`, when
the built-in model has changed.
threshold.json:    the prompt decoded by τ, with independent guesses: the paper's rule, which the steps explain.
every-sure.json:   the same by another rule, which keeps all guesses up to the last one above τ.
coherent.json:     the same as threshold.json with coherent guesses, where the model has a sampler.
widths.json:       one pass of independent guesses with D = 1 … 8, each after the same tokens.
calibration.json:  how often guesses of each confidence were right, counted by the sweep.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import sdlm_core
from sdlm_core.decoding import algorithms
from tools.page import PROMPT, ROOT

FOLDER = ROOT / "assets" / "lesson"
SWEEP = ROOT / "assets" / "sweeps" / "builtin.json"
KNOWN = 4  # tokens of the answer that are there before the passes of widths.json
MESSAGES = [{"role": "user", "content": PROMPT}]


def through_last_sure(confidences: Sequence[float], threshold: float) -> int:
    """The lesson's wrong rule: all guesses up to the last one above τ are kept, at least one."""
    return max([i + 1 for i, confidence in enumerate(confidences) if confidence > threshold], default=1)


def by_threshold(lm: sdlm_core.LanguageModel, threshold: float, tokens: int, guesses: str) -> dict[str, Any]:
    """The whole run by τ, in a trace's JSON form."""
    config = sdlm_core.DecodeConfig(threshold=threshold, max_new_tokens=tokens, guesses=guesses)
    return sdlm_core.decode(lm, MESSAGES, config).to_dict()


def every_sure(lm: sdlm_core.LanguageModel, threshold: float, tokens: int) -> dict[str, Any]:
    """The run with independent guesses by the wrong rule."""
    with mock.patch.object(algorithms, "count_accepted", through_last_sure):
        return by_threshold(lm, threshold, tokens, "independent")


def widths(lm: sdlm_core.LanguageModel) -> list[dict[str, Any]]:
    """For each D the pass after KNOWN tokens, written one by one."""
    made = []
    for size in range(1, 9):
        config = sdlm_core.DecodeConfig(block_size=size, threshold=1.0, max_new_tokens=KNOWN + 1, guesses="independent")
        trace = sdlm_core.decode(lm, MESSAGES, config)
        known = [p.candidates[0].text for p in trace.passes[:KNOWN]]
        made.append(
            {"block_size": size, "known": "".join(known), "newest": known[-1], "pass": trace.passes[KNOWN].to_dict()}
        )
    return made


def calibration() -> dict[str, Any]:
    """Guesses of the sweep in ten bins of confidence: how many, and how many were what τ = 1 writes. Without each
    pass's first guess, which is what τ = 1 writes."""
    sweep = json.loads(SWEEP.read_text(encoding="utf-8"))
    cells = [
        c for c in sweep["calibration"] if (c["algorithm"], c["block_size"]) == ("prob_conf", 8) and c["position"] > 1
    ]
    total = {name: [sum(c[name][b] for c in cells) for b in range(10)] for name in ("count", "right")}
    return {"model": sweep["model"], "created": sweep["created"], "bins": 10, **total}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(prog="python -m tools.record_lesson", description=__doc__)
    parser.add_argument("--model", default="builtin", help="model to record (default: %(default)s)")
    parser.add_argument("--threshold", type=float, default=0.9, help="τ of the wrong rule (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=80, help="longest answer (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write (default: %(default)s)")
    arguments = parser.parse_args()
    lm = sdlm_core.load_model(arguments.model)
    of_run = (arguments.threshold, arguments.tokens)
    every_sure(lm, *of_run)  # warm up
    files: dict[str, Any] = {
        "threshold": by_threshold(lm, *of_run, "independent"),
        "every-sure": every_sure(lm, *of_run),
        "widths": widths(lm),
        "calibration": calibration(),
    }
    if lm.sampler is not None:
        files["coherent"] = by_threshold(lm, *of_run, "coherent")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        path = arguments.folder / f"{name}.json"
        path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"{path}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
