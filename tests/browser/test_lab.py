"""The trade-off lab in a real browser: the marker follows τ, a sweep of one prompt leaves its points."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.apps import forked_app
from tests.browser.conftest import Hold, Visitor, patient

FIGURE = "const gd = document.querySelector('#lab-plot .js-plotly-plot');"
MARKER = f"() => {{ {FIGURE} const m = gd.data[gd.layout.meta.marker]; return [m.x[0], m.y[0]]; }}"
OWN = f"() => {{ {FIGURE} const own = gd.data.find((t) => t.name === 'your runs'); return own ? own.x.length : 0; }}"
TOKENS = 24  # of an answer to a problem
# After so many runs it is known what one of them came to: an answer is read back between two passes of those after it,
# and of a sweep that was ended by another, two at most come to nothing.
RUNS = 6
STATUS = "document.querySelector('#lab-status').innerText"


@pytest.fixture(scope="module")
def lab_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "runs.txt"


@pytest.fixture(scope="module")
def lab_address(tiny_model: Path, lab_log: Path) -> Iterator[str]:
    """The page over a made-up sweep."""
    environment = {"SDLM_TEST_LOG": str(lab_log), "SDLM_TEST_PAUSE": "0", "SDLM_TEST_TOKENS": str(TOKENS)}
    with forked_app(str(tiny_model), "tests/browser/serve_lab.py", **environment) as url:
        yield url


@pytest.fixture
def hold(lab_log: Path) -> Iterator[Hold]:
    """For the lab's server; released when the test ends."""
    held = Hold(lab_log)
    yield held
    held.end()


def open_lab(visitor: Visitor, address: str) -> Any:
    visitor.open(address)
    visitor.page.get_by_role("tab", name="Trade-off lab").click()
    visitor.page.wait_for_selector("#lab-plot .js-plotly-plot .trace")
    return visitor.page


def test_the_marker_follows_the_slider(visitor: Visitor, lab_address: str) -> None:
    page = open_lab(visitor, lab_address)
    curve = {tau: (x, y) for tau, x, y in page.evaluate(f"() => {{ {FIGURE} return gd.layout.meta.curve; }}")}
    assert page.evaluate(MARKER) == pytest.approx(curve[0.9])
    number = page.locator("#lab-tau input[type=number]")
    for tau in (0.6, 0.95):
        number.fill(str(tau))
        number.press("Enter")
        page.wait_for_function(f"(x) => Math.abs(({MARKER})()[0] - x) < 1e-9", arg=curve[tau][0])
        assert page.evaluate(MARKER) == pytest.approx(curve[tau])
        page.wait_for_function(f"document.querySelector('#lab-say').innerText.includes('τ {tau} buys')")
    number.fill("0.85")
    number.press("Enter")
    halfway = (curve[0.8][0] + curve[0.9][0]) / 2
    page.wait_for_function(f"(x) => Math.abs(({MARKER})()[0] - x) < 1e-9", arg=halfway)
    page.get_by_label("wall clock").check()
    page.wait_for_function(f"() => {{ {FIGURE} return gd.layout.xaxis.title.text.startsWith('wall-clock'); }}")


def test_a_sweep_of_one_prompt_leaves_its_points_and_files(visitor: Visitor, lab_address: str, tmp_path: Path) -> None:
    page = open_lab(visitor, lab_address)
    answer, swept = (page.get_by_label(name, exact=True) for name in ("my last answer in the Watch tab", "the sweep"))
    assert page.is_disabled("#lab-stop"), "nothing runs"
    page.fill("#lab-prompt textarea", " ")
    page.click("#lab-one")
    page.wait_for_function(f"{STATUS}.includes('The prompt is empty')")
    page.wait_for_selector("#lab-one:enabled")
    visitor.settle()
    assert answer.is_checked(), "there is no sweep to look at"
    page.fill("#lab-prompt textarea", "<b>Why</b> is the sky blue?")
    page.click("#lab-one")
    page.wait_for_function("document.querySelector('#lab-status').innerText.includes('Done: 9 runs')")
    page.wait_for_function(f"() => ({OWN})() === 9")
    page.wait_for_selector("#lab-stop:disabled")
    page.wait_for_function("document.querySelector('#lab-source').innerText.startsWith('Your last sweep')")
    assert swept.is_checked()
    button = page.get_by_text("My runs as JSON")
    with page.expect_download() as download:
        button.click()
    runs = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["runs"]
    assert [r["algorithm"] for r in runs] == ["autoregressive", *["prob_conf"] * 7, "self_speculative"]
    one, last = runs[1], runs[-1]
    assert one["agreement"] == last["agreement"] == 1
    assert one["tokens"] == TOKENS // 2
    assert one["passes"] == one["tokens"] >= last["passes"]
    assert all(r["log_likelihood"] < 0 for r in runs)
    page.get_by_text("Forget my runs").click()
    page.wait_for_function(f"() => ({OWN})() === 0")
    page.fill("#lab-prompt textarea", "  ")
    page.click("#lab-one")
    page.wait_for_function("document.querySelector('#lab-status').innerText.includes('The prompt is empty')")
    page.wait_for_selector("#lab-one:enabled")


