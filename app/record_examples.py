"""Records the runs that the stage shows before anyone has asked anything: python -m app.record_examples

They are made by the real model and written to assets/examples; run it again after the built-in model has changed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import sdlm_core

FOLDER = Path(__file__).parent.parent / "assets" / "examples"
EXAMPLES = {"1-grams": "How many grams are 3 kilograms and 550 grams?"}


def main() -> None:
    """Decode each example prompt and write its trace."""
    parser = argparse.ArgumentParser(prog="python -m app.record_examples", description=__doc__)
    parser.add_argument("--model", default="builtin", help="model to record (default: %(default)s)")
    parser.add_argument("--threshold", type=float, default=0.6, help="τ of the recordings (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=120, help="longest answer (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write (default: %(default)s)")
    arguments = parser.parse_args()

    lm = sdlm_core.load_model(arguments.model)
    config = sdlm_core.DecodeConfig(threshold=arguments.threshold, max_new_tokens=arguments.tokens)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, prompt in EXAMPLES.items():
        sdlm_core.decode(lm, "warm up", sdlm_core.DecodeConfig(max_new_tokens=8))
        trace = sdlm_core.decode(lm, [{"role": "user", "content": prompt}], config)
        path = arguments.folder / f"{name}.json"
        path.write_text(trace.to_json(), encoding="utf-8")
        print(f"{path}: {len(trace.passes)} passes, {trace.tokens_per_pass:.2f} tokens a pass")


if __name__ == "__main__":
    main()
