"""The components of the lab's tab, in the order of the page. What they set going is in `tab`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app import limits
from app.lab import data, pictures
from app.lab.pictures import Setting
from app.lab.text import code, with_first
from app.plots import details, style
from app.quick_gradio import gr
from app.sessions import Sessions

RULES = [("probability", "prob_conf"), ("entropy", "entropy_conf")]
SPEEDS = [("tokens per pass", "tokens_per_pass"), ("wall clock", "wall_clock")]
QUALITIES = [("right answers", "accuracy"), ("agreement with τ 1", "agreement"), ("log-likelihood", "log_likelihood")]
SOURCES = [("my last answer in the Watch tab", "answer"), ("the sweep", "sweep")]
FAMILIES = ["SDLM-3B", "SDLM-32B", "AR baselines"]
BENCHMARKS = ["GSM8K", "MATH", "HumanEval+"]
FIRST = Setting("problems", "prob_conf", 8, 0.9)  # what the controls point at when the page opens

CSS = (
    style.CSS
    + "#lab .controls { gap: .5rem; } #lab .say p { font-size: 1.05rem; line-height: 1.5; }"
    + "#lab .js-plotly-plot { min-width: 0; } #lab progress { accent-color: #7a63d1; width: 12rem; }"
)


@dataclass(frozen=True)
class Controls:
    """What chooses a curve, and the plot that shows it."""

    rule: gr.Radio
    block_size: gr.Radio
    task: gr.Radio
    speed: gr.Radio
    quality: gr.Radio
    tau: gr.Slider
    sentence: gr.Markdown
    plot: gr.Plot
    families: gr.CheckboxGroup
    benchmark: gr.Dropdown

    @property
    def setting(self) -> list[Any]:
        """The components in the order of `Setting`."""
        return [self.task, self.rule, self.block_size, self.tau]


@dataclass(frozen=True)
class SweepForm:
    """What starts and stops a sweep, and what is left of it."""

    prompt: gr.Textbox
    count: gr.Slider
    one: gr.Button
    many: gr.Button
    stop: gr.Button
    clear: gr.Button
    status: gr.HTML
    as_csv: gr.DownloadButton
    as_json: gr.DownloadButton
    results: gr.State  # of this visitor
    changed: gr.State  # when they last changed; of the results themselves Gradio would hash every bit
    noticed: gr.State  # the last such time at which the figures below turned to the sweep


@dataclass(frozen=True)
class DetailPlots:
    """The figures behind the trade-off."""

    source: gr.Radio
    caption: gr.Markdown
    reliability: gr.Plot
    lengths: gr.Plot
    along: gr.Plot

    @property
    def outputs(self) -> list[Any]:
        """The components in the order of `Details`."""
        return [self.reliability, self.lengths, self.along, self.caption]


def intro() -> None:
    """What the tab is about."""
    gr.HTML(f"<style>{CSS}</style>", padding=False)
    gr.Markdown(
        "## What a threshold buys, and what it costs\n"
        f"Each point is a setting of the model {code(data.shipped()['model'])}, measured on held-out prompts that it "
        "was never trained on. Further right is faster; further up is better."
    )


def controls(sessions: Sessions) -> Controls:
    """The choice of a curve, τ, and the plot."""
    with gr.Row(elem_classes="controls"):
        rule = gr.Radio(RULES, value=FIRST.rule, label="Rule", min_width=180)
        block_size = gr.Radio([2, 4, 8], value=FIRST.block_size, label="D, guesses per pass", min_width=150)
        task = gr.Radio(["problems", "chat"], value=FIRST.task, label="Prompts", min_width=150)
        speed = gr.Radio(SPEEDS, value="tokens_per_pass", label="Speed", min_width=190)
        quality = gr.Radio(QUALITIES, value="accuracy", label="Quality", min_width=260)
    label = "τ: keep guesses surer than this"
    tau = gr.Slider(0.5, 1.0, value=FIRST.tau, step=0.01, label=label, elem_id="lab-tau")
    sentence = gr.Markdown(pictures.sentence(sessions, FIRST), elem_id="lab-say", elem_classes="say")
    first = pictures.trade_off_figure(FIRST, "tokens_per_pass", "accuracy", [], "GSM8K", [])
    plot = gr.Plot(first, show_label=False, container=False, elem_id="lab-plot")
    with gr.Row(elem_classes="controls"):
        label = "Published, arXiv 2509.24007 (tokens per pass and right answers only)"
        families = gr.CheckboxGroup(FAMILIES, label=label, min_width=320)
        benchmark = gr.Dropdown(BENCHMARKS, value="GSM8K", label="on", min_width=140)
    return Controls(rule, block_size, task, speed, quality, tau, sentence, plot, families, benchmark)


def sweep_form(sessions: Sessions) -> SweepForm:
    """A visitor's own sweeps."""
    how = "Each sweep decodes autoregressively, at seven τ, and self-speculatively."
    gr.Markdown(f"### Sweep it yourself\n{how}{with_first([model.name for model in sessions.models])}")
    with gr.Row():
        prompt = gr.Textbox(
            "Explain in a few sentences why leaves change color in autumn.",
            label="A prompt", max_length=limits.MAX_PROMPT_CHARACTERS, scale=3, min_width=260, elem_id="lab-prompt",
        )  # fmt: skip
        count = gr.Slider(2, limits.MAX_SWEEP_PROMPTS, value=6, step=1, label="Held-out problems", min_width=200)
    with gr.Row():
        one = gr.Button("Sweep this prompt", variant="primary", elem_id="lab-one")
        many = gr.Button("Sweep this problem set", elem_id="lab-many")
        stop = gr.Button("Stop", interactive=False, elem_id="lab-stop")
        clear = gr.Button("Forget my runs")
    status = gr.HTML("", elem_id="lab-status", padding=False)
    with gr.Row():
        as_csv = gr.DownloadButton("My runs as CSV", interactive=False)
        as_json = gr.DownloadButton("My runs as JSON", interactive=False)
    states = gr.State([]), gr.State(0.0), gr.State(0.0)
    return SweepForm(prompt, count, one, many, stop, clear, status, as_csv, as_json, *states)


def detail_plots() -> DetailPlots:
    """Why a threshold works."""
    first = pictures.details_of_sweep(FIRST, [])
    gr.Markdown(
        "### Why a threshold works\nIf guesses with a confidence of 0.8 turn out right in 80 % of cases, then "
        "at τ 0.8 even the least sure kept token differs in at most about 20 % of cases from what the model would "
        "have written one token per pass; most kept tokens are far surer."
    )
    source = gr.Radio(SOURCES, value="answer", label="Look at", elem_id="lab-look")
    caption = gr.Markdown(first[3], elem_id="lab-source")
    with gr.Row():
        with gr.Column(min_width=320):
            gr.Markdown("**Is it as sure as it is right?** The first guess is τ 1's own choice and left out.")
            reliability = gr.Plot(first[0], show_label=False, container=False)
        with gr.Column(min_width=320):
            gr.Markdown("**How many tokens a pass keeps**")
            lengths = gr.Plot(first[1], show_label=False, container=False)
    gr.Markdown("**Along the answer:** where it is easy, a pass keeps many tokens")
    along = gr.Plot(first[2], show_label=False, container=False)
    return DetailPlots(source, caption, reliability, lengths, along)


def training() -> None:
    """How the built-in model was trained."""
    gr.Markdown(
        "### How `builtin` was trained\nLoss at each position in the block; the further ahead, the harder. "
        "It jumps where more chat, which is hard to guess, came into the data."
    )
    gr.Plot(details.training_loss(data.training_log(), data.published()), show_label=False, container=False)
