"""A real Chromium over the real page, with a tiny model behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.theatre import theatre
from sdlm_core import Trace
from tests.browser import tiny
from tools.screenshots import browser_options, running_app

PATIENCE = 180_000  # ms: a busy machine is slow, and only a broken page is slower
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
        self.page.set_default_timeout(PATIENCE)
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
        self.page.wait_for_selector("#stage .model[data-state=ready]")
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
        self,
        prompt: str,
        tau: float = 0.5,
        tokens: int = 40,
        wait: bool = True,
        algorithm: str = "prob_conf",
        block: str = "8",
    ) -> None:
        """Send a prompt from the chat tab. block "auto" leaves the width of the passes to the clock."""
        self.act("set tau", tau=tau)
        self.stage(
            "(s.compose.length.set(v[0]), s.compose.algorithm.set(v[1]), s.compose.block.set(v[2]))",
            [tokens, algorithm, block],
        )
        self.page.fill("#stage textarea", prompt)
        self.page.click("#stage .go")
        if wait:
            self.wait("done", "stopped", "failed")

    def wait(self, *states: str) -> None:
        """Until the stage is in one of these states."""
        self.page.wait_for_function(f"{list(states)}.includes({STATUS})")

    def stage(self, script: str, value: Any = None) -> Any:
        """A line of script with the stage as `s` and a value as `v`."""
        find = "(document.querySelector('#stage .sdlm') || document.querySelector('.sdlm')).parentNode.stage"
        return self.page.evaluate(f"(v) => {{ const s = {find}; return {script}; }}", value)

    def act(self, kind: str, **fields: Any) -> None:
        """Dispatch an action to the stage's store; a field that is called as a word of Python has a _ behind it."""
        action = {"type": kind} | {name.removesuffix("_"): value for name, value in fields.items()}
        self.stage("s.dispatch(v)", action)

    def until(self, script: str) -> None:
        """Until a line of script about the stage is true; also where the page's policy forbids wait_for_function."""
        patient(self, lambda: self.stage(script))

    def settle(self) -> None:
        """Two frames, so that what was asked to be drawn is."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def text(self, selector: str) -> str:
        """The text of an element."""
        self.settle()
        return str(self.page.text_content(selector) or "")


def patient(visitor: Visitor, is_so: Callable[[], Any]) -> None:
    """Until something outside the page is so; the page goes on meanwhile."""
    end = time.monotonic() + PATIENCE / 1000
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        visitor.settle()


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
