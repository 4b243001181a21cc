"""Speed against quality: the curves of a sweep, the published points, a visitor's own runs, and the τ marker."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from app.plots import style
from sdlm_core.evaluate.table import NAMES

MARKER = "current τ"
SPEEDS = {"tokens_per_pass": "tokens per pass", "wall_clock": "wall-clock speed-up over autoregressive (×)"}
QUALITIES = {
    "accuracy": "right answers (%)",
    "agreement": "agreement with τ 1",
    "log_likelihood": "log-likelihood per token (nats)",
}
Estimate = Sequence[float | None]  # value, low, high, n


@dataclass(frozen=True)
class Point:
    """A setting in the plane, its n that of each measure: few answers are timed. threshold None where no τ is used."""

    algorithm: str
    block_size: int
    threshold: float | None
    x: Estimate
    y: Estimate


def points(sweep: dict[str, Any], task: str, speed: str, quality: str) -> list[Point]:
    """The settings of a sweep that were measured in both ways, accuracy in per cent."""
    clock = {
        (row["algorithm"], row["block_size"], row["threshold"]): row["speedup"]
        for row in sweep.get("wall_clock", [])
        if row["set"] == task
    }
    out = []
    for cell in sweep["cells"]:
        key = cell["algorithm"], cell["block_size"], cell["threshold"]
        x = cell["tokens_per_pass"] if speed == "tokens_per_pass" else clock.get(key)
        y = cell[quality]
        if cell["set"] != task or not x or not y:
            continue
        scale = 100.0 if quality == "accuracy" else 1.0
        scaled = [None if v is None else scale * v for v in y[:3]]
        out.append(Point(*key, x, [*scaled, y[3]]))
    return out


def curve(found: Sequence[Point], algorithm: str, block_size: int) -> list[Point]:
    """One rule at one D, by rising τ."""
    own = [p for p in found if p.algorithm == algorithm and p.block_size == block_size and p.threshold is not None]
    return sorted(own, key=lambda p: p.threshold or 0.0)


def between(points_of_curve: Sequence[Point], tau: float) -> tuple[float, float] | None:
    """The place of τ on a curve: measured, or on the line between measured neighbours; the ends hold beyond them."""
    known = [(p.threshold or 0.0, p.x[0] or 0.0, p.y[0] or 0.0) for p in points_of_curve]
    if not known:
        return None
    if tau <= known[0][0]:
        return known[0][1:]
    for (t0, x0, y0), (t1, x1, y1) in itertools.pairwise(known):
        if tau <= t1:
            share = (tau - t0) / (t1 - t0)
            return x0 + share * (x1 - x0), y0 + share * (y1 - y0)
    return known[-1][1:]


def trade_off(
    sweep: dict[str, Any],
    task: str = "problems",
    speed: str = "tokens_per_pass",
    quality: str = "accuracy",
    chosen: tuple[str, int] = ("prob_conf", 8),
    tau: float | None = 0.9,
    published: dict[str, Any] | None = None,
    benchmark: str = "GSM8K",
    families: Sequence[str] = (),
    own: Sequence[dict[str, Any]] = (),
) -> go.Figure:
    """The plot of the lab.

    chosen: the rule and D whose curve carries the marker and is drawn boldly. families: which published figures to
    show, of "SDLM-3B", "SDLM-32B" and "AR baselines", on `benchmark`; they only have tokens per pass and accuracy.
    own: a visitor's runs, dictionaries with tokens_per_pass, wall_clock, accuracy (0 to 1), agreement, label, n, …
    The curve under the marker is in layout.meta, so that the page moves the marker without asking anyone.
    """
    found = points(sweep, task, speed, quality)
    fig = style.figure(SPEEDS[speed], QUALITIES[quality], 460)
    for algorithm, d in dict.fromkeys((p.algorithm, p.block_size) for p in found if p.threshold is not None):
        _add_curve(fig, [p for p in found if (p.algorithm, p.block_size) == (algorithm, d)], chosen, speed)
    for algorithm in dict.fromkeys(p.algorithm for p in found if p.threshold is None):
        _add_curve(fig, [p for p in found if p.algorithm == algorithm], chosen, speed)
    if published and speed == "tokens_per_pass" and quality == "accuracy":
        for family in families:
            _add_published(fig, published, benchmark, family)
    _add_own(fig, own, speed, quality)
    marked = curve(found, *chosen)
    place = between(marked, tau) if tau is not None else None
    fig.add_scatter(
        x=[place[0]] if place else [],
        y=[place[1]] if place else [],
        mode="markers",
        name=MARKER,
        marker={"size": 20, "symbol": "circle-open", "color": style.ACCENT, "line": {"width": 3}},
        hoverinfo="skip",
    )
    fig.update_layout(
        meta={
            "marker": len(fig.data) - 1,
            "curve": [[p.threshold, p.x[0], p.y[0]] for p in marked],
        }
    )
    fig.update_layout(legend_title={"text": f"Curves: {style.text(sweep['model'])}", "side": "top"})
    if not found:
        fig.add_annotation(text="Not measured for this set.", showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    return fig


def _add_curve(fig: go.Figure, line: list[Point], chosen: tuple[str, int], speed: str) -> None:
    algorithm, d = line[0].algorithm, line[0].block_size
    name, dash = NAMES.get(algorithm, algorithm), "dot" if algorithm == "entropy_conf" else "solid"
    line = sorted(line, key=lambda p: p.threshold or 0.0)
    bold = (algorithm, d) == chosen
    single = line[0].threshold is None  # one point a D, and no curve
    shade = style.GREY if single else style.colour(d)
    marker_symbol = {"self_speculative": "star", "autoregressive": "x"}.get(algorithm, style.symbol(d))
    low_high = "quartiles" if speed == "wall_clock" else "95 %"
    fig.add_scatter(
        x=[p.x[0] for p in line],
        y=[p.y[0] for p in line],
        mode="markers" if single else "lines+markers",
        name=name if single else f"{name}, D {d}",
        visible=True if bold or single or algorithm == chosen[0] else "legendonly",
        opacity=1.0 if bold or single else 0.65,
        line={"color": style.colour(d), "width": 3 if bold else 1.6, "dash": dash},
        marker={
            "symbol": marker_symbol,
            "size": 13 if single else 8,
            "color": [style.colour(p.block_size) for p in line],
        },
        error_x=_bars([p.x for p in line], bold, shade),
        error_y=_bars([p.y for p in line], bold, shade),
        customdata=[
            [
                (f"D {p.block_size}" if p.block_size > 1 else name) if single else f"τ {p.threshold:g}",
                _range(p.x, 2),
                _range(p.y, 3 if abs(p.y[0] or 0) < 10 else 1),
                p.x[3],
                p.y[3],
            ]
            for p in line
        ],
        hovertemplate="<b>%{customdata[0]}</b><br>speed %{customdata[1]} ("
        + low_high
        + ", n = %{customdata[3]})<br>quality %{customdata[2]} (95 %, n = %{customdata[4]})",
    )


def _bars(estimates: Sequence[Estimate], bold: bool, shade: str) -> dict[str, Any]:
    """Error bars from [value, low, high]; none where a bound is missing."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [(e[2] or e[0] or 0) - (e[0] or 0) if e[2] is not None else 0 for e in estimates],
        "arrayminus": [(e[0] or 0) - (e[1] or 0) if e[1] is not None else 0 for e in estimates],
        "thickness": 1.2 if bold else 0.7,
        "width": 0,
        "color": shade,
    }


