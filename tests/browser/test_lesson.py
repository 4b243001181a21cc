"""The lesson: every step done by keyboard alone and by touch, its masks, and its words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch

from sdlm_core import masks
from sdlm_core.config import DecodeConfig
from sdlm_core.decoding import algorithms
from sdlm_core.decoding.state import Guess, State
from sdlm_core.retrofit.collate import Collator
from sdlm_core.retrofit.data import Conversation
from tests.browser.apps import forked_app
from tests.browser.conftest import Visitor, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Page

STEPS = ["pass", "masks", "sees", "predict", "prefix", "cache", "tau", "speculative", "speed"]
RIGHT = [0, 1, 0, 1, 2, 1, 0, 1, 1]
LESSON = "document.querySelector('#learn .sdlm').parentNode.lesson"
DEEP = 80  # presses of Tab from a step's heading to any of its controls


@pytest.fixture(scope="module")
def modelless() -> Iterator[str]:
    """The real app, whose model cannot be loaded."""
    with forked_app("/no/such/model") as url:
        yield url


@pytest.fixture(scope="module")
def waiting() -> Iterator[str]:
    """The real app, whose model is still loading."""
    with forked_app("builtin", "tests/browser/serve_loading.py") as url:
        yield url


def open_lesson(visitor: Visitor, address: str, query: str = "?step=1") -> Page:
    page = visitor.page
    page.goto(address + query)
    page.wait_for_selector("#learn .picture .scene")
    return page


def kept(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.evaluate("localStorage.getItem('sdlm-lesson') || '{}'"))
    return {"done": [], "answers": {}} | found


def tab_to(page: Page, selector: str, key: str = "Tab") -> None:
    """Press Tab until the focus is on what the selector names."""
    for _ in range(DEEP):
        if page.evaluate("(s) => document.activeElement.matches(s)", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not reach {selector}")


def press(page: Page, key: str, times: int = 1) -> None:
    for _ in range(times):
        page.keyboard.press(key)


def do_by_keyboard(page: Page, step: str) -> None:
    """What the step's task says. The focus is on its heading."""
    here = f"#learn-{step} "
    if step == "pass":
        tab_to(page, here + ".timeline button:nth-of-type(4)")
        press(page, "Enter", 6)
    elif step == "masks":
        tab_to(page, here + ".slider input")
        press(page, "ArrowRight", 7)
    elif step == "sees":
        tab_to(page, here + ".matrix-row input")
        press(page, "End")
        page.keyboard.press("Shift+Tab")
        tab_to(page, here + ".choice:nth-of-type(2) select", "Shift+Tab")
        press(page, "ArrowDown")
        tab_to(page, here + ".matrix-row input")
        press(page, "ArrowLeft")
    elif step == "predict":
        tab_to(page, here + ".row.current .chip:nth-child(3)")
        press(page, "Enter")
        tab_to(page, here + ".buttons button:not([disabled])")
        press(page, "Enter")
    elif step == "prefix":
        tab_to(page, here + ".picture select")
        press(page, "ArrowDown")
    elif step == "cache":
        tab_to(page, here + ".timeline button:nth-of-type(4)")
        press(page, "Enter", 11)
    elif step == "tau":
        tab_to(page, here + "input.tau")
        press(page, "Home")
        press(page, "End")
    elif step == "speculative":
        tab_to(page, here + ".chip.mismatch")
        press(page, "Enter")
        press(page, "Escape")
        tab_to(page, here + ".picture .scene > .buttons button")
        press(page, "Enter")
    else:
        tab_to(page, here + ".slider input")
        press(page, "End")


def test_all_steps_by_keyboard_alone_while_the_model_loads(visitor: Visitor, waiting: str) -> None:
    page = visitor.page
    page.goto(waiting)
    page.wait_for_selector("#stage .model[data-state=loading]")
    tab_to(page, "#tabs button[role=tab][data-tab-id=learn]")
    press(page, "Enter")
    page.wait_for_selector("#learn .lesson-nav")
    tab_to(page, "#learn .lesson-nav [data-step=pass]")
    press(page, "Enter")
    for i, step in enumerate(STEPS):
        page.wait_for_selector(f"#learn-{step} .picture > *")
        visitor.settle()
        assert page.evaluate("document.activeElement.closest('section').id") == f"learn-{step}"
        assert page.evaluate("new URLSearchParams(location.search).get('step')") == str(i + 1)
        tab_to(page, f"#learn-{step} input[type=radio]")
        press(page, "Space")
        if RIGHT[i]:
            press(page, "ArrowDown", RIGHT[i])
        assert kept(page)["answers"][step] == RIGHT[i]
        assert page.is_visible(f"#learn-{step} .reveal")
        assert step not in kept(page)["done"]
        do_by_keyboard(page, step)
        visitor.settle()
        assert step in kept(page)["done"], step
        if step != STEPS[-1]:
            tab_to(page, f"#learn-{step} .buttons .go", "Shift+Tab")
            press(page, "Enter")
    assert page.locator("#learn .lesson-nav .done").count() == len(STEPS)
    assert page.get_attribute("#stage .model", "data-state") == "loading"
    page.reload()
    page.wait_for_selector("#learn .lesson-nav")
    assert page.locator("#learn .lesson-nav .done").count() == len(STEPS)


