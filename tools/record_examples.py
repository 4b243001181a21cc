"""Records the runs that the page shows before anyone has asked anything: python -m tools.record_examples

They are made by the real model and written to assets/examples; run it again after the built-in model has changed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import sdlm_core
from app.request import race_configs
from tools.page import PROMPT, ROOT

FOLDER = ROOT / "assets" / "examples"


def main() -> None:
    """Decode the prompt for the stage and three ways for the race, and write the traces."""
    parser = argparse.ArgumentParser(prog="python -m tools.record_examples", description=__doc__)
    parser.add_argument("--model", default="builtin", help="model to record (default: %(default)s)")
    parser.add_argument("--threshold", type=float, default=0.9, help="τ of the recordings (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=120, help="longest answer (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write (default: %(default)s)")
    arguments = parser.parse_args()

    config = sdlm_core.DecodeConfig(threshold=arguments.threshold, max_new_tokens=arguments.tokens)
    lanes = {f"race/{i}-{lane.algorithm}": lane for i, lane in enumerate(race_configs(config), start=1)}
    lm = sdlm_core.load_model(arguments.model)
    messages = [{"role": "user", "content": PROMPT}]
    for name, settings in ({"1-rolls": config} | lanes).items():
        sdlm_core.decode(lm, messages, settings)  # warm up
        trace = sdlm_core.decode(lm, messages, settings)
        path = arguments.folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(trace.to_json(), encoding="utf-8")
        print(f"{path}: {len(trace.passes)} passes, {trace.tokens_per_pass:.2f} tokens per pass")


if __name__ == "__main__":
    main()
