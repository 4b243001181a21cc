"""The lab's figures for the controls as they stand: the trade-off, and the three behind it with their caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from app import limits
from app.lab import data, results
from app.lab.results import Result
from app.lab.text import another_model, code, what_tau_does
from app.plots import details, style, trade_off
from app.sessions import Sessions
from sdlm_core import Trace
from sdlm_core.evaluate.tasks import Item


@dataclass(frozen=True)
class Setting:
    """The curve that the controls point at: a set of prompts, a rule, D and τ."""

    task: str
    rule: str
    block_size: int
    tau: float


Details = tuple[go.Figure, go.Figure, go.Figure, str]  # reliability, accepted lengths, along the answer, and whose


def trade_off_figure(
    setting: Setting, speed: str, quality: str, families: list[str], benchmark: str, own: list[Result]
) -> go.Figure:
    """Speed against quality; own: the visitor's results."""
    return trade_off.trade_off(
        data.shipped(), setting.task, speed, quality, (setting.rule, setting.block_size), setting.tau,
        data.published(), benchmark, families, results.as_points(own),
    )  # fmt: skip


def sentence(sessions: Sessions, setting: Setting) -> str:
    """What the current τ buys and costs, and whether that was measured with the model that this page runs."""
    sweep = data.shipped()
    effect = what_tau_does(sweep, setting.task, setting.rule, setting.block_size, setting.tau)
    return effect + another_model(sweep["model"], sessions.model.name)


def details_of_answer(answer: Trace, setting: Setting, own: list[Result]) -> Details:
    """The figures behind an answer of the chat.

    What is right is known from τ 1 only, so an answer at another setting has no reliability; that of the sweep stays.
    """
    result = results.measure(answer, [answer], Item("your answer", ""))
    caption = f"Your last answer: {result['label']}, {result['tokens']} tokens in {result['passes']} passes."
    if result["judged"]:
        trust = details.reliability(results.reliability_rows([result]))
    else:
        trust, _, _, where = details_of_sweep(setting, own)
        caption += f" The first picture is of a sweep, for only an answer at τ 1 shows what was right. {where}"
    along = details.along_the_answer(result["accepted"], answer.block_size)
    return trust, details.accepted_lengths(_lengths([result], answer.block_size)), along, caption


def details_of_sweep(setting: Setting, own: list[Result]) -> Details:
    """The figures behind the visitor's last sweep, else behind the shipped one."""
    return _of_own_sweep(setting, own) if own else _of_shipped_sweep(setting)


def _of_own_sweep(setting: Setting, own: list[Result]) -> Details:
    last = [r for r in own if r["sweep"] == own[-1]["sweep"]]
    rated = [r for r in last if r["algorithm"] in limits.BY_CONFIDENCE]
    shown = min(rated or last, key=lambda r: abs((r["threshold"] or 0) - setting.tau))
    same = [r for r in last if r["label"] == shown["label"]]
    # Several τ meet the same candidates again and again, so reliability takes the run at τ 1 alone.
    at_one = [r for r in rated if r["threshold"] == 1.0]
    prompts = "1 prompt." if len(same) == 1 else f"{len(same)} prompts; “Along the answer” draws the first of them."
    return (
        details.reliability(results.reliability_rows(at_one)),
        details.accepted_lengths(_lengths(same, shown["block_size"])),
        details.along_the_answer(shown["accepted"], shown["block_size"]),
        f"Your last sweep: {shown['label']}, {prompts} Move τ to look at another of its runs.",
    )


def _of_shipped_sweep(setting: Setting) -> Details:
    sweep, wanted = data.shipped(), (setting.task, setting.rule, setting.block_size)
    rows = [r for r in sweep["calibration"] if _key(r) == wanted]
    cells = [c for c in sweep["cells"] if _key(c) == wanted]
    cell = min(cells, key=lambda c: abs(c["threshold"] - setting.tau), default=None)
    at = f", τ {cell['threshold']:g}." if cell else ", not measured."
    return (
        details.reliability(rows),
        details.accepted_lengths(cell["accepted"] if cell else []),
        style.nothing("Sweep a prompt to see its passes one after the other.", 120),
        f"The shipped sweep of {code(sweep['model'])}: {setting.task}, D {setting.block_size}{at}",
    )


def _key(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["set"], row["algorithm"], row["block_size"]


def _lengths(own: Sequence[Result], block_size: int) -> list[int]:
    """How many passes kept 1, 2, … D tokens."""
    return [sum(r["accepted"].count(n) for r in own) for n in range(1, block_size + 1)]
