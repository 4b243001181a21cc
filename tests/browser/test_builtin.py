"""The main job, whole: the app as it ships, the built-in model, a prompt in the browser, its answer and its passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from sdlm_core.evaluate.tasks import load_set
from sdlm_core.models import builtin
from tools.screenshots import running_app

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor


@pytest.fixture(scope="module")
def built_in() -> Iterator[str]:
    """The address of the app with the built-in model; fetches and converts the base weights where they are missing."""
    builtin.ensure_base()
    with running_app("builtin") as url:
        yield url


def test_a_prompt_is_answered_pass_by_pass(visitor: Visitor, built_in: str) -> None:
    visitor.open(built_in)
    visitor.ask(load_set("problems").items[0].prompt, tau=0.95, tokens=64, wait=False)
    visitor.wait("done")
    passes = visitor.stage("s.state.record.passes")
    assert all(len(p["candidates"]) == 8 for p in passes)
    tokens = sum(p["accepted"] for p in passes)
    assert tokens > 1.2 * len(passes), "the model that ships guesses ahead"
    assert "The answer is" in visitor.text("#stage .answer")
    assert visitor.page.locator("#stage .row:not([hidden])").count() > 0
