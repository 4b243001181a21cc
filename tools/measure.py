"""What the page costs, measured: python -m tools.measure

One prompt is decoded by `sdlm_core.stream` alone and through the page, in turn, and the medians are compared; then a
trace of 1,000 passes is grown and scrubbed in an exported file. Needs playwright and a Chromium.
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
from app.theatre import theatre
from tools.page import StagePage, browser_options

PROMPT = "Write a long story about a lighthouse keeper and the sea."

GROW = """
async () => {
  const stage = document.querySelector('.sdlm').parentNode.stage, { passes } = stage.state.record;
  const last = passes[passes.length - 1], script = [], all = [];
  stage.dispatch({ type: 'start', record: stage.state.record.plus([]) });
  const keepInView = stage.answer.on.drawn, lane = stage.passes.node;
  for (let i = 0; i < 100; i++) {
    await new Promise(requestAnimationFrame);
    const began = performance.now();
    const { record } = stage.state;
    stage.answer.on.drawn = null;
    stage.dispatch({ type: 'passes', passes: [{ ...last, index: record.passes.length, start: record.tokens }] });
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
    const { length } = stage.state.record.passes;
    stage.dispatch({ type: 'seek', cursor: 1 + Math.round((length - 1) * (0.5 - 0.5 * Math.cos(now / 300))) });
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
    from app.model import ServedModel
    from app.sessions import Sessions

    model = ServedModel(lambda: lm)
    model.load()
    blocks, address = pages.launch(Sessions(model))
    config = sdlm_core.DecodeConfig(threshold=0.8, max_new_tokens=tokens)
    messages = [{"role": "user", "content": PROMPT}]
    sdlm_core.decode(lm, messages, replace(config, max_new_tokens=16))
    alone: list[float] = []
    through: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**browser_options())
        stage = StagePage(browser, address, (1440, 900))
        session = stage.page.context.new_cdp_session(stage.page)
        session.send("Network.enable")
        sizes: list[int] = []
        session.on("Network.dataReceived", lambda event: sizes.append(event["dataLength"]))
        for _ in range(rounds):
            began = time.perf_counter()
            for _ in sdlm_core.stream(lm, messages, config):
                pass
            alone.append(time.perf_counter() - began)
            stage.clear()
            stage.write(PROMPT, config.threshold, tokens)
            stage.page.wait_for_timeout(500)
            sizes.clear()
            began = time.perf_counter()
            stage.send()
            through.append(time.perf_counter() - began)
        stage.page.wait_for_timeout(500)
        trace = sdlm_core.Trace.from_json(stage.trace())
        browser.close()
    blocks.close()
    model.close()
    return alone, through, sum(sizes) / len(trace.passes), trace


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tools.measure", description=__doc__)
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
