"""Text that grows token by token never breaks a character."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

import sdlm_core
from sdlm_core.text import AnswerText


class Bytes:
    """One token a byte: the hardest case for multi-byte characters. Token 256 ends an answer."""

    end_token_ids = frozenset({256})

    def decode(self, token_ids: list[int]) -> str:
        return bytes(i for i in token_ids if i < 256).decode(errors="replace") + "<end>" * (256 in token_ids)


@given(st.text())
def test_any_text_comes_out_whole(text: str) -> None:
    answer = AnswerText(Bytes())
    pieces = answer.extend(list(text.encode()))
    assert answer.text == "".join(pieces) == text
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in text


@given(st.text(), st.text(min_size=1))
def test_a_preview_takes_nothing(taken: str, previewed: str) -> None:
    answer = AnswerText(Bytes())
    answer.extend(list(taken.encode()))
    seen = answer.preview([*previewed.encode(), 256])
    assert "".join(seen) == previewed + "<end>"
    assert answer.text == taken
    assert "".join(answer.extend(list(previewed.encode()))) == previewed


def test_bytes_that_are_no_character_do_not_hold_the_text_back() -> None:
    answer = AnswerText(Bytes())
    answer.extend([0xFF] * 20 + [65])
    assert answer.text.endswith("A")


def test_candidates_show_whole_characters(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(kind="qwen2", tied=True)
    ids = lm.tokenizer("naïve 🎉 café 漢字")["input_ids"]
    answer = AnswerText(lm)
    assert "".join(answer.extend(ids)) == "naïve 🎉 café 漢字"