def test_arrow_keys_go_from_step_to_step(visitor: Visitor, modelless: str) -> None:
    page = open_lesson(visitor, modelless)
    for i, key in [(2, "ArrowRight"), (3, "ArrowRight"), (2, "ArrowLeft")]:
        visitor.settle()  # what the scrolling before has brought into view is told a frame later
        press(page, key)
        assert page.evaluate("document.activeElement.closest('section').id") == f"learn-{STEPS[i - 1]}"
        page.wait_for_function("(i) => new URLSearchParams(location.search).get('step') === String(i)", arg=i)


def test_all_steps_by_touch_on_a_phone_without_a_model(browser: Any, modelless: str) -> None:
    with visiting(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as visitor:
        page = visitor.page
        page.goto(modelless)
        page.wait_for_selector("#stage .model[data-state=failed]")
        page.tap("button[role=tab]:has-text('Learn') >> visible=true")
        page.wait_for_selector("#learn .lesson-nav")
        for i, step in enumerate(STEPS):
            here = f"#learn-{step} "
            page.tap(f"#learn .lesson-nav [data-step={step}]")
            page.wait_for_selector(here + ".picture > *")
            visitor.settle()
            page.tap(here + f".question label:nth-of-type({RIGHT[i] + 1})")
            if step in ("pass", "cache"):
                for _ in range(11):
                    page.tap(here + ".timeline button:nth-of-type(4)")
            elif step in ("masks", "speed"):
                tap_end(page, here + ".slider input", 0.99)
            elif step == "sees":
                tap_end(page, here + ".matrix-row input", 0.99)
                page.select_option(here + ".choice:nth-of-type(2) select", "causal")
                page.tap(here + "canvas.matrix", position={"x": 30, "y": 40})
                tap_end(page, here + ".matrix-row input", 0.9)
            elif step == "predict":
                page.tap(here + ".chip:nth-child(3)")
                page.tap(here + ".picture .buttons button:first-child")
            elif step == "prefix":
                page.select_option(here + ".picture select", "sure")
            elif step == "tau":
                tap_end(page, here + "input.tau", 0.3)
                tap_end(page, here + "input.tau", 0.999)
            elif step == "speculative":
                page.tap(here + ".chip.mismatch >> visible=true")
                page.tap(here + ".card .close")
                page.tap(here + ".scene > .buttons button")
            visitor.settle()
            assert kept(page)["answers"][step] == RIGHT[i]
            assert step in kept(page)["done"], step
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), step
        assert page.locator("#learn .lesson-nav .done").count() == len(STEPS)


def tap_end(page: Page, selector: str, at: float) -> None:
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + at * box["width"], box["y"] + box["height"] / 2)


def expected(view: dict[str, Any]) -> torch.Tensor:
    """What Python makes of the pass that the page drew: rows from the decoder's own plan, or from training's collator;
    the mask among them, and what they see of the cache."""
    rule, d, t = view["rule"], view["d"], view["t"]
    if rule == "training":
        starts = [t - 6, t - 3, t]
        conversation = Conversation(list(range(t + d + 2)), [(1, t + d + 2)], "lesson")
        rows = Collator(d, 0, 1.0, 3).sequence(conversation, [(s, t + d + 2) for s in starts]).rows
        return masks.attention_mask(rows, view["causal"])
    config = DecodeConfig(algorithm=rule, use_cache=view["cache"])
    width = 1 if rule == "autoregressive" else d
    state = State(list(range(t)), config, width, 100, 0, frozenset())
    state.draft = [Guess(0, 1.0, 1.0, 0.0)] * (width - 1 if rule == "self_speculative" else 0)
    cached = view["cached"] if view["cache"] else 0
    rows = algorithms.plan(state, cached, algorithms.next_shape(state, cached, None)).rows
    keys = masks.concat([masks.causal_rows(0, cached), rows])
    return masks.attention_mask(keys, view["causal"])[cached:]


