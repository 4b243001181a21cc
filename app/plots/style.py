"""How every plot looks: one layout, readable on light and dark pages and on a phone, safe for colour-blind readers.

Backgrounds are transparent. Text and grid take the page's colours by CSS, since a figure does not know the theme; lines
have mid tones that stand out on both, 3:1 or more. Nothing is shown by colour alone: D also has its marker, a rule its
dash, and a place in the block its marker or dash, or its place in the plot.
"""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go

# From the theatre's scale (viridis), its ends moved inwards so that they read on white and on black.
SCALE = ("#6a55b5", "#4a7fc1", "#2f93b0", "#1f9e94", "#2fa063", "#6b9f2b", "#9a8f14", "#c27c0e")
POSITION_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "pentagon")
POSITION_DASHES = ("solid", "dash", "dot", "dashdot")
D_COLOURS = {2: "#c9820a", 4: "#1f9e94", 8: "#7a63d1", 16: "#4a7fc1"}
D_SYMBOLS = {2: "triangle-up", 4: "square", 8: "circle", 16: "pentagon"}
GREY = "#878e99"
ACCENT = "#e4572e"

CSS = """
.js-plotly-plot text { fill: var(--body-text-color, CanvasText) !important; }
.js-plotly-plot .hoverlayer text { fill: #ffffff !important; }
.js-plotly-plot .gridlayer path { stroke: var(--border-color-primary, #8884) !important; stroke-opacity: .6; }
.js-plotly-plot .zerolinelayer path { stroke: var(--border-color-primary, #8888) !important; }
.js-plotly-plot .legend .bg { fill: transparent !important; }
"""


def colour(block_size: int | None) -> str:
    """A curve's colour by its D."""
    return D_COLOURS.get(block_size or 0, GREY)


def symbol(block_size: int | None) -> str:
    """A curve's marker by its D."""
    return D_SYMBOLS.get(block_size or 0, "diamond")


def position_colour(position: int, block_size: int) -> str:
    """The colour of a place in the block, 1 … D: from indigo, near, to ochre, far."""
    return SCALE[(position - 1) * (len(SCALE) - 1) // max(1, block_size - 1)]


def position_symbol(position: int) -> str:
    """The marker of a place in the block, 1 … D; the ninth has the first's again, in another colour."""
    return POSITION_SYMBOLS[(position - 1) % len(POSITION_SYMBOLS)]


def position_dash(position: int) -> str:
    """The line of a place in the block: unlike those of its neighbours, the same as four places on."""
    return POSITION_DASHES[(position - 1) % len(POSITION_DASHES)]


def figure(x_title: str, y_title: str, height: int = 420) -> go.Figure:
    """An empty figure with the common layout."""
    fig = go.Figure()
    axis = {"gridwidth": 1, "zeroline": False, "title": {"standoff": 10}, "automargin": True}
    fig.update_layout(
        template=None,
        height=height,
        autosize=True,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "IBM Plex Sans, ui-sans-serif, system-ui, sans-serif", "size": 13, "color": GREY},
        margin={"l": 8, "r": 12, "t": 12, "b": 8},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "font": {"size": 12}},
        hoverlabel={"bgcolor": "#20242c", "bordercolor": "#20242c", "font": {"color": "#ffffff", "size": 13}},
        hovermode="closest",
        uirevision="kept",  # what a visitor switched off in the legend stays off when the data change
        dragmode=False,  # a finger that scrolls the page must not zoom the plot
        xaxis={**axis, "title": {"text": x_title, "standoff": 10}},
        yaxis={**axis, "title": {"text": y_title, "standoff": 6}},
    )
    return fig


def text(value: Any, limit: int = 80) -> str:
    """Text from a model or a visitor, safe in a figure: Plotly reads a few HTML tags in names and hover texts."""
    short = " ".join(str(value).split())
    short = short if len(short) <= limit else short[: limit - 1] + "…"
    return html.escape(short, quote=False).replace("%{", "% {")


def nothing(sentence: str, height: int = 300) -> go.Figure:
    """A figure that says why there is nothing to draw."""
    fig = figure("", "", height)
    fig.update_xaxes(visible=False)
    fig.update_yaxes(visible=False)
    fig.add_annotation(text=text(sentence, 200), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    return fig
