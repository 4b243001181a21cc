"""The trade-off lab's tab: what its components set going.

The shipped sweep is drawn at once, without a model. The τ slider moves its marker in the browser; a small handler puts
the same into a sentence.
"""

from __future__ import annotations

import contextlib
import html
import logging
import time
from collections.abc import AsyncGenerator
from typing import Any

from app import handlers, limits
from app.lab import downloads, layout, pictures
from app.lab.layout import Controls, DetailPlots, SweepForm
from app.lab.pictures import Details, Setting
from app.lab.results import Result
from app.lab.sweep import sweep
from app.quick_gradio import gr
from app.sessions import Sessions
from app.visitors import client_of
from sdlm_core import SDLMError
from sdlm_core.evaluate.tasks import Item, TaskSet, load_set

log = logging.getLogger(__name__)

# The marker follows the slider without asking the server; layout.meta holds the curve it runs on.
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
# The buttons that start a sweep go grey in the browser, at the click. Stop is enabled only meanwhile.
BUSY = """() => [false, false, true].map((interactive) => ({ __type__: "update", interactive }))"""
READY = BUSY.replace("[false, false, true]", "[true, true, false]")
# The newest sweep of each session in progress. Two at once would each write over the other's results, so an older one
# ends when it sees a newer one: a quick second click comes before the buttons are grey.
_newest: dict[str, object] = {}
# Nobody knows the right answer to a visitor's prompt, so its quality is the agreement with τ 1.
NOT_GRADED = """(quality) => quality === "accuracy" ? "agreement" : quality"""
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}  # of every event here


def build(sessions: Sessions, tab: gr.Tab) -> None:
    """Lay out the tab and connect it."""
    with gr.Column(elem_id="lab"):
        layout.intro()
        controls = layout.controls(sessions)
        form = layout.sweep_form(sessions)
        plots = layout.detail_plots()
        layout.training()
    tab.select(None, None, None, js=RESIZE, api_visibility="private")  # plots drawn while hidden have no width
    _connect_controls(sessions, tab, controls, form)
    redraw = _connect_details(sessions, tab, controls, form, plots)
    _connect_sweeps(sessions, controls, form, plots, redraw)


def end_session(session: str) -> None:
    """Delete what a browser session had to download."""
    downloads.delete(session)
    _newest.pop(session, None)


def _connect_controls(sessions: Sessions, tab: gr.Tab, controls: Controls, form: SweepForm) -> None:
    """The plot, its marker and the sentence follow the controls."""

    def draw(*values: Any) -> Any:
        return pictures.trade_off_figure(_setting(*values[:4]), *values[4:])

    def write(*values: Any) -> str:
        return pictures.sentence(sessions, _setting(*values))

    c = controls
    view = [*c.setting, c.speed, c.quality, c.families, c.benchmark, form.results]
    # One event for all that changes the plot, so that the last drawing is the one that stays.
    changing = (c.task, c.rule, c.block_size, c.speed, c.quality, c.families, c.benchmark, form.changed)
    gr.on([x.change for x in changing], draw, view, c.plot, queue=False, trigger_mode="always_last", **QUIET)
    writing = [tab.select, *(x.change for x in (*c.setting, form.changed))]
    gr.on(writing, write, c.setting, c.sentence, queue=False, trigger_mode="always_last", **QUIET)
    c.task.change(
        lambda task: "accuracy" if task == "problems" else "agreement", c.task, c.quality, queue=False, **QUIET
    )
    c.tau.change(None, c.tau, None, js=MOVE, api_visibility="private")
    c.plot.change(None, c.tau, None, js=MOVE, api_visibility="private")


def _connect_details(
    sessions: Sessions, tab: gr.Tab, controls: Controls, form: SweepForm, plots: DetailPlots
) -> dict[str, Any]:
    """The figures behind follow the controls, the chat and the sweeps; returns the event that draws them."""

    def draw(request: gr.Request, source: str, own: list[Result], *values: Any) -> Details:
        setting = _setting(*values)
        answer = sessions.last_answer(handlers.session_of(request)) if source == "answer" else None
        if answer is not None:
            return pictures.details_of_answer(answer, setting, own)
        *figures, caption = pictures.details_of_sweep(setting, own)
        if source == "answer":
            caption += (
                " Ask in the Watch tab to see your answer here. "
                "An answer from before you reloaded the page cannot be shown."
            )
        return *figures, caption  # type: ignore[return-value]

    inputs = [plots.source, form.results, *controls.setting]
    redraw = {"fn": draw, "inputs": inputs, "outputs": plots.outputs, "queue": False, **QUIET}
    tab.select(**redraw)  # there may be a new answer
    plots.source.change(**redraw)
    for control in (controls.task, controls.rule, controls.block_size):
        control.change(**redraw)
    controls.tau.release(**redraw)
    return redraw