def _add_published(fig: go.Figure, published: dict[str, Any], benchmark: str, family: str) -> None:
    """Points of the paper: open markers, dashed, grey or in their D's colour."""
    source = "arXiv 2509.24007"
    table = published["tables"]["long_form"]
    column = table["columns"].index(benchmark) if benchmark in table["columns"] else None
    ablation = published["threshold_ablation"].get({"MATH": "MATH-500"}.get(benchmark, benchmark), {})
    lines: list[tuple[str, int | None, list[tuple[float, float, str]]]] = []
    if family == "AR baselines" and column is not None:
        rows = [r for r in table["rows"] if r.get("kind") == "AR" and r["score"][column] is not None]
        lines = [(f"{r['model']} (AR)", None, [(1.0, r["score"][column], "AR baseline")]) for r in rows]
    elif family == "SDLM-3B" and ablation:
        for name, found in ablation.items():
            if name.endswith("prob_conf"):
                size = int(name[2])
                dots = [(x, y, f"τ {tau}") for (x, y), tau in zip(found, ("1", "0.98", "0.82"), strict=True)]
                lines.append((f"SDLM-3B, D {size}", size, dots))
    elif column is not None:
        for size in (4, 8):
            rows = [r for r in table["rows"] if r["model"] == family and r.get("block_size") == size]
            dots = [(r["speedup"][column], r["score"][column], f"τ {r['threshold']}") for r in rows]
            lines += [(f"{family}, D {size}", size, dots)] if dots else []
    for name, d, dots in lines:
        fig.add_scatter(
            x=[x for x, _, _ in dots],
            y=[y for _, y, _ in dots],
            mode="lines+markers",
            name=style.text(f"{name}, {benchmark} (published)"),
            line={"color": style.colour(d), "width": 1.2, "dash": "dash"},
            marker={"symbol": f"{style.symbol(d)}-open", "size": 9, "color": style.colour(d), "line": {"width": 1.6}},
            customdata=[label for _, _, label in dots],
            hovertemplate=f"<b>%{{customdata}}</b><br>{style.text(name)}, {style.text(benchmark)}"
            f"<br>%{{x:.2f}} tokens per pass, score %{{y:.1f}}<br>{source}<extra></extra>",
        )


def _add_own(fig: go.Figure, own: Sequence[dict[str, Any]], speed: str, quality: str) -> None:
    scale = 100.0 if quality == "accuracy" else 1.0
    shown = [run for run in own if run.get(speed) is not None and run.get(quality) is not None]
    if not shown:
        return
    n = "timed" if speed == "wall_clock" else "n"
    fig.add_scatter(
        x=[run[speed] for run in shown],
        y=[scale * run[quality] for run in shown],
        mode="markers",
        name="your runs",
        marker={"symbol": "diamond", "size": 11, "color": style.ACCENT, "line": {"width": 1, "color": "#ffffff"}},
        customdata=[[style.text(run["label"]), style.text(run["prompt"], 60), run[n]] for run in shown],
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<br>speed %{x:.2f}, quality %{y:.3g}"
        "<br>n = %{customdata[2]}<extra>your run</extra>",
    )


def _range(estimate: Estimate, digits: int) -> str:
    value, low, high = estimate[:3]
    if value is None:
        return "–"
    return f"{value:.{digits}f}" + ("" if low is None or high is None else f", {low:.{digits}f} to {high:.{digits}f}")
