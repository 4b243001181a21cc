"""Stop strings, against the obvious way: look at the whole text, a character more each time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdlm_core.serve.http.stop import StopCutter

WORDS = st.text("ab", min_size=1, max_size=4)


def cut(text: str, stops: Sequence[str]) -> str:
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))]
    return text


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.text("abc", max_size=5), max_size=8), st.lists(WORDS, max_size=4))
def test_whatever_the_pieces(pieces: list[str], stops: list[str]) -> None:
    cutter = StopCutter(stops)
    sent, whole = "", "".join(pieces)
    for piece in pieces:
        sent += cutter.push(piece)
        assert whole.startswith(sent)
    sent += cutter.finish()
    assert sent == cut(whole, stops)
    assert cutter.stopped == any(stop in whole for stop in stops)


@pytest.mark.parametrize(("piece", "sent"), [("hello", "hello"), ("hello E", "hello "), ("hello EN", "hello ")])
def test_only_what_may_begin_a_stop_string_waits(piece: str, sent: str) -> None:
    assert StopCutter(["END"]).push(piece) == sent
