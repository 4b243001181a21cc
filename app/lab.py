"""The trade-off lab: a live τ on measured curves, sweeps of one's own, and what stands behind them.

The shipped sweep is drawn at once, without a model. The τ slider moves its marker in the browser; a small handler says
the same in a sentence.
"""

from __future__ import annotations

import hashlib
import html
import json
import logging
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from app import lab_runs, wire
from app.lab_text import another_model, code, what_tau_does
from app.plots import details, style, trade_off
from app.runs import House
from sdlm_core import SDLMError, Trace, builtin
from sdlm_core.evaluate.tasks import Item, TaskSet, load_set

log = logging.getLogger(__name__)

ASSETS = Path(__file__).parent.parent / "assets"
DOWNLOADS = tempfile.TemporaryDirectory(prefix="sdlm-lab-")  # gone when the app ends; a folder a browser session
RULES = [("probability", "prob_conf"), ("entropy", "entropy_conf")]
SPEEDS = [("tokens per pass", "tokens_per_pass"), ("wall clock", "wall_clock")]
QUALITIES = [("right answers", "accuracy"), ("agreement with τ 1", "agreement"), ("log-likelihood", "log_likelihood")]
LOOKS = [("my last answer in the Watch tab", "answer"), ("the sweep", "sweep")]
FAMILIES = ["SDLM-3B", "SDLM-32B", "AR baselines"]
BENCHMARKS = ["GSM8K", "MATH", "HumanEval+"]
EMPTY: dict[str, Any] = {"model": "builtin", "cells": [], "calibration": [], "wall_clock": [], "settings": {"sets": []}}

# The marker follows the slider without a word to the server; layout.meta holds the curve it runs on.
MOVE = """(tau) => {
  const gd = document.querySelector("#lab-plot .js-plotly-plot"), meta = gd && gd.layout && gd.layout.meta;
  if (!meta || !window.Plotly || !meta.curve.length) return [];
  const c = meta.curve;
  let i = c.findIndex((p) => tau <= p[0]);
  if (i < 0) i = c.length - 1;
  const [b, a] = [c[i], c[Math.max(0, i - 1)]];
  const s = b[0] > a[0] ? Math.min(1, Math.max(0, (tau - a[0]) / (b[0] - a[0]))) : 0;
  const at = (k) => a[k] + s * (b[k] - a[k]);
  if (gd.data[meta.marker].x[0] !== at(1) || gd.data[meta.marker].y[0] !== at(2))
    window.Plotly.restyle(gd, { x: [[at(1)]], y: [[at(2)]] }, [meta.marker]);
  return [];
}"""
RESIZE = """() => { setTimeout(() => document.querySelectorAll("#lab .js-plotly-plot").forEach(
  (gd) => gd.offsetParent && window.Plotly.Plots.resize(gd)), 60); return []; }"""
# The buttons that start a sweep go grey in the browser, at the click: two sweeps at once would each write over the
# other's results. Stop is alive only meanwhile.
BUSY = """() => [false, false, true].map((interactive) => ({ __type__: "update", interactive }))"""
READY = BUSY.replace("[false, false, true]", "[true, true, false]")
# Nobody knows the right answer to a visitor's prompt, so its quality is the agreement with τ 1.
NOT_GRADED = """(quality) => quality === "accuracy" ? "agreement" : quality"""
CSS = (
    style.CSS
    + "#lab .controls { gap: .5rem; } #lab .say p { font-size: 1.05rem; line-height: 1.5; }"
    + "#lab .js-plotly-plot { min-width: 0; } #lab progress { accent-color: #7a63d1; width: 12rem; }"
)


@lru_cache(maxsize=1)
def shipped() -> dict[str, Any]:
    """The built-in model's sweep, or an empty one where it has not been made."""
    return _read(ASSETS / "sweeps" / "builtin.json") or EMPTY


