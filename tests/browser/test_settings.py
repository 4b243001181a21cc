"""The settings of a run on the page: width, kind of guesses, filters, and what the stage shows of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser import tiny
from tests.browser.apps import forked_app, in_fork

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor


@pytest.fixture(scope="module")
def with_sampler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app whose model makes coherent guesses."""
    folder = tmp_path_factory.mktemp("sampler")
    in_fork(tiny.make_checkpoint, folder, sampler=True)
    with forked_app(str(folder)) as url:
        yield url


def test_a_run_is_as_wide_as_pays_and_each_row_says_how_wide(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    assert visitor.stage("s.compose.values().block_size") == "auto"
    for block, algorithm in (("auto", "prob_conf"), ("auto", "self_speculative"), ("4", "prob_conf")):
        visitor.ask("Why is the sky blue?", tokens=24, block=block, algorithm=algorithm)
        record = "s.state.record"
        assert visitor.stage(f"{record}.head.config.block_size") == ("auto" if block == "auto" else 4)
        last = visitor.stage(
            f"(({{ index, width, branches }}) => [index, width, branches.length])({record}.passes.at(-1))"
        )
        index, width, blocks = last
        shown = visitor.text(f"#stage .row[data-p='{index}']:not([hidden]) .width")
        assert shown == (f"{blocks}×{width}" if blocks > 1 else f"of {width}")
    assert shown == "of 4"


def test_top_k_and_top_p_reach_the_model(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.page.click("#stage button:has-text('Settings')")
    fields = visitor.page.locator("#stage .compose .field")  # a card has some of them, too
    for label, value in (("Temperature", "0.8"), ("Top-p", "0.9"), ("Top-k", "3")):
        fields.filter(has_text=label).locator("input").fill(value)
    assert fields.filter(has_text="Top-k").locator("output").text_content() == "3"
    visitor.ask("Why is the sky blue?", tokens=16)
    config = visitor.stage("s.state.record.head.config")
    assert (config["temperature"], config["top_p"], config["top_k"]) == (0.8, 0.9, 3)
    most = "Math.max(...s.state.record.passes.flatMap((p) => p.candidates.map((c) => c.alternatives.length)))"
    assert visitor.stage(most) <= 3


def test_kinds_of_guesses_are_offered_where_the_model_has_a_sampler(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.page.click("#stage button:has-text('Settings')")
    visitor.ask("Why is the sky blue?", tokens=16)
    assert visitor.page.locator("#stage .field:has-text('Guesses of a pass')").is_hidden()
    assert visitor.page.locator("#stage .other-guesses").is_hidden()


def test_one_click_decodes_again_with_the_other_guesses(visitor: Visitor, with_sampler: str) -> None:
    visitor.open(with_sampler)
    page = visitor.page
    page.click("#stage button:has-text('Settings')")
    menu = page.locator("#stage .field:has-text('Guesses of a pass') select")
    assert menu.input_value() == "coherent"
    visitor.ask("Why is the sky blue?", tokens=32, tau=0.6)
    first = visitor.stage("[s.state.record.key, s.state.record.passes.length, s.state.record.head.guesses]")
    assert first[2] == "coherent"
    page.click("#stage button:has-text('Decode again with independent guesses')")
    page.wait_for_selector("#stage button:has-text('Decode again with coherent guesses')")
    visitor.wait("done")
    assert visitor.stage("[s.state.record.head.guesses, s.state.kept.key]") == ["independent", first[0]]
    assert visitor.stage("s.state.record.passes[0].candidates.every((c) => !c.alone)")
    assert menu.input_value() == "independent"  # and so the next question
    said = visitor.text("#stage .compare:visible")
    assert re.search(rf"coherent guesses: {first[1]} pass.*independent guesses", said), said


def test_self_speculative_text_does_not_depend_on_the_guesses(visitor: Visitor, with_sampler: str) -> None:
    visitor.open(with_sampler)
    visitor.ask("Why is the sky blue?", tokens=32, algorithm="self_speculative")
    visitor.page.click("#stage .other-guesses")
    visitor.page.wait_for_selector("#stage button:has-text('Decode again with coherent guesses')")
    visitor.wait("done")
    assert visitor.stage("[s.state.partsAt, s.state.record.tokens]") == [-1, 32]
    assert "The answers agree" in visitor.text("#stage .compare:visible")


def test_a_link_carries_all_settings(visitor: Visitor, with_sampler: str) -> None:
    page = visitor.open(with_sampler).page
    page.click("#stage button:has-text('Settings')")
    page.locator("#stage .field:has-text('Guesses of a pass') select").select_option("independent")
    visitor.stage("(s.compose.topK.set(7), s.compose.topP.set(0.5), s.compose.block.set('3'))")
    page.fill("#stage textarea", "Why?")
    page.click("#stage button:has-text('Copy link')")
    page.wait_for_function("location.hash.includes('prompt')")
    link = page.url
    page.goto("about:blank")
    visitor.open(link)
    values = visitor.stage("s.compose.values(s.state.tau)")
    names = ("guesses", "top_k", "top_p", "block_size")
    assert [values[name] for name in names] == ["independent", 7, 0.5, 3]
