"""When a pass reaches whoever asked for it: while the next one computes, and before anything that may take long."""

from __future__ import annotations

from typing import Any

import pytest

import sdlm_core
from sdlm_core import DecodeConfig
from sdlm_core.serve import Engine, Ticket

CONFIG = DecodeConfig(threshold=1.0, max_new_tokens=6)


def test_a_pass_is_delivered_when_the_model_begins_the_next(
    lm: sdlm_core.LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before, when this thread prepares the next one and those who are woken would delay it, and not later."""
    arrived: list[int] = []
    at_forward: list[int] = []
    forward = lm.transformer.forward
    tickets: list[Ticket] = []

    def watched(*arguments: Any) -> Any:
        at_forward.append(len(arrived))
        return forward(*arguments)

    monkeypatch.setattr(lm.transformer, "forward", watched)
    with Engine(lm) as engine:
        tickets.append(engine.submit("one", CONFIG, on_news=lambda: arrived.append(len(at_forward))))
        passes = list(tickets[0])
    assert len(passes) == len(at_forward) > 2
    assert at_forward == list(range(len(passes))), "each has arrived by then"
    assert arrived[:-1] == list(range(1, len(passes) + 1)), "and none before its own pass"


def test_a_call_between_two_passes_comes_after_the_pass_before_it(lm: sdlm_core.LanguageModel) -> None:
    with Engine(lm) as engine:
        called: list[tuple[int, int]] = []
        arrived: list[int] = []

        def news() -> None:
            arrived.append(0)
            if len(arrived) == 2:
                engine.call(lambda _: called.append((len(ticket.run.passes), len(arrived))))

        ticket = engine.submit("one", CONFIG, on_news=news)
        assert len(list(ticket)) > 3
    [(made, delivered)] = called
    assert made == delivered
