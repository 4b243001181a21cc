"""The prompt as the model reads it, and the system prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor


def test_the_prompts_tokens_are_shown_with_the_special_ones_marked(visitor: Visitor, address: str) -> None:
    page = visitor.open(address).page
    assert page.locator("#stage .prompt-tokens").is_hidden()  # the recording is nobody's request
    visitor.ask("Why <b>?", tokens=8)
    count = visitor.stage("s.state.record.head.prompt_tokens")
    assert f"{count} tokens" in visitor.text("#stage .prompt-tokens summary")
    page.click("#stage .prompt-tokens summary")
    page.wait_for_selector("#stage .tokens .special")
    tokens = page.locator("#stage .tokens > *")
    assert tokens.count() == count
    marked = page.locator("#stage .tokens .special").all_text_contents()
    assert [text for text in marked if text == "<|im_start|>"] == ["<|im_start|>"] * 2
    assert "Why·<b>?" in "".join(tokens.all_text_contents())
    assert page.locator("#stage .tokens b b").count() == 0  # text is text


def test_a_system_prompt_is_part_of_what_the_model_reads(visitor: Visitor, address: str) -> None:
    page = visitor.open(address).page
    visitor.ask("Why?", tokens=8)
    without = visitor.stage("s.state.record.head.prompt_tokens")
    page.click("#stage button:has-text('Settings')")
    page.get_by_label("System prompt").fill("Count the passes.")
    page.click("#stage .prompt-tokens summary")
    page.wait_for_selector("#stage .tokens .special")
    page.click("#stage button:has-text('Retry')")
    page.wait_for_function("document.querySelector('#stage .tokens').textContent.includes('system')")
    visitor.wait("done")
    assert visitor.stage("s.state.record.head.prompt_tokens") > without
    assert "Count·the·passes." in page.text_content("#stage .tokens").replace("\n", "")
    assert visitor.stage("s.state.turns.map((t) => t.role)") == ["user", "assistant"]  # it is no turn
    visitor.open(address)  # loaded again
    assert visitor.stage("[s.compose.system.value, s.state.request.system]") == ["Count the passes."] * 2
    visitor.stage("(s.compose.system.removeAttribute('maxlength'), s.compose.system.value = 'x'.repeat(3000))")
    visitor.ask("Why?", tokens=8)
    assert "at most 2,000" in visitor.text("#stage .banner")
