"""Pictures of the page's main states: python -m app.screenshots

Starts the app, drives it in a headless Chromium and writes assets/screenshots. Needs playwright and a Chromium, as the
tests do.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "assets" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, TABLET, PHONE = (1440, 900), (1024, 768), (390, 844)
PROMPT = "A baker makes 5 trays of 12 rolls and sells 38. How many rolls are left?"
FINISHED = "['done', 'stopped', 'failed'].includes(document.querySelector('#stage .sdlm').dataset.status)"


def browser_options() -> dict[str, Any]:
    """How to start Chromium: the system's if there is one, else playwright's own."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    return {"args": SWITCHES} if path is None else {"args": SWITCHES, "executable_path": path}


@contextlib.contextmanager
def running_app(model: str, program: str = "app.py", **environment: str) -> Iterator[str]:
    """The app (or a program with its options) in a process of its own on a free port; gives its address."""
    with running_process(model, program, **environment) as (address, _):
        yield address


@contextlib.contextmanager
def running_process(model: str, program: str = "app.py", **environment: str) -> Iterator[tuple[str, int]]:
    """The same; gives its address and its process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, program, "--model", model, "--port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment)
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"The app ended with status {process.returncode} before it served a page.")
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address, process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


class Camera:
    """A browser page of one size and theme, and the pictures taken of it."""

    def __init__(self, browser: Any, address: str, folder: Path, size: tuple[int, int], dark: bool = False) -> None:
        width, height = size
        self.page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
        self.folder = folder
        self.page.goto(address + ("?__theme=dark" if dark else "?__theme=light"))
        self.page.wait_for_selector("#stage .row:not([hidden])", timeout=60_000)
        self.page.wait_for_selector("#stage .model[data-state=ready]", timeout=180_000)

    def ask(self, threshold: float, algorithm: str = "prob_conf") -> None:
        """Send the prompt and wait for the answer."""
        self.do(
            "s.whatIf.set(v[0]); s.compose.algorithm.value = v[1]; s.compose.length.set(64)", [threshold, algorithm]
        )
        self.page.fill("#stage textarea", PROMPT)
        self.page.click("#stage .go")
        self.page.wait_for_function(FINISHED, timeout=180_000)

    def seek(self, fraction: float) -> None:
        """Show the run up to a part of its passes."""
        self.do("s.timeline.seek(Math.max(1, Math.round(v * s.timeline.length)))", fraction)

    def judge(self, threshold: float) -> None:
        """Move τ, without resting on it."""
        self.do("s.whatIf.set(v); s._judge(v)", threshold)

    def do(self, script: str, value: Any = None) -> None:
        """Run a line of script with the stage as `s` and a value as `v`."""
        self.page.evaluate(
            f"(v) => {{ const s = document.querySelector('#stage .sdlm').parentNode.stage; {script}; }}", value
        )

    def race(self) -> None:
        """Run the race tab's three runs and their replay."""
        self.page.click("button[role=tab]:has-text('Race')")
        self.page.fill("#race textarea", PROMPT)
        self.page.evaluate("document.querySelector('#race .sdlm').parentNode.race.compose.length.set(48)")
        self.page.click("#race .go")
        self.page.wait_for_selector("#race .timeline button:not([disabled])", timeout=300_000)

    def lab(self) -> None:
        """Open the trade-off lab and wait until its plots are drawn."""
        self.page.click("button[role=tab]:has-text('Trade-off lab')")
        self.page.wait_for_selector("#lab-plot .js-plotly-plot .scatterlayer", timeout=60_000)
        self.page.wait_for_timeout(1500)  # plots drawn while the tab was hidden take its width

    def take(self, name: str, whole: bool = False) -> None:
        """Write one picture."""
        self.page.mouse.move(2, 2)
        self.page.wait_for_timeout(350)
        path = self.folder / f"{name}.png"
        self.page.screenshot(path=path, full_page=whole)
        print(f"{path}  {path.stat().st_size // 1024} KB")


def take_all(address: str, folder: Path, threshold: float) -> None:
    """All pictures, one browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**browser_options())
        first = Camera(browser, address, folder, DESKTOP)
        first.take("first-paint")
        first.ask(threshold)
        first.seek(0.6)
        first.take("watch")
        first.page.locator("#stage .row.current .chip:visible").last.click()
        first.take("card")
        first.page.keyboard.press("Escape")
        first.seek(1)
        first.judge(max(0.0, threshold - 0.3))
        first.take("what-if")
        first.judge(threshold)
        first.do("s._toggleBig()")
        first.seek(0.6)
        first.page.evaluate("window.scrollTo(0, 0)")
        first.take("big")
        first.do("s._toggleBig()")
        first.do("s._clear()")
        first.ask(threshold, "self_speculative")
        first.take("self-speculative")
        first.race()
        first.take("race", whole=True)
        first.lab()
        first.take("lab", whole=True)
        first.page.close()

        dark = Camera(browser, address, folder, DESKTOP, dark=True)
        dark.ask(threshold)
        dark.seek(0.6)
        dark.take("watch-dark")
        dark.race()
        dark.take("race-dark", whole=True)
        dark.lab()
        dark.take("lab-dark", whole=True)
        dark.page.close()

        for name, size in (("tablet", TABLET), ("phone", PHONE)):
            for theme in ("", "-dark"):
                small = Camera(browser, address, folder, size, dark=bool(theme))
                small.ask(threshold)
                small.seek(0.6)
                small.page.evaluate("window.scrollTo(0, 0)")
                small.take(f"watch-{name}{theme}")
                if name == "phone":
                    small.page.evaluate("document.querySelector('#stage .right').scrollIntoView()")
                    small.take(f"stage-{name}{theme}")
                if not theme:
                    small.race()
                    small.take(f"race-{name}", whole=True)
                    small.lab()
                    small.take(f"lab-{name}", whole=True)
                small.page.close()
        browser.close()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m app.screenshots", description=__doc__)
    parser.add_argument("--model", default="builtin", help="model to show (default: %(default)s)")
    parser.add_argument("--threshold", type=float, default=0.9, help="τ of the pictures (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with running_app(arguments.model) as address:
        take_all(address, arguments.folder, arguments.threshold)


if __name__ == "__main__":
    main()