@lru_cache(maxsize=1)
def published() -> dict[str, Any]:
    """The paper's figures."""
    return _read(ASSETS / "published" / "results.json") or {}


@lru_cache(maxsize=1)
def training_log() -> list[dict[str, Any]]:
    """The lines of the built-in model's training log."""
    path = builtin.ADAPTER / "training_log.jsonl"
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError):
        return []


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def draw(
    task: str, rule: str, d: int, speed: str, quality: str, families: list[str], benchmark: str, tau: float,
    results: list[lab_runs.Result],
) -> go.Figure:  # fmt: skip
    """The plot for the controls as they stand."""
    return trade_off.trade_off(
        shipped(), task, speed, quality, (rule, int(d)), float(tau), published(), benchmark, families,
        lab_runs.as_points(results),
    )  # fmt: skip


def say(house: House, task: str, rule: str, d: int, tau: float) -> str:
    """What the current τ buys and costs, and whether that is said of the model that this page runs."""
    said = what_tau_does(shipped(), task, rule, int(d), float(tau))
    return said + another_model(shipped()["model"], house.status().get("model"))


def behind(
    task: str, rule: str, d: int, tau: float, results: list[lab_runs.Result], answer: Trace | None = None
) -> tuple[Any, Any, Any, str]:
    """Reliability, accepted lengths, the way along an answer, and whose they are.

    They come from the given answer of the chat, else from the visitor's last sweep, else from the shipped one. What is
    right is known from τ 1 only, so an answer at another setting has no reliability and that of the sweep stays.
    """
    if answer is not None:
        own = lab_runs.measure(answer, [answer], Item("your answer", ""))
        counts = [own["accepted"].count(n) for n in range(1, answer.block_size + 1)]
        whose = f"Your last answer: {own['label']}, {own['tokens']} tokens in {own['passes']} passes."
        if own["judged"]:
            trust = details.reliability(lab_runs.reliability_rows([own]))
        else:
            trust, _, _, where = behind(task, rule, d, tau, results)
            whose += f" The first picture is not of it, for τ 1 says what is right. {where}"
        return (
            trust,
            details.accepted_lengths(counts),
            details.along_the_answer(own["accepted"], answer.block_size),
            whose,
        )
    if results:
        last = [r for r in results if r["sweep"] == results[-1]["sweep"]]
        rated = [r for r in last if r["algorithm"] in ("prob_conf", "entropy_conf")]
        shown = min(rated or last, key=lambda r: abs((r["threshold"] or 0) - float(tau)))
        same = [r for r in last if r["label"] == shown["label"]]
        counts = [sum(r["accepted"].count(n) for r in same) for n in range(1, shown["block_size"] + 1)]
        # Several τ meet the same candidates again and again, so only the run at τ 1 is asked about confidence.
        at_one = [r for r in rated if r["threshold"] == 1.0]
        where = f"Your last sweep: {shown['label']}, "
        where += "1 prompt." if len(same) == 1 else f"{len(same)} prompts; “Along the answer” draws the first of them."
        return (
            details.reliability(lab_runs.reliability_rows(at_one)),
            details.accepted_lengths(counts),
            details.along_the_answer(shown["accepted"], shown["block_size"]),
            where + " Move τ to look at another of its runs.",
        )
    sweep = shipped()
    rows = [r for r in sweep["calibration"] if (r["set"], r["block_size"], r["algorithm"]) == (task, int(d), rule)]
    cells = [c for c in sweep["cells"] if (c["set"], c["algorithm"], c["block_size"]) == (task, rule, int(d))]
    cell = min(cells, key=lambda c: abs(c["threshold"] - float(tau)), default=None)
    at = f", τ {cell['threshold']:g}." if cell else ", not measured."
    where = f"The shipped sweep of {code(sweep['model'])}: {task}, D {d}{at}"
    return (
        details.reliability(rows),
        details.accepted_lengths(cell["accepted"] if cell else []),
        style.nothing("Sweep a prompt to see its passes one after the other.", 120),
        where,
    )


