"""A real Chromium over the real page, with a tiny model behind it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.theatre import theatre
from sdlm_core import Trace
from tests.browser import apps, tiny
from tools.page import browser_options

PATIENCE = 180_000  # ms: a busy machine is slow, and only a broken page is slower
STATUS = "document.querySelector('#stage .sdlm').dataset.status"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"}


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the test server notes what its runs came to."""
    path = tmp_path_factory.mktemp("log") / "runs.txt"
    path.touch()
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small checkpoint."""
    folder = tmp_path_factory.mktemp("tiny")
    apps.in_fork(tiny.make_checkpoint, folder)
    return folder


@pytest.fixture(scope="session")
def address(tiny_model: Path, log: Path) -> Iterator[str]:
    """The page's address."""
    environment = {"SDLM_TEST_LOG": str(log), "SDLM_TEST_PAUSE": "0.01"}
    with apps.forked_app(str(tiny_model), "tests/browser/serve.py", **environment) as url:
        yield url


class Hold:
    """Keeps the test server from ending a pass; see serve.py for the files."""

    def __init__(self, log: Path) -> None:
        self._hold, self._later, self._held, self._asked = (
            log.with_name(name) for name in ("hold", "hold-later", "held", "asked")
        )

    def now(self) -> None:
        """The next pass that begins does not end."""
        self._hold.touch()

    def after(self, runs: int) -> None:
        """The same, once so many more runs have ended."""
        self._later.write_text(str(runs))

    def holds(self) -> bool:
        """Whether a pass has begun that does not end."""
        return self._held.exists()

    def asked(self) -> int:
        """How many runs the server's engine was given."""
        return len(self._asked.read_text().splitlines()) if self._asked.exists() else 0

    def release(self) -> None:
        """Passes end again."""
        for path in (self._hold, self._held):
            path.unlink(missing_ok=True)

    def end(self) -> None:
        """The same, and nothing holds them later."""
        self._later.unlink(missing_ok=True)
        self.release()


@pytest.fixture
def hold(log: Path) -> Iterator[Hold]:
    """For the test server at `address`; released when the test ends."""
    held = Hold(log)
    yield held
    held.end()


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

    def __init__(self, context: Any) -> None:
        """context: playwright's."""
        self.context = context
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


@contextlib.contextmanager
def visiting(browser: Any, **options: Any) -> Iterator[Visitor]:
    """A visitor with a context of their own; fails if their page met an error or a dialog. options: of the context."""
    someone = Visitor(browser.new_context(**DESKTOP | options))
    yield someone
    someone.context.close()
    assert someone.wrong == []


class Profile:
    """One of the browser's contexts, for one visitor after the other: only what it has cached is theirs together."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._origins: set[str] = set()

    @cached_property
    def context(self) -> Any:
        """Playwright's."""
        return self._browser.new_context(**DESKTOP)

    @contextlib.contextmanager
    def visiting(self) -> Iterator[Visitor]:
        """The next visitor; fails if their page met an error or a dialog."""
        someone = Visitor(self.context)
        self._forget(someone.page)
        yield someone
        parts = [urlsplit(url) for url in someone.requests]
        self._origins |= {f"{part.scheme}://{part.netloc}" for part in parts if part.scheme in ("http", "file")}
        for page in self.context.pages:
            page.close()
        assert someone.wrong == []

    def _forget(self, page: Any) -> None:
        """Forget what the pages that were visited have stored, and what they were allowed."""
        session = self.context.new_cdp_session(page)
        for origin in self._origins:
            session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        session.detach()
        self.context.clear_permissions()


@pytest.fixture(scope="module")
def profiles(browser: Any) -> tuple[Profile, Profile]:
    """For the visitors of a file, so that they load the page's files once."""
    return Profile(browser), Profile(browser)


@pytest.fixture
def visitor(profiles: tuple[Profile, Profile]) -> Iterator[Visitor]:
    """One visitor; the test fails if their page met an error or a dialog."""
    with profiles[0].visiting() as someone:
        yield someone


@pytest.fixture
def visitors(profiles: tuple[Profile, Profile]) -> Iterator[tuple[Visitor, Visitor]]:
    """Two visitors with nothing in common but the server."""
    with profiles[0].visiting() as one, profiles[1].visiting() as other:
        yield one, other