def test_the_pictures_are_of_the_last_answer(visitor: Visitor, lab_address: str) -> None:
    visitor.open(lab_address)
    visitor.ask("Why is the sky blue?", tau=0.4, tokens=24)
    passes = visitor.stage("s.state.record.passes.length")
    visitor.page.get_by_role("tab", name="Trade-off lab").click()
    said = "document.querySelector('#lab-source').innerText"
    expected = f"Your last answer: probability, D 8, τ 0.4, 24 tokens in {passes} passes."
    visitor.page.wait_for_function(f"(text) => {said}.includes(text)", arg=expected)
    visitor.page.get_by_label("the sweep", exact=True).check()
    visitor.page.wait_for_function(f"{said}.startsWith('The shipped sweep')")


def test_a_sweep_leaves_the_controls_to_the_visitor(visitor: Visitor, lab_address: str, hold: Hold) -> None:
    page = open_lab(visitor, lab_address)
    axis = f"() => {{ {FIGURE} return gd.layout.yaxis.title.text; }}"
    page.get_by_label("Held-out problems").first.fill("2")
    hold.now()
    page.click("#lab-many")
    patient(visitor, hold.holds)  # the sweep goes on
    page.get_by_label("agreement with τ 1").check()
    page.wait_for_function(f"() => ({axis})() === 'agreement with τ 1'")
    page.evaluate(f"() => {{ window.seen = new Set(); setInterval(() => window.seen.add(({axis})()), 20); }}")
    hold.release()
    page.wait_for_function(f"{STATUS}.includes('Done: 18 runs')")
    page.wait_for_function(f"() => ({OWN})() === 9")  # the results are drawn
    page.wait_for_selector("#lab-many:enabled")
    visitor.settle()
    assert page.evaluate("[...window.seen]") == [page.evaluate(axis)] == ["agreement with τ 1"]
    with page.expect_download() as download:
        page.get_by_text("My runs as JSON").click()
    runs = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["runs"]
    assert {r["tokens"] for r in runs} == {TOKENS}, "as long as the set says"


def test_one_sweep_at_a_time(visitor: Visitor, lab_address: str, hold: Hold) -> None:
    page = open_lab(visitor, lab_address)
    one, many, stop = (page.locator(f"#lab-{name}") for name in ("one", "many", "stop"))
    hold.after(RUNS)
    page.evaluate("['#lab-many', '#lab-one'].forEach((b) => document.querySelector(b).click())")  # the later one wins
    page.wait_for_function(f"/ of (9|54) runs/.test({STATUS})")
    assert one.is_disabled()
    assert many.is_disabled()
    patient(visitor, hold.holds)  # it cannot end by itself
    stop.click()
    page.wait_for_function(f"{STATUS}.includes('Stopped')")
    hold.release()
    page.wait_for_function("document.querySelector('#lab-source').innerText.startsWith('Your last sweep')")
    page.wait_for_selector("#lab-one:enabled")
    page.wait_for_selector("#lab-many:enabled")
    page.wait_for_selector("#lab-stop:disabled")
    page.fill("#lab-prompt textarea", " ")
    one.click()  # fails
    page.wait_for_function(f"{STATUS}.includes('The prompt is empty')")
    page.wait_for_selector("#lab-one:enabled")
    many.click()
    page.wait_for_function(f"{STATUS}.includes(' of 54 runs')")
    assert one.is_disabled()
    page.get_by_text("Forget my runs").click()
    page.wait_for_selector("#lab-one:enabled")
    page.wait_for_function(f"() => ({OWN})() === 0")


def test_the_page_says_whose_figures_these_are(visitor: Visitor, lab_address: str) -> None:
    page = open_lab(visitor, lab_address)
    page.wait_for_function("document.querySelector('#lab-say').innerText.includes('This page runs another model')")
    assert "buys made-up" in page.inner_text("#lab-say")
    assert "a setting of the model made-up" in page.inner_text("#lab")
    assert "even the least sure kept token differs in at most about 20 %" in page.inner_text("#lab")


def test_a_sweep_can_be_stopped(visitor: Visitor, lab_address: str, hold: Hold) -> None:
    page = open_lab(visitor, lab_address)
    hold.after(RUNS)
    page.click("#lab-many")
    page.wait_for_function("document.querySelector('#lab-status').innerText.includes(' of 54 runs')")
    patient(visitor, hold.holds)  # it cannot end by itself
    page.click("#lab-stop")
    page.wait_for_function("document.querySelector('#lab-status').innerText.includes('Stopped')")
    hold.release()
    page.click("#lab-one")  # the model is free again
    page.wait_for_function("document.querySelector('#lab-status').innerText.includes('Done: 9 runs')")