def build(house: House, tab: gr.Tab) -> None:
    """Lay out the tab and wire it."""
    with gr.Column(elem_id="lab"):
        gr.HTML(f"<style>{CSS}</style>", padding=False)
        gr.Markdown(
            "## What a threshold buys, and what it costs\n"
            f"Each point is a setting of the model {code(shipped()['model'])}, measured on held-out prompts that it "
            "was never trained on. Further right is faster; further up is better."
        )
        results = gr.State([])
        changed = gr.State(0.0)  # when the results last changed; of the results themselves Gradio would hash every bit
        noticed = gr.State(0.0)  # the last such time at which the pictures turned to the sweep
        with gr.Row(elem_classes="controls"):
            rule = gr.Radio(RULES, value="prob_conf", label="Rule", min_width=180)
            d = gr.Radio([2, 4, 8], value=8, label="D, candidates a pass", min_width=150)
            task = gr.Radio(["problems", "chat"], value="problems", label="Prompts", min_width=150)
            speed = gr.Radio(SPEEDS, value="tokens_per_pass", label="Speed", min_width=190)
            quality = gr.Radio(QUALITIES, value="accuracy", label="Quality", min_width=260)
        tau = gr.Slider(0.5, 1.0, value=0.9, step=0.01, label="τ: keep candidates surer than this", elem_id="lab-tau")
        sentence = gr.Markdown(say(house, "problems", "prob_conf", 8, 0.9), elem_id="lab-say", elem_classes="say")
        plot = gr.Plot(
            draw("problems", "prob_conf", 8, "tokens_per_pass", "accuracy", [], "GSM8K", 0.9, []),
            show_label=False, container=False, elem_id="lab-plot",
        )  # fmt: skip
        with gr.Row(elem_classes="controls"):
            families = gr.CheckboxGroup(
                FAMILIES, label="Published, arXiv 2509.24007 (tokens per pass and right answers only)", min_width=320
            )
            benchmark = gr.Dropdown(BENCHMARKS, value="GSM8K", label="on", min_width=140)
        gr.Markdown("### Sweep it yourself\nEach sweep decodes autoregressively, at seven τ, and self-speculatively.")
        with gr.Row():
            prompt = gr.Textbox(
                "Explain in a few sentences why leaves change color in autumn.",
                label="A prompt", max_length=4000, scale=3, min_width=260, elem_id="lab-prompt",
            )  # fmt: skip
            count = gr.Slider(2, lab_runs.MAX_PROBLEMS, value=6, step=1, label="Held-out problems", min_width=200)
        with gr.Row():
            one = gr.Button("Sweep this prompt", variant="primary", elem_id="lab-one")
            many = gr.Button("Sweep this problem set", elem_id="lab-many")
            stop = gr.Button("Stop", interactive=False, elem_id="lab-stop")
            clear = gr.Button("Forget my runs")
        status = gr.HTML("", elem_id="lab-status", padding=False)
        with gr.Row():
            as_csv = gr.DownloadButton("My runs as CSV", interactive=False)
            as_json = gr.DownloadButton("My runs as JSON", interactive=False)
        first = behind("problems", "prob_conf", 8, 0.9, [])
        gr.Markdown(
            "### Why a threshold works\nIf candidates with a confidence of 0.8 turn out right in 80 % of cases, then "
            "at τ 0.8 even the least sure kept token differs in at most about 20 % of cases from what the model would "
            "have written one token at a time; most kept tokens are far surer."
        )
        look = gr.Radio(LOOKS, value="answer", label="Look at", elem_id="lab-look")
        source = gr.Markdown(first[3], elem_id="lab-source")
        with gr.Row():
            with gr.Column(min_width=320):
                gr.Markdown("**Is it as sure as it is right?** The first candidate is τ 1's own choice and left out.")
                trust = gr.Plot(first[0], show_label=False, container=False)
            with gr.Column(min_width=320):
                gr.Markdown("**How many tokens a pass keeps**")
                lengths = gr.Plot(first[1], show_label=False, container=False)
        gr.Markdown("**Along the answer:** easy stretches go by in leaps")
        along = gr.Plot(first[2], show_label=False, container=False)
        gr.Markdown(
            "### How `builtin` was trained\nLoss at each position in the block; the further ahead, the harder. "
            "It jumps where more chat, which is hard to guess, came into the data."
        )
        gr.Plot(details.training_loss(training_log(), published()), show_label=False, container=False)

    view = [task, rule, d, speed, quality, families, benchmark, tau, results]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def look_behind(
        request: gr.Request, task: str, rule: str, d: int, tau: float, results: list[lab_runs.Result], wanted: str
    ) -> tuple[Any, Any, Any, str]:
        """`behind` for what the visitor wants to look at."""
        answer = lab_runs.last_answer(house, wire.owner_of(request)) if wanted == "answer" else None
        trust, lengths, along, where = behind(task, rule, d, tau, results, answer)
        if wanted == "answer" and answer is None:
            where += " Ask in the Watch tab to see your answer here; one from before a reload is not known to this tab."
        return trust, lengths, along, where

    pictures: dict[str, Any] = {
        "fn": look_behind,
        "inputs": [task, rule, d, tau, results, look],
        "outputs": [trust, lengths, along, source],
        "queue": False,
        **quiet,
    }
    tab.select(None, None, None, js=RESIZE, api_visibility="private")  # plots drawn while hidden have no width
    tab.select(**pictures)  # there may be a new answer
    look.change(**pictures)
    # One event for all that changes the plot, so that the last drawing is the one that stays.
    drawing = [c.change for c in (task, rule, d, speed, quality, families, benchmark, changed)]
    gr.on(drawing, draw, view, plot, queue=False, trigger_mode="always_last", **quiet)
    saying = [tab.select, *(c.change for c in (task, rule, d, tau, changed))]
    gr.on(
        saying, lambda *values: say(house, *values), [task, rule, d, tau], sentence,
        queue=False, trigger_mode="always_last", **quiet,
    )  # fmt: skip
    for control in (task, rule, d):
        control.change(**pictures)
    task.change(lambda t: "accuracy" if t == "problems" else "agreement", task, quality, queue=False, **quiet)
    tau.change(None, tau, None, js=MOVE, api_visibility="private")
    tau.release(**pictures)
    plot.change(None, tau, None, js=MOVE, api_visibility="private")

    async def follow(
        prompts: TaskSet, owner: str, rule: str, d: int, results: list[lab_runs.Result]
    ) -> AsyncIterator[tuple[Any, ...]]:
        """A sweep's news as the page's values; whatever goes wrong becomes a sentence."""
        known = list(results)
        number = 1 + max((r["sweep"] for r in known), default=0)
        dropped = 0
        try:
            async for update in lab_runs.sweep(house, prompts, rule, int(d), owner):
                new = [{**r, "sweep": number} for r in update.results]
                dropped += max(0, len(known) + len(new) - lab_runs.KEEP_RESULTS)
                known = (known + new)[-lab_runs.KEEP_RESULTS :]
                said = _bar(update.sentence + _dropped(dropped), update.done)
                if new:
                    yield said, known, time.monotonic()
                else:
                    yield said, gr.skip(), gr.skip()
        except SDLMError as error:
            yield html.escape(str(error)), known, gr.skip()
        except Exception as error:
            log.exception("A sweep failed")
            yield f"The sweep failed ({type(error).__name__}). The server's log says more.", known, gr.skip()

    async def sweep_prompt(request: gr.Request, text: str, *values: Any) -> AsyncIterator[tuple[Any, ...]]:
        prompts = TaskSet("your prompt", (Item("your prompt", str(text)),), lab_runs.MAX_NEW_TOKENS)
        async for news in follow(prompts, wire.owner_of(request), *values):
            yield news

    async def sweep_problems(request: gr.Request, number: float, *values: Any) -> AsyncIterator[tuple[Any, ...]]:
        problems = load_set("problems", max(1, min(lab_runs.MAX_PROBLEMS, int(number))))
        async for news in follow(problems, wire.owner_of(request), *values):
            yield news

    buttons = [one, many, stop]
    one.click(None, quality, quality, js=NOT_GRADED, api_visibility="private")
    running: list[Any] = []
    for button, function, source_of in ((one, sweep_prompt, prompt), (many, sweep_problems, count)):
        begun = button.click(None, None, buttons, js=BUSY, api_visibility="private")
        event = begun.then(
            function, [source_of, rule, d, results], [status, results, changed], concurrency_limit=None, **quiet
        )
        event.then(_turn_to_sweep, [changed, noticed], [look, noticed], queue=False, **quiet).then(**pictures)
        event.then(_files, results, [as_csv, as_json], queue=False, **quiet)
        for over in (event.then, event.failure):
            over(None, None, buttons, js=READY, api_visibility="private")
        running.append(event)
    # First the end of the stream, then the word for it: a message under way must not overwrite it.
    stopped = stop.click(None, None, None, cancels=running, queue=False, **quiet)
    stopped = stopped.then(lambda: "Stopped.", None, status, queue=False, **quiet)
    stopped.then(_files, results, [as_csv, as_json], queue=False, **quiet)
    stopped.then(_turn_to_sweep, [changed, noticed], [look, noticed], queue=False, **quiet).then(**pictures)
    cleared = clear.click(None, None, None, cancels=running, queue=False, **quiet)
    # In the queue, for only of its events Gradio tells the page that they changed a state.
    cleared = cleared.then(lambda: ([], "", 0.0), None, [results, status, changed], **quiet)
    cleared.then(_files, results, [as_csv, as_json], queue=False, **quiet)
    cleared.then(**pictures)
    for over in (stopped.then, cleared.then):
        over(None, None, buttons, js=READY, api_visibility="private")