def _connect_sweeps(
    sessions: Sessions, controls: Controls, form: SweepForm, plots: DetailPlots, redraw: dict[str, Any]
) -> None:
    """The buttons that start, stop and forget sweeps."""

    async def sweep_prompt(request: gr.Request, text: str, *values: Any) -> AsyncGenerator[tuple[Any, ...]]:
        prompts = TaskSet("your prompt", (Item("your prompt", str(text)),), limits.MAX_SWEEP_TOKENS)
        async with contextlib.aclosing(sweep_values(sessions, prompts, request, *values)) as updates:
            async for update in updates:
                yield update

    async def sweep_problems(request: gr.Request, number: float, *values: Any) -> AsyncGenerator[tuple[Any, ...]]:
        problems = load_set("problems", max(1, min(limits.MAX_SWEEP_PROMPTS, int(number))))
        async with contextlib.aclosing(sweep_values(sessions, problems, request, *values)) as updates:
            async for update in updates:
                yield update

    def finish(event: Any) -> None:
        """What follows a sweep, however it ended."""
        turned = event.then(_turn_to_sweep, states, [plots.source, form.noticed], queue=False, **QUIET)
        turned.then(**redraw)
        event.then(_files, form.results, files, queue=False, **QUIET)

    states, files, buttons = [form.changed, form.noticed], [form.as_csv, form.as_json], [form.one, form.many, form.stop]
    outputs = [form.status, form.results, form.changed]
    quality = controls.quality
    form.one.click(None, quality, quality, js=NOT_GRADED, api_visibility="private")
    running: list[Any] = []
    for button, function, source in ((form.one, sweep_prompt, form.prompt), (form.many, sweep_problems, form.count)):
        begun = button.click(None, None, buttons, js=BUSY, api_visibility="private")
        inputs = [source, controls.rule, controls.block_size, form.results]
        event = begun.then(function, inputs, outputs, concurrency_limit=None, **QUIET)
        finish(event)
        for over in (event.then, event.failure):
            over(_buttons, None, buttons, queue=False, **QUIET)
        running.append(event)
    # First the end of the stream, then the sentence: an update on its way must not overwrite it.
    stopped = form.stop.click(None, None, None, cancels=running, queue=False, **QUIET)
    stopped = stopped.then(lambda: "Stopped.", None, form.status, queue=False, **QUIET)
    finish(stopped)
    cleared = form.clear.click(None, None, None, cancels=running, queue=False, **QUIET)
    # In Gradio's queue, since only then is the page informed that a state has changed.
    cleared = cleared.then(lambda: ("", [], 0.0), None, outputs, **QUIET)
    cleared.then(_files, form.results, files, queue=False, **QUIET)
    cleared.then(**redraw)
    for over in (stopped.then, cleared.then):
        over(None, None, buttons, js=READY, api_visibility="private")


async def sweep_values(
    sessions: Sessions, prompts: TaskSet, request: gr.Request, rule: str, block_size: int, own: list[Result]
) -> AsyncGenerator[tuple[Any, ...]]:
    """A sweep as values of status, results and changed; whatever goes wrong becomes a sentence. It ends where a newer
    one of the session begins."""
    known, me, session = list(own), object(), handlers.session_of(request)
    _newest[session] = me
    number = 1 + max((r["sweep"] for r in known), default=0)
    dropped = 0
    try:
        swept = sweep(sessions, prompts, rule, int(block_size), session, client_of(request))
        async with contextlib.aclosing(swept) as updates:
            async for update in updates:
                if _newest.get(session) is not me:
                    yield gr.skip(), gr.skip(), gr.skip()  # without a value Gradio would empty the components
                    break
                new = [{**r, "sweep": number} for r in update.results]
                dropped += max(0, len(known) + len(new) - limits.KEEP_RESULTS)
                known = (known + new)[-limits.KEEP_RESULTS :]
                status = _progress(update.sentence + _dropped(dropped), update.done)
                yield (status, known, time.monotonic()) if new else (status, gr.skip(), gr.skip())
    except SDLMError as error:
        yield html.escape(str(error)), known, gr.skip()
    except Exception as error:
        log.exception("A sweep failed")
        yield f"The sweep failed ({type(error).__name__}). The server's log says more.", known, gr.skip()
    finally:
        if _newest.get(session) is me:
            del _newest[session]


def _buttons(request: gr.Request) -> list[Any]:
    """The buttons of the sweeps when one has ended: as before it, unless a newer one is in progress."""
    busy = handlers.session_of(request) in _newest
    return [gr.update(interactive=interactive) for interactive in (not busy, not busy, busy)]


def _setting(task: str, rule: str, block_size: int, tau: float) -> Setting:
    """The components' values as a setting."""
    return Setting(task, rule, int(block_size), float(tau))


def _progress(sentence: str, done: float) -> str:
    """Progress as a bar and in words."""
    return f'<progress max="1" value="{done:.3f}"></progress> {html.escape(sentence)}'


def _dropped(runs: int) -> str:
    """What a visitor reads when a sweep has pushed out earlier runs."""
    if not runs:
        return ""
    return f" {limits.KEEP_RESULTS} runs are kept, so your oldest {runs} made room for these."


def _turn_to_sweep(changed: float, noticed: float) -> tuple[Any, Any]:
    """What to look at when a sweep has ended: the sweep, if it has results that the figures have not turned to yet."""
    return ("sweep", changed) if changed > noticed else (gr.skip(), gr.skip())


def _files(own: list[Result], request: gr.Request) -> tuple[Any, Any]:
    """The session's runs as two files to download."""
    if not own:
        return gr.DownloadButton(interactive=False), gr.DownloadButton(interactive=False)
    as_csv, as_json = downloads.write(handlers.session_of(request), own)
    return tuple(gr.DownloadButton(value=str(path), interactive=True) for path in (as_csv, as_json))  # type: ignore[return-value]
