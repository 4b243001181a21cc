"""What the tools have in common: the app in a process of its own, a Chromium, and the page's stage worked by script.

What is known of the stage's JavaScript stands here and in `measure`, nowhere else in the tools.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BROWSERS = (
    "chromium-headless-shell",  # first: it draws no window, not even an unseen one; tests take a third less time
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SERVED_SECONDS = 180.0  # an app that serves no page for so long never will
PROMPT = "A baker makes 5 trays of 12 rolls and sells 38. How many rolls are left?"  # of pictures and recordings
STAGE = "document.querySelector('#stage .sdlm').parentNode.stage"
STATUS = "document.querySelector('#stage .sdlm').dataset.status"


def browser_options() -> dict[str, Any]:
    """How to start Chromium: the system's if there is one, else playwright's own."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    return {"args": SWITCHES} if path is None else {"args": SWITCHES, "executable_path": path}


@contextlib.contextmanager
def running_app(model: str | Sequence[str], program: str = "app.py", **environment: str) -> Iterator[str]:
    """The app (or a program with the same options) in a process of its own on a free port; yields its address.

    model: or several.
    """
    with running_process(model, program, **environment) as (address, _):
        yield address


@contextlib.contextmanager
def running_process(
    model: str | Sequence[str], program: str = "app.py", **environment: str
) -> Iterator[tuple[str, int]]:
    """The same; yields its address and its process id. Raises RuntimeError where it serves no page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    models = [f"--model={name}" for name in ([model] if isinstance(model, str) else model)]
    command = [sys.executable, program, *models, "--port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment)
    address = f"http://127.0.0.1:{port}/"
    try:
        _wait_until_served(address, process)
        yield address, process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_served(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SERVED_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"The app ended with status {process.returncode} before it served a page.")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The app served no page within {SERVED_SECONDS:.0f} seconds.")


class StagePage:
    """The page in a browser, with its stage."""

    def __init__(self, browser: Any, address: str, size: tuple[int, int], dark: bool = False) -> None:
        """browser: playwright's; size: width and height in pixels."""
        width, height = size
        self.page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
        self.page.goto(address + ("?__theme=dark" if dark else "?__theme=light"))
        self.page.wait_for_selector("#stage .row:not([hidden])", timeout=60_000)
        self.page.wait_for_selector("#stage .model[data-state=ready]", timeout=180_000)

    def do(self, script: str, value: Any = None) -> None:
        """Run lines of script with the stage as `s` and a value as `v`."""
        self.page.evaluate(f"(v) => {{ const s = {STAGE}; {script}; }}", value)

    def write(self, prompt: str, threshold: float, tokens: int, algorithm: str = "prob_conf") -> None:
        """Fill in a prompt and the settings."""
        self.do("s.dispatch({ type: 'set tau', tau: v })", threshold)
        self.do("s.compose.algorithm.set(v[0]); s.compose.length.set(v[1])", [algorithm, tokens])
        self.page.fill("#stage textarea", prompt)

    def send(self) -> None:
        """Ask, and wait for the whole answer."""
        self.page.click("#stage .go")
        self.page.wait_for_function(f"!['empty', 'done'].includes({STATUS})")
        self.page.wait_for_function(f"['done', 'stopped', 'failed'].includes({STATUS})", timeout=600_000)

    def clear(self) -> None:
        """Forget the conversation."""
        self.do("s.session.clear()")

    def seek(self, fraction: float) -> None:
        """Show the run up to a part of its passes."""
        at = "Math.max(1, Math.round(v * s.state.record.passes.length))"
        self.do(f"s.dispatch({{ type: 'seek', cursor: {at} }})", fraction)

    def judge(self, threshold: float) -> None:
        """Move τ, without resting on it."""
        self.do("s.dispatch({ type: 'judge', tau: v })", threshold)

    def toggle_big(self) -> None:
        """Switch the view for a class room on or off."""
        self.do("s.dispatch({ type: 'big' })")

    def trace(self) -> str:
        """The run on the stage, as JSON."""
        return str(self.page.evaluate(f"JSON.stringify({STAGE}.state.record.toJSON())"))