PAINTED = """([rule, d, kind, cache]) => {
  const scene = document.querySelector("#learn-sees .mask");
  const [rules, kinds, caches] = scene.querySelectorAll("select");
  [rules.value, kinds.value, caches.value] = [rule, kind, cache];
  const range = scene.querySelector(".slider input");
  range.value = d;
  range.dispatchEvent(new Event("input"));
  const { matrix } = scene, { view, canvas, cell } = matrix;
  const c = canvas.getContext("2d"), ratio = canvas.width / parseFloat(canvas.style.width);
  const none = document.createElement("canvas").getContext("2d");
  none.fillStyle = getComputedStyle(matrix.node).getPropertyValue("--soft");
  none.fillRect(0, 0, 1, 1);
  const blank = none.getImageData(0, 0, 1, 1).data.join();
  const image = c.getImageData(0, 0, canvas.width, canvas.height);
  const px = (k) => Math.floor((k + 0.45) * cell * ratio), at = (i, j) => 4 * (px(i) * canvas.width + px(j));
  const filled = (i, j) => image.data.slice(at(i, j), at(i, j) + 4).join() !== blank;
  const [line, column] = view.from;
  const painted = view.mask.slice(line).map((row, i) => row.slice(column).map((_, j) => filled(i, j)));
  const bits = (rows) => rows.map((row) => row.map(Number).join("")).join(" ");
  return { mask: bits(view.mask), painted: bits(painted), from: view.from };
}"""

# Each D, and each kind with and without a cache at the smallest, a middle and the largest D.
MASKS = [(d, kind, cache) for d in (1, 5, 8) for kind in ("both", "causal") for cache in ("1", "0")]
MASKS += [(2, "both", "1"), (3, "causal", "1"), (4, "both", "0"), (6, "causal", "0"), (7, "both", "1")]


def bits(mask: torch.Tensor) -> str:
    return " ".join("".join(str(int(cell)) for cell in row) for row in mask.tolist())


def test_every_picture_of_a_mask_is_the_mask(visitor: Visitor, modelless: str) -> None:
    page = open_lesson(visitor, modelless, "?step=3")
    page.wait_for_selector("#learn-sees canvas")
    traces = page.evaluate(
        f"Object.fromEntries(['autoregressive', 'threshold', 'speculative'].map((n) => ["
        "n, (({ head, passes }) => [head.prompt_tokens + passes[3].start, passes[3].rows_reused])"
        f"({LESSON}.all[n])]))"
    )
    names = {"autoregressive": "autoregressive", "prob_conf": "threshold", "self_speculative": "speculative"}
    compared = 0
    for rule in ("autoregressive", "prob_conf", "self_speculative", "training"):
        t, cached = traces[names.get(rule, "threshold")]
        for d, kind, cache in MASKS:
            found = page.evaluate(PAINTED, [rule, str(d), kind, cache])
            view = {"rule": rule, "d": d, "t": t, "cached": cached}
            view |= {"causal": kind == "causal", "cache": cache == "1"}
            mask = expected(view)
            assert found["mask"] == bits(mask), view
            row, column = found["from"]
            assert found["painted"] == bits(mask[row:, column:]), view
            assert bool(mask[row:, :column].all())  # what is folded away, every line sees
            compared += 1
    assert compared == 4 * len(set(MASKS)) == 68


def test_a_link_names_a_step_and_its_state(visitor: Visitor, modelless: str) -> None:
    page = open_lesson(visitor, modelless, "?step=3&rule=self_speculative&d=3&kind=causal&cache=0&row=5")
    page.wait_for_selector("#learn-sees canvas")
    assert page.locator("#learn-sees select").evaluate_all("(all) => all.map((s) => s.value)") == [
        "self_speculative",
        "causal",
        "0",
    ]
    assert page.input_value("#learn-sees .matrix-row input") == "5"
    assert page.text_content("#learn-sees .slider output") == "D = 3"


def test_another_language_is_remembered(visitor: Visitor, modelless: str) -> None:
    page = open_lesson(visitor, modelless)
    assert not [url for url in visitor.requests if "words-zh" in url]  # only for those who read it
    page.evaluate("localStorage.setItem('sdlm-language', 'zh-Hans')")
    page.reload()
    page.wait_for_selector("#learn .step h3")
    assert len([url for url in visitor.requests if "words-zh" in url]) == 1
    assert "每次一个词元" in visitor.text("#learn-pass h3")
    assert "顺序扩散" in visitor.text("#stage h1")
    assert page.get_attribute("#learn .sdlm", "lang") == "zh-Hans"


def test_a_visitors_own_run_is_shown_where_it_suits(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.ask("Why?", tau=0.0, tokens=32)
    page = visitor.page
    page.click("button[role=tab]:has-text('Learn')")
    page.wait_for_selector("#learn .picture .scene")
    page.select_option("#learn .tools select", "live")
    shown = page.evaluate(f"({LESSON}.go(5), document.querySelectorAll('#learn-cache .row:not([hidden])').length)")
    assert shown is not None
    page.wait_for_function("document.querySelector('#learn-cache .where')?.textContent.includes('of 4')")
    page.evaluate(f"{LESSON}.go(7)")
    assert "Your last run cannot show this" in visitor.text("#learn-speculative .step-picture > .note")
