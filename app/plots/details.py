"""What stands behind a trade-off: calibration, accepted lengths, speed along an answer, and the training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from app.plots import style


def reliability(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """Confidence against the share that was right, one line a position in the block.

    rows: position, n, ece, count, confidence (mean) and right for each bin, as in a sweep's "calibration". Position 1
    is τ 1's own choice, so it is left out. A marker's area follows the number of candidates behind it.
    """
    rows = [row for row in rows if row["position"] > 1 and row["n"]]
    if not rows:
        return style.nothing("No guesses to judge yet. Positions 2 to D count, where the answer agrees with τ 1.")
    fig = style.figure("confidence of a guess", "share that τ 1 would produce too", 400)
    fig.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": style.GREY, "dash": "dash", "width": 1}, hoverinfo="skip",
        name="as sure as right",
    )  # fmt: skip
    largest = max(max(row["count"]) for row in rows)
    last = max(row["position"] for row in rows)
    for row in rows:
        bins = [i for i, n in enumerate(row["count"]) if n]
        shares = [row["right"][i] / row["count"][i] for i in bins]
        shade = style.position_colour(row["position"], last)
        fig.add_scatter(
            x=[row["confidence"][i] for i in bins],
            y=shares,
            mode="lines+markers",
            name=f"position {row['position']} (error {row['ece']:.2f})",
            line={"color": shade, "width": 1.6},
            marker={
                "color": shade,
                "symbol": style.position_symbol(row["position"]),
                "size": [7 + 9 * (row["count"][i] / largest) ** 0.5 for i in bins],
                "opacity": 1,  # else Plotly makes markers of many sizes pale,
                "line": {"width": 0},  # and rings them in white, so that small ones lose their shape
            },
            customdata=[row["count"][i] for i in bins],
            hovertemplate=f"<b>position {row['position']}</b><br>mean confidence %{{x:.2f}}<br>right %{{y:.0%}}"
            "<br>n = %{customdata}<extra></extra>",
        )
    fig.update_xaxes(range=[-0.03, 1.03], dtick=0.2)
    fig.update_yaxes(range=[-0.03, 1.05], dtick=0.2, tickformat=".0%")
    return fig


def accepted_lengths(counts: Sequence[int]) -> go.Figure:
    """How often a pass kept 1, 2, … D tokens."""
    total = sum(counts)
    if not total:
        return style.nothing("No passes yet.")
    d = len(counts)
    fig = style.figure("tokens kept by a pass", "share of the passes", 320)
    fig.add_bar(
        x=list(range(1, d + 1)),
        y=[n / total for n in counts],
        marker={"color": [style.position_colour(i, d) for i in range(1, d + 1)]},
        customdata=list(counts),
        text=[f"{n / total:.0%}" for n in counts],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{x} tokens: %{customdata} of " + str(total) + " passes (%{y:.1%})<extra></extra>",
        showlegend=False,
    )
    fig.update_xaxes(dtick=1)
    fig.update_yaxes(tickformat=".0%", rangemode="tozero")
    return fig


def along_the_answer(accepted: Sequence[int], block_size: int) -> go.Figure:
    """Tokens kept by each pass, at their place in the answer, and the mean so far."""
    if not accepted:
        return style.nothing("No passes yet.")
    starts, total = [], 0
    for n in accepted:
        starts.append(total)
        total += n
    means = [(start + n) / (i + 1) for i, (start, n) in enumerate(zip(starts, accepted, strict=True))]
    fig = style.figure("place in the answer (tokens)", "tokens kept by the pass", 320)
    fig.add_bar(
        x=[start + n / 2 for start, n in zip(starts, accepted, strict=True)],
        y=list(accepted),
        width=list(accepted),
        marker={
            "color": [style.position_colour(min(n, block_size), block_size) for n in accepted],
            "line": {"width": 0},
        },
        opacity=0.75,
        customdata=[[i + 1, start + 1, start + n] for i, (start, n) in enumerate(zip(starts, accepted, strict=True))],
        hovertemplate="pass %{customdata[0]}: %{y} tokens (%{customdata[1]} to %{customdata[2]})<extra></extra>",
        name="one pass",
        showlegend=False,
    )
    fig.add_scatter(
        x=[start + n for start, n in zip(starts, accepted, strict=True)],
        y=means,
        mode="lines",
        name=f"mean so far: {means[-1]:.2f} at the end",
        line={"color": style.ACCENT, "width": 2.5},
        hovertemplate="after %{x} tokens: %{y:.2f} a pass<extra></extra>",
    )
    fig.update_yaxes(range=[0, block_size + 0.3], dtick=1 if block_size <= 8 else 2)
    return fig


def training_loss(
    log: Sequence[dict[str, Any]], published: dict[str, Any] | None = None, window: int = 40
) -> go.Figure:
    """Loss at each position in the block against rows trained, smoothed; the published final losses at the right.

    log: lines of a training log with rows and loss_pos_1 … loss_pos_D, as `retrofit` writes it. The published ones have
    the marker of their D; they stand above each other in the order of the positions.
    """
    steps = [row for row in log if isinstance(row.get("rows"), int | float) and "loss_pos_1" in row]
    if not steps:
        return style.nothing("No training log beside this model.")
    fig = style.figure("rows trained", "loss (nats), smoothed", 420)
    d = sum(1 for key in steps[-1] if key.startswith("loss_pos_"))
    for position in range(1, d + 1):
        values = [row.get(f"loss_pos_{position}") for row in steps]
        known = [(row["rows"], v) for row, v in zip(steps, values, strict=True) if v is not None]
        smooth = _smooth([v for _, v in known], window)
        stride = max(1, len(known) // 400)
        fig.add_scatter(
            x=[x for x, _ in known][::stride],
            y=smooth[::stride],
            mode="lines",
            name=f"position {position}",
            line={"color": style.position_colour(position, d), "width": 1.8, "dash": style.position_dash(position)},
            hovertemplate=f"position {position}: %{{y:.2f}} after %{{x:,}} rows<extra></extra>",
        )
    for name, losses in (published or {}).get("training", {}).get("final_loss_smoothed", {}).items():
        symbol = style.symbol(int(name[-1])) + "-open"
        fig.add_scatter(
            x=[steps[-1]["rows"] * (1.04 if name.endswith("4") else 1.08)] * len(losses),
            y=list(losses.values()),
            mode="markers",
            name=style.text(f"{name}, end of training (published)"),
            marker={
                "symbol": symbol,
                "size": 10,
                "line": {"width": 2},
                "color": [style.position_colour(i, d) for i in range(1, len(losses) + 1)],
            },
            customdata=list(range(1, len(losses) + 1)),
            hovertemplate=f"{style.text(name)}, position %{{customdata}}: %{{y:.2f}}"
            "<br>arXiv 2509.24007<extra></extra>",
        )
    fig.update_yaxes(rangemode="tozero")
    return fig


def _smooth(values: Sequence[float], window: int) -> list[float]:
    """Mean of the last `window` values, as the published curves are smoothed."""
    out, total = [], 0.0
    for i, value in enumerate(values):
        total += value
        if i >= window:
            total -= values[i - window]
        out.append(total / min(i + 1, window))
    return out
