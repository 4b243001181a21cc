"""The static site: recorded runs, a race, the lesson and a measured sweep as two files that need no server.

Each file holds its own scripts, styles and data, so that it opens from a disk too, and its policy lets it ask nobody
for anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app import learn
from app.plots import report
from app.theatre import theatre
from sdlm_core import Trace
from sdlm_core.assets import assets_folder

# Runs of several rules, in the order of the menu; the race's three are runs of their own too.
RUNS = ("examples/*.json", "examples/race/*.json", "lesson/threshold.json", "lesson/every-sure.json")
STYLE = """
#site nav { display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; margin-bottom: 14px; }
#site nav { font: 15px/1.4 sans-serif; }
#site nav button { font: inherit; color: inherit; background: none; border: 0; padding: 6px 4px; cursor: pointer; }
#site nav button[aria-selected=true] { border-bottom: 2px solid currentColor; font-weight: 600; }
#site nav a { color: inherit; }
#site .choice { display: block; margin: 0 0 10px; font: 15px/1.4 sans-serif; }
#site .choice select { max-width: 100%; }
body.dark #site { color: #e8e6e1; }
#site .race .compose { display: none; }
"""


def build(folder: Path) -> list[Path]:
    """Write the site into a folder, which is made if need be; returns the files: index.html and lab.html."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"index.html": index(), "lab.html": report.draw(assets_folder() / "sweeps" / "builtin.json")}
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


def index() -> str:
    """The page with the stage, the race and the lesson."""
    css, js = theatre.style() + theatre.lesson_style() + STYLE, theatre.joined("site.js")
    policy = (
        f"default-src 'none'; script-src '{theatre.digest(js)}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    text = (theatre.HERE / "site.html").read_text(encoding="utf-8")
    data = theatre.embedded(json.dumps(recordings(), ensure_ascii=False, separators=(",", ":")))
    for slot, part in (("{{policy}}", policy), ("{{css}}", css), ("{{js}}", js), ("{{data}}", data)):
        text = text.replace(slot, part)
    return text


def recordings() -> dict[str, Any]:
    """The recorded runs, the race's three lanes, and what the lesson shows, as plain JSON values."""
    paths = [path for pattern in RUNS for path in sorted(assets_folder().glob(pattern))]
    race = sorted((assets_folder() / "examples" / "race").glob("*.json"))
    return {"runs": [_trace(path) for path in paths], "race": [_trace(path) for path in race], "lesson": learn.lesson()}


def _trace(path: Path) -> dict[str, Any]:
    return Trace.from_json(path.read_text(encoding="utf-8")).to_dict()
