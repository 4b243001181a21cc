"""Example prompts: one click asks, and an example of two turns asks twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor


def test_an_example_of_two_turns_asks_twice(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.stage("s.compose.length.set(16)")
    examples = visitor.page.locator("#stage .example")
    assert examples.count() >= 8
    two = examples.filter(has_text=" → ").first
    first, second = (two.text_content() or "").split(" → ")
    two.click()
    visitor.until("s.state.turns.length === 4 && s.state.status === 'done'")
    assert visitor.stage("s.state.record.tokens") == 16
    assert visitor.stage("s.state.turns.filter((t) => t.role === 'user').map((t) => t.content)") == [first, second]
    visitor.page.click("#stage .actions >> text=Clear")
    examples.first.click()
    visitor.until("s.state.turns.length === 2 && s.state.status === 'done'")
