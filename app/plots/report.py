"""A sweep as one HTML file that opens anywhere, without a network: the plots, the table, the settings.

`sdlm report` writes it.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io
from plotly.offline import get_plotlyjs

from app.plots import details, style, trade_off
from sdlm_core import SDLMError
from sdlm_core.assets import assets_folder
from sdlm_core.evaluate import table

PUBLISHED = assets_folder() / "published" / "results.json"
PAGE_CSS = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 "IBM Plex Sans", ui-sans-serif, system-ui, sans-serif; margin: 0 auto; padding: 1rem;
       max-width: 62rem; background: Canvas; color: CanvasText; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; white-space: nowrap; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #8884; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
"""


def draw(path: Path) -> str:
    """The whole page for a sweep's file. Raises SDLMError where the file is not what `sdlm sweep` wrote."""
    result = read(path)
    try:
        return render(result)
    except (ValueError, KeyError, TypeError) as error:
        raise SDLMError(f"{path} is not a whole sweep ({type(error).__name__}: {error}). Make it again.") from None


def render(result: dict[str, Any]) -> str:
    """The whole page. result: a sweep's JSON."""
    published = json.loads(PUBLISHED.read_text(encoding="utf-8")) if PUBLISHED.exists() else None
    parts = [f"<h1>Speed against quality: {html.escape(str(result['model']))}</h1>", f"<p>{_facts(result)}</p>"]
    biggest = max((c["block_size"] for c in result["cells"]), default=1)
    for task in result["settings"]["sets"]:
        name = task["name"]
        cells = [c for c in result["cells"] if c["set"] == name]
        if not cells:
            continue
        quality = "accuracy" if any(c["accuracy"] for c in cells) else "agreement"
        fig = trade_off.trade_off(
            result, name, quality=quality, chosen=("prob_conf", biggest), tau=None,
            published=published, families=["SDLM-3B"] if quality == "accuracy" else [],
        )  # fmt: skip
        parts += [f"<h2>{html.escape(name)}: tokens per pass against {quality}</h2>", _div(fig)]
        rows = [
            r
            for r in result["calibration"]
            if (r["set"], r["block_size"], r["algorithm"]) == (name, biggest, "prob_conf")
        ]
        if rows:
            parts += [
                f"<h2>{html.escape(name)}: is a confidence of 0.8 right in 80 %? (D {biggest}, probability)</h2>",
                _div(details.reliability(rows)),
            ]
    parts += ["<h2>All settings</h2>", _table(table.render(result))]
    parts += ["<h2>What the figures mean</h2><dl>"]
    parts += [f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in result["definitions"].items()]
    parts += ["</dl>"]
    title = html.escape(f"Sweep of {result['model']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{PAGE_CSS}{style.CSS}</style><script>{get_plotlyjs()}</script></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _facts(result: dict[str, Any]) -> str:
    sets = ", ".join(f"{s['n']} {s['name']}" for s in result["settings"]["sets"])
    versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    text = f"{sets}; {result['device']}; {result['created']}; seed {result['seed']}; {versions}."
    state = "" if result["complete"] else " This sweep is not complete."
    return f"{html.escape(text)}{state}<br><code>{html.escape(result['command'])}</code>"


def _div(fig: go.Figure) -> str:
    config = {"responsive": True, "displaylogo": False, "displayModeBar": False}
    return str(plotly.io.to_html(fig, full_html=False, include_plotlyjs=False, config=config))


def _table(markdown: str) -> str:
    lines = markdown.splitlines()
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("|")]
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows[2:])
    notes = "".join(f"<p>{html.escape(line)}</p>" for line in lines if line and not line.startswith("|"))
    return f'<div class="table"><table><tr>{head}</tr>{body}</table></div>{notes}'


def read(path: Path) -> dict[str, Any]:
    """A sweep's JSON. Raises SDLMError where the file holds something else."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SDLMError(f"{path} cannot be read as a sweep: {error}. Give what `sdlm sweep` wrote.") from None
    if not isinstance(result, dict) or result.get("format") != "sdlm-sweep" or "cells" not in result:
        raise SDLMError(f"{path} is not a sweep. Make one: sdlm sweep --output {path.name}")
    return result
