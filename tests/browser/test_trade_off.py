"""The plot beside τ: the measured curve of the model, and the shown answer on it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor

HERE = "['cx', 'cy'].map((name) => document.querySelector('#stage .tau-plot .here').getAttribute(name))"
SAID = re.compile(r"([\d.]+) per pass, agreement ([\d.]+)\.")


def test_the_plot_follows_tau_and_asks_for_nothing(visitor: Visitor, address: str) -> None:
    """The recorded run is of the model that was measured."""
    page = visitor.open(address).page
    page.wait_for_selector("#stage .tau-plot .curve >> nth=1", state="attached")
    assert page.locator("#stage .tau-plot .measured").count() == 2  # τ on the curve of each set of prompts
    asked = len(visitor.requests)
    places = set()
    for hundredth in range(95, 25, -5):
        move = """(tau) => {
          const range = document.querySelector("#stage input.tau");
          range.value = tau;
          range.dispatchEvent(new Event("input"));
          return new Promise((done) => requestAnimationFrame(() => done([PLACE, range.value])));
        }""".replace("PLACE", HERE)
        place, _ = page.evaluate(move, hundredth / 100)  # within the frame
        places.add(tuple(place))
        verdict = visitor.stage("s.state.verdict && [s.state.verdict.mean, s.state.verdict.agreement]")
        said = SAID.search(page.text_content("#stage figcaption") or "")
        assert said
        rate, agreement = verdict or [visitor.stage("s.state.record.tokensPerPass"), 1]
        assert float(said[1]) == round(rate, 2)
        assert abs(float(said[2]) - agreement) <= 0.01
        if verdict:
            assert f"{rate:.2f} kept per pass" in visitor.text("#stage .whatif-note")  # the same figure
    assert len(places) > 5
    assert visitor.requests[asked:] == []
    assert page.locator("#stage .tau-plot .here.judged").count() == 1


def test_at_rest_the_decoded_point_stands_on_the_plot(visitor: Visitor, address: str) -> None:
    page = visitor.open(address).page
    visitor.ask("Why is the sky blue?", tau=0.9, tokens=32)
    assert "no measured curve" in page.text_content("#stage .tau-plot")  # of this model
    first = visitor.stage("s.state.record.key")
    page.locator("#stage input.tau").fill("0.3")
    page.wait_for_selector("#stage .compare:not([hidden])")
    visitor.wait("done")
    visitor.settle()
    assert visitor.stage("s.state.record.key") > first
    assert page.locator("#stage .tau-plot .here.judged").count() == 0
    said = SAID.search(visitor.text("#stage figcaption"))
    assert said
    assert said[1] == visitor.page.locator("#stage .stats b").nth(2).text_content()
    same = visitor.stage("s.state.partsAt === -1")
    assert (float(said[2]) == 1) == same
    assert page.locator("#stage .tau-plot .before:not([hidden])").count() == 1


def test_without_a_threshold_there_is_no_plot(visitor: Visitor, address: str) -> None:
    page = visitor.open(address).page
    visitor.ask("Why is the sky blue?", tokens=16, algorithm="self_speculative")
    assert page.locator("#stage .tau-figure").is_hidden()
