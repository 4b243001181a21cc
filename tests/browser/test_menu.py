"""Several models on one page: a menu, loaded when asked for, and one of them broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import tiny
from tests.browser.apps import forked_app, in_fork

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor

FIELD = "#stage .compose .field:has(> select[aria-label=Model])"
MENU = f"{FIELD} select"
HEADER = "#stage .top .model"
RACE = "document.querySelector('#race .sdlm').parentNode.race"


@dataclass(frozen=True)
class Menu:
    """A page with several models. first, second, broken: their names. hold: while this file exists, none is loaded."""

    address: str
    first: str
    second: str
    broken: str
    hold: Path


@pytest.fixture(scope="module")
def menu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Menu]:
    """The first model has D 8, the second D 4 and a sampler, the third does not exist. One fits into memory."""
    folder = tmp_path_factory.mktemp("menu")
    in_fork(tiny.make_checkpoint, folder / "first")
    in_fork(tiny.make_checkpoint, folder / "second", block_size=4, sampler=True)
    names = (str(folder / "first"), str(folder / "second"), str(folder / "broken"))
    environment = {"SDLM_TEST_LOG": str(folder / "log.txt"), "SDLM_MAX_LOADED_MODELS": "1"}
    with forked_app(names, "tests/browser/serve_menu.py", **environment) as url:
        yield Menu(url, *names, folder / "hold-loading")


def open_menu(visitor: Visitor, menu: Menu, query: str = "") -> None:
    """The page, its first model loaded or not, with the settings unfolded."""
    visitor.page.goto(menu.address + query)
    visitor.page.wait_for_selector("#stage .row:not([hidden])")
    visitor.page.click("#stage button:has-text('Settings')")
    visitor.page.wait_for_selector(MENU)


def choose(visitor: Visitor, name: str) -> None:
    """Choose a model from the menu, and wait for what is known of it."""
    visitor.page.select_option(MENU, name)
    visitor.until(f"s.state.model.model === '{name}'")


def state_of(visitor: Visitor, name: str) -> str:
    """What the server says of a model."""
    find = "document.querySelector('#stage .sdlm').parentNode.stage.session.gradio.server"
    return str(visitor.page.evaluate(f"async (name) => (await {find}.status(name)).state", name))


def test_the_second_model_is_loaded_when_it_is_asked_and_answers(visitor: Visitor, menu: Menu) -> None:
    open_menu(visitor, menu)
    visitor.ask("Why is the sky blue?", tokens=16)
    assert visitor.page.locator(f"{MENU} option").all_text_contents() == ["first", "second", "broken"]
    assert visitor.page.locator("#stage .field:has-text('Guesses of a pass')").is_hidden()
    assert visitor.text("#stage .banner").startswith("The answer of first reached")

    choose(visitor, menu.second)
    assert "second: not loaded, a question loads it" in visitor.text(HEADER)
    for _ in range(3):  # asking how it does has it not loaded
        assert [state_of(visitor, name) for name in (menu.first, menu.second)] == ["ready", "unloaded"]
    menu.hold.touch()
    visitor.ask("Why is the sky blue?", tokens=16, block="4", wait=False)
    visitor.page.wait_for_selector(f"{HEADER}[data-state=loading]")
    visitor.page.wait_for_function("document.querySelector('#stage .banner').textContent.includes('still loading')")
    assert "second is loading, " in visitor.text(HEADER)
    menu.hold.unlink()
    visitor.wait("done", "failed")

    assert visitor.stage("s.state.record.head.model") == menu.second
    assert visitor.text("#stage .banner").startswith("The answer of second reached")
    visitor.page.wait_for_selector(f"{HEADER}[data-state=ready]")
    assert state_of(visitor, menu.first) == "unloaded"  # it made room
    assert visitor.page.locator("#stage .field:has-text('Guesses of a pass')").is_visible()
    assert visitor.stage("s.compose.block.menu.selectedOptions[0].text") == "4, as the model was trained"
    assert visitor.stage("s.compose.block.menu.options[8].text") == "8"

    visitor.page.reload()  # the conversation comes back, and its model with it
    visitor.page.wait_for_selector(f"{HEADER}[data-state=ready]")
    assert visitor.stage("[s.compose.values().model, s.state.status]") == [menu.second, "done"]
    assert visitor.text("#stage .banner").startswith("The answer of second reached")


def test_the_menu_does_not_disturb_a_run_in_progress(visitor: Visitor, menu: Menu) -> None:
    open_menu(visitor, menu)
    choose(visitor, menu.second)
    visitor.ask("slowly, why is the sky blue?", tokens=40, wait=False)
    visitor.wait("running")
    choose(visitor, menu.broken)
    choose(visitor, menu.first)
    visitor.wait("done", "stopped", "failed")
    assert visitor.stage("[s.state.status, s.state.record.head.model]") == ["done", menu.second]
    visitor.stage("s.session.again({ threshold: 0.2 })")  # of the same answer, so by the same model
    visitor.wait("done", "failed")
    assert visitor.stage("[s.state.status, s.state.record.head.model]") == ["done", menu.second]
    assert visitor.stage("s.compose.values().model") == menu.first
    assert visitor.page.locator("#stage .other-guesses").is_hidden()  # what the chosen model can do is not asked here


def test_a_broken_model_says_why_and_the_others_answer(visitor: Visitor, menu: Menu) -> None:
    open_menu(visitor, menu)
    choose(visitor, menu.broken)
    visitor.ask("Why is the sky blue?", tokens=16)
    assert visitor.stage("s.state.status") == "failed"
    sentence = visitor.text("#stage .banner")
    assert menu.broken in sentence
    visitor.page.wait_for_selector(f"{HEADER}[data-state=failed]")
    assert visitor.text(HEADER) == "broken could not be loaded"
    assert visitor.page.get_attribute(HEADER, "title") == sentence
    assert visitor.text(f"{FIELD} .model") == sentence
    choose(visitor, menu.first)
    visitor.ask("Why is the sky blue?", tokens=16)
    assert visitor.stage("[s.state.status, s.state.record.head.model]") == ["done", menu.first]


def test_the_race_and_the_links_have_the_same_model(visitor: Visitor, menu: Menu) -> None:
    page = visitor.page
    open_menu(visitor, menu)
    choose(visitor, menu.second)
    visitor.stage("s.session.share()")
    link = page.url.removeprefix(menu.address)
    assert "model=" in link

    open_menu(visitor, menu, "?again" + link)
    visitor.until(f"s.state.model.model === '{menu.second}'")
    page.click("button[role=tab]:has-text('Race')")
    assert page.input_value("#race select[aria-label=Model]") == menu.second
    page.fill("#race textarea", "Why is the sky blue?")
    page.evaluate(f"{RACE}.compose.length.set(8)")
    page.click("#race .go")
    page.wait_for_function(f"{RACE}.state.banner.name === 'result'")
    assert page.evaluate(f"{RACE}.state.lanes.map((l) => l.record.head.model)") == [menu.second] * 3
    assert visitor.text("#race .banner").startswith("Decoded by second.")
    page.focus("#race select[aria-label=Model]")
    page.keyboard.press("ArrowUp")
    visitor.until(f"s.state.model.model === '{menu.first}'")
    assert page.input_value(MENU) == menu.first

    open_menu(visitor, menu, "?another#model=constructor")
    visitor.until("s.state.model !== null")
    assert page.input_value(MENU) == menu.first


def test_the_lab_says_which_model_it_sweeps(visitor: Visitor, menu: Menu) -> None:
    open_menu(visitor, menu)
    visitor.page.click("button[role=tab]:has-text('Trade-off lab')")
    said = visitor.page.locator("#lab p:has-text('Each sweep decodes')").text_content()
    assert f"All use {menu.first}, whichever model is chosen in the other tabs." in str(said)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_a_phone_has_room(visitor: Visitor, menu: Menu, theme: str) -> None:
    from tests.browser.test_accessibility import serious

    open_menu(visitor, menu, f"?__theme={theme}")
    choose(visitor, menu.second)
    assert serious(visitor.page, theme) == []
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.stage("(s.compose.model.menu.selectedOptions[0].text = 'x'.repeat(80))")
    visitor.settle()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_one_model_has_no_menu(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.page.click("#stage button:has-text('Settings')")
    assert visitor.page.locator("select[aria-label=Model]:visible").count() == 0
    visitor.ask("Why is the sky blue?", tokens=16)
    assert visitor.text("#stage .banner").startswith("The answer reached")
    assert "model" not in visitor.stage("JSON.parse(JSON.stringify(s.state.request.settings))")
    visitor.stage("s.session.share()")
    assert "model=" not in visitor.page.url
