"""A real Chromium over the real page, with a tiny model behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.screenshots import browser_options, running_app
from app.theatre import theatre
from sdlm_core import Trace
from tests.browser import tiny

STATUS = "document.querySelector('#stage .sdlm').dataset.status"


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the test server notes what its runs came to."""
    path = tmp_path_factory.mktemp("log") / "runs.txt"
    path.touch()
    return path


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Iterator[str]:
    """The page's address."""
    folder = tiny.make_checkpoint(tmp_path_factory.mktemp("tiny"))
    environment = {"SDLM_TEST_LOG": str(log), "SDLM_TEST_PAUSE": "0.01", "OMP_NUM_THREADS": "1"}
    with running_app(str(folder), "tests/browser/serve.py", **environment) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for the tests of a file: playwright's event loop, while open, lets no other run in this thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(**browser_options())
        yield running
        running.close()


class Visitor:
    """Someone at the page, who notices when something is wrong with it."""

    def __init__(self, browser: Any, **options: Any) -> None:
        options = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"} | options
        self.context = browser.new_context(accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.wrong: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _dialog(self, dialog: Any) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open(self, address: str) -> Visitor:
        """The page, model ready, example on the stage."""
        self.page.goto(address)
        self.page.wait_for_selector("#stage .model[data-state=ready]", timeout=60_000)
        self.page.wait_for_selector("#stage .row:not([hidden])")
        return self

    def replay(self, trace: Trace, folder: Path) -> Visitor:
        """An exported file of a trace."""
        path = folder / "replay.html"
        path.write_text(theatre.replay_page(trace), encoding="utf-8")
        self.page.goto(path.as_uri())
        self.page.wait_for_selector(".row:not([hidden])")
        return self

    def ask(
        self, prompt: str, tau: float = 0.5, tokens: int = 40, wait: bool = True, algorithm: str = "prob_conf"
    ) -> None:
        """Send a prompt from the chat tab."""
        self.stage(
            "(s.whatIf.set(v[0]), s.compose.length.set(v[1]), s.compose.algorithm.value = v[2])",
            [tau, tokens, algorithm],
        )
        self.page.fill("#stage textarea", prompt)
        self.page.click("#stage .go")
        if wait:
            self.wait("done", "stopped", "failed")

    def wait(self, *states: str) -> None:
        """Until the stage is in one of these states."""
        self.page.wait_for_function(f"{list(states)}.includes({STATUS})", timeout=30_000)

    def stage(self, script: str, value: Any = None) -> Any:
        """A line of script with the stage as `s` and a value as `v`."""
        find = "(document.querySelector('#stage .sdlm') || document.querySelector('.sdlm')).parentNode.stage"
        return self.page.evaluate(f"(v) => {{ const s = {find}; return {script}; }}", value)

    def settle(self) -> None:
        """Two frames, so that what was asked to be drawn is."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def text(self, selector: str) -> str:
        """The text of an element."""
        self.settle()
        return str(self.page.text_content(selector) or "")


@pytest.fixture
def visitor(browser: Any) -> Iterator[Visitor]:
    """One visitor; the test fails if their page met an error or a dialog."""
    someone = Visitor(browser)
    yield someone
    someone.context.close()
    assert someone.wrong == []


@pytest.fixture
def visitors(browser: Any) -> Iterator[tuple[Visitor, Visitor]]:
    """Two visitors with nothing in common but the server."""
    pair = Visitor(browser), Visitor(browser)
    yield pair
    for someone in pair:
        someone.context.close()
        assert someone.wrong == []
