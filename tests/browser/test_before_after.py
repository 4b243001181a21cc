"""The card's distribution before and after temperature, top-p and top-k."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor


def test_moving_filters_judges_the_recorded_tokens_again(visitor: Visitor, address: str) -> None:
    page = visitor.open(address).page
    unsure = "s.state.record.passes.findIndex((p) => p.candidates.some((c) => c.probability < .9))"
    visitor.stage(f"(s.p = {unsure}, s.i = s.state.record.passes[s.p].candidates.findIndex((c) => c.probability < .9))")
    visitor.stage("s.dispatch({ type: 'pin', pass: s.p, i: s.i })")
    recorded = visitor.stage("s.state.record.passes[s.p].candidates[s.i].alternatives.map((a) => a[2])")
    page.click("#stage .before-after summary")
    rows = page.locator("#stage .before-after li:not(.heads)")
    assert rows.count() == len(recorded) == 5
    assert rows.locator("s").count() == 0
    asked = len(visitor.requests)
    top_k = page.locator("#stage .before-after .field:has-text('Top-k') input")
    top_k.focus()
    top_k.press("ArrowRight")
    top_k.press("ArrowRight")
    visitor.settle()
    assert rows.locator("s").count() == 3
    assert rows.locator(".after").all_text_contents()[2:] == ["out"] * 3
    kept = [float(text) for text in rows.locator(".after").all_text_contents()[:2]]
    assert abs(kept[0] - recorded[0] / (recorded[0] + recorded[1])) < 0.002
    assert page.evaluate("document.activeElement.type") == "range"  # the card is drawn again around it
    assert "confidence of this guess would be" in visitor.text("#stage .before-after .note")
    assert visitor.requests[asked:] == []
    assert visitor.stage("[s.compose.topK.value, s.compose.filters().top_k]") == [2, 2]  # and the next run has them
    visitor.stage("s.compose.topK.node.querySelector('input').value = 0")
    visitor.stage("s.compose.topK.node.querySelector('input').dispatchEvent(new Event('input'))")
    visitor.settle()
    assert rows.locator("s").count() == 0


def test_what_a_filtered_run_left_out_is_said_not_to_be_known(visitor: Visitor, address: str) -> None:
    page = visitor.open(address).page
    visitor.stage("s.compose.setFilters({ temperature: .7, top_p: .9, top_k: 0 })")
    visitor.ask("Why is the sky blue?", tokens=8)
    visitor.act("pin", pass_=0, i=0)
    page.click("#stage .before-after summary")
    assert "not in the record" in visitor.text("#stage .before-after .note")
    assert page.locator("#stage .before-after .fields").is_hidden()