def _bar(sentence: str, done: float) -> str:
    """Progress as a bar and in words."""
    return f'<progress max="1" value="{done:.3f}"></progress> {html.escape(sentence)}'


def _dropped(runs: int) -> str:
    """What a visitor is told when a sweep has pushed out runs."""
    if not runs:
        return ""
    return f" {lab_runs.KEEP_RESULTS} runs are kept, so your oldest {runs} made room for these."


def _turn_to_sweep(changed: float, noticed: float) -> tuple[Any, Any]:
    """What to look at when a sweep has ended: the sweep, if there are results that nobody was turned to."""
    return ("sweep", changed) if changed > noticed else (gr.skip(), gr.skip())


def leave(owner: str) -> None:
    """Delete what a browser session had to download."""
    shutil.rmtree(_downloads(owner), ignore_errors=True)


def _downloads(owner: str) -> Path:
    """A browser session's folder. What the browser calls itself does not become a path."""
    return Path(DOWNLOADS.name) / hashlib.sha256(owner.encode()).hexdigest()


def _files(results: list[lab_runs.Result], request: gr.Request) -> tuple[Any, Any]:
    """The session's runs as two files to download."""
    if not results:
        return gr.DownloadButton(interactive=False), gr.DownloadButton(interactive=False)
    folder = _downloads(wire.owner_of(request))
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "sdlm-runs.csv", folder / "sdlm-runs.json"
    paths[0].write_text(lab_runs.to_csv(results), encoding="utf-8")
    paths[1].write_text(lab_runs.to_json(results), encoding="utf-8")
    return tuple(gr.DownloadButton(value=str(path), interactive=True) for path in paths)  # type: ignore[return-value]
