"""What the page costs, measured: python -m app.measure

Beside `sdlm_core.stream` alone, one prompt is decoded through the page, in turn, and the medians are compared; then
a trace of 1,000 passes is grown and scrubbed in an exported file. Needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import sdlm_core
from app.screenshots import FINISHED, browser_options
from app.theatre import theatre

PROMPT = "Write a long story about a lighthouse keeper and the sea."
STAGE = "document.querySelector('.sdlm').parentNode.stage"

GROW = """
async () => {
  const stage = document.querySelector('.sdlm').parentNode.stage, record = stage.record;
  const last = record.passes[record.passes.length - 1], script = [], all = [];
  stage.timeline.seek(Infinity);
  const keepInView = stage.answer.on.drawn, lane = stage.passes.node;
  for (let i = 0; i < 100; i++) {
    await new Promise(requestAnimationFrame);
    const began = performance.now();
    record.add({ ...last, index: record.passes.length, start: record.tokens });
    stage.answer.on.drawn = null;
    stage.timeline.grown(true);
    stage.answer._draw();
    stage.cache._draw();
    stage.passes.drawRows();
    const drawn = performance.now();
    keepInView(stage.answer.ghost);
    stage.passes.scroll();
    script.push(drawn - began);
    all.push(performance.now() - began);
  }
  const middle = (list) => list.sort((a, b) => a - b)[list.length >> 1];
  return [middle(script), middle(all)];
}
"""

SCRUB = """
() => new Promise((done) => {
  const stage = document.querySelector('.sdlm').parentNode.stage, began = performance.now();
  let frames = 0;
  const step = () => {
    const now = performance.now() - began;
    if (now > 4000) return done(frames / (now / 1000));
    frames++;
    stage.timeline.seek(1 + Math.round((stage.timeline.length - 1) * (0.5 - 0.5 * Math.cos(now / 300))));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})
"""


def page_costs(trace: sdlm_core.Trace) -> dict[str, float]:
    """Script, layout and frames of a long trace in an exported file."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "replay.html"
        path.write_text(theatre.replay_page(trace), encoding="utf-8")
        browser = playwright.chromium.launch(**browser_options())
        page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        page.goto(path.as_uri())
        page.wait_for_selector(".row:not([hidden])")
        frames = page.evaluate(SCRUB)
        script, all_ = page.evaluate(GROW)
        elements = page.evaluate("document.querySelectorAll('*').length")
        browser.close()
    return {
        "script_ms_a_pass": script,
        "with_layout_ms_a_pass": all_,
        "scrub_frames_a_second": frames,
        "elements": elements,
    }


def stretched(trace: sdlm_core.Trace, passes: int) -> sdlm_core.Trace:
    """The trace's passes again and again, up to a number of them."""
    made: list[sdlm_core.Pass] = []
    start = 0
    for i in range(passes):
        p = trace.passes[i % (len(trace.passes) - 1)]  # the last one may hold an end token
        made.append(replace(p, index=i, start=start))
        start += p.accepted
    token_ids = [i for p in made for i in p.accepted_ids]
    return replace(trace, passes=tuple(made), token_ids=token_ids, finish_reason="length")


def overhead(lm: Any, tokens: int, rounds: int) -> tuple[list[float], list[float], float, sdlm_core.Trace]:
    """Seconds of an answer by `stream` alone and through the page, in turn; bytes a pass on the wire; a trace."""
    from playwright.sync_api import sync_playwright

    from app import page as pages
    from app.runs import House

    house = House(lambda: lm)
    house.open()
    blocks = pages.build(house)
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **pages.launch_options())
    config = sdlm_core.DecodeConfig(threshold=0.8, max_new_tokens=tokens)
    messages = [{"role": "user", "content": PROMPT}]
    sdlm_core.decode(lm, messages, replace(config, max_new_tokens=16))
    alone: list[float] = []
    through: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**browser_options())
        page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        page.goto(address)
        page.wait_for_selector("#stage .model[data-state=ready]")
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        sizes: list[int] = []
        session.on("Network.dataReceived", lambda event: sizes.append(event["dataLength"]))
        for _ in range(rounds):
            began = time.perf_counter()
            for _ in sdlm_core.stream(lm, messages, config):
                pass
            alone.append(time.perf_counter() - began)
            page.evaluate(
                f"([t, n]) => {{ {STAGE}._clear(); {STAGE}.whatIf.set(t); {STAGE}.compose.length.set(n); }}",
                [0.8, tokens],
            )
            page.fill("#stage textarea", PROMPT)
            page.wait_for_timeout(500)
            sizes.clear()
            began = time.perf_counter()
            page.click("#stage .go")
            page.wait_for_function("!['empty', 'done'].includes(document.querySelector('#stage .sdlm').dataset.status)")
            page.wait_for_function(FINISHED, timeout=600_000)
            through.append(time.perf_counter() - began)
        page.wait_for_timeout(500)
        trace = sdlm_core.Trace.from_json(page.evaluate(f"JSON.stringify({STAGE}.record.toJSON())"))
        browser.close()
    blocks.close()
    house.close()
    return alone, through, sum(sizes) / len(trace.passes), trace


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m app.measure", description=__doc__)
    parser.add_argument("--model", default="builtin", help="model to decode with (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=200, help="length of the answer (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="answers each way (default: %(default)s)")
    arguments = parser.parse_args()
    lm = sdlm_core.load_model(arguments.model)
    alone, through, wire, trace = overhead(lm, arguments.tokens, arguments.rounds)
    a, b = statistics.median(alone), statistics.median(through)
    result = {
        "tokens": len(trace.token_ids),
        "passes": len(trace.passes),
        "alone_s": [round(x, 3) for x in alone],
        "through_the_page_s": [round(x, 3) for x in through],
        "overhead_of_medians": f"{100 * (b / a - 1):.1f} %",
        "wire_bytes_a_pass": round(wire),
        **{name: round(value, 2) for name, value in page_costs(stretched(trace, 1000)).items()},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
