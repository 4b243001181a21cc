"""What a visitor may ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app import handlers, limits
from app.model import ServedModel
from app.request import parse_request, parse_trace
from app.sessions import Sessions
from sdlm_core import DecodeConfig, SDLMError
from tests.app.broken import BROKEN
from tests.app.synthetic import HOSTILE, make_trace

RUN = "0" * 32


def ask(content: Any = "Why?", **settings: Any) -> dict[str, Any]:
    return {"run": RUN, "messages": [{"role": "user", "content": content}], "settings": settings}


def test_a_good_request_passes() -> None:
    request = parse_request(ask(threshold=0.5, block_size=4, max_new_tokens=32))
    assert (request.run_id, request.messages[0]["content"]) == (RUN, "Why?")
    assert (request.configs[0].threshold, request.configs[0].block_size) == (0.5, 4)


def test_a_system_prompt_comes_first() -> None:
    request = parse_request(ask() | {"system": "Be\ud800 brief."})
    assert request.messages[0] == {"role": "system", "content": "Be? brief."}
    assert [m["role"] for m in request.messages] == ["system", "user"]
    for empty in (None, "", " \n"):
        assert [m["role"] for m in parse_request(ask() | {"system": empty}).messages] == ["user"]


def test_a_race_is_three_configs_alike_but_for_the_algorithm() -> None:
    configs = parse_request(ask(threshold=0.5, algorithm="entropy_conf"), race=True).configs
    assert [c.algorithm for c in configs] == ["autoregressive", "entropy_conf", "self_speculative"]
    assert {c.threshold for c in configs} == {0.5}
    configs = parse_request(ask(algorithm="autoregressive"), race=True).configs
    assert configs[1].algorithm == "prob_conf"


def test_settings_the_page_does_not_offer_are_left_alone() -> None:
    assert parse_request(ask(use_cache=False, nonsense=1)).configs[0].use_cache is True


def test_halves_of_characters_become_question_marks() -> None:
    assert parse_request(ask("a\ud800b")).messages[0]["content"] == "a?b"


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {},
        ask() | {"run": "short"},
        ask() | {"run": None},
        ask() | {"messages": []},
        ask() | {"messages": "hello"},
        ask() | {"messages": [{"role": "assistant", "content": "x"}]},
        ask() | {"messages": [{"role": "system", "content": "x"}]},
        ask() | {"messages": [{"role": "user", "content": "x"}] * 2},
        ask() | {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        ask() | {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 100},
        ask() | {"messages": [7]},
        ask() | {"settings": None},
        ask() | {"system": 7},
        ask() | {"system": ["x"]},
        ask() | {"system": "x" * 2001},
        ask(""),
        ask("  \n"),
        ask(7),
        ask("x" * 4001),
        ask(threshold=2),
        ask(threshold="high"),
        ask(block_size=0),
        ask(block_size=17),
        ask(block_size=4.5),
        ask(max_new_tokens=10**9),
        ask(temperature=3),
        ask(top_k=101),
        ask(top_k=-1),
        ask(top_p=0),
        ask(top_p="most"),
        ask(block_size="wide"),
        ask(guesses="good"),
        ask(algorithm="magic"),
    ],
)
def test_anything_else_is_a_sentence(data: Any) -> None:
    with pytest.raises(SDLMError) as error:
        parse_request(data)
    assert str(error.value).endswith((".", "again"))
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_trace_is_a_sentence(name: str) -> None:
    with pytest.raises(SDLMError) as error:
        parse_trace(BROKEN[name]())
    assert "\n" not in str(error.value)
    assert 10 < len(str(error.value)) < 250


def test_good_traces_are_read() -> None:
    for trace in (make_trace(), make_trace(50, block_size=4), make_trace(texts=HOSTILE)):
        assert parse_trace(trace.to_json()) == trace


def test_traces_of_many_visitors_are_read_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    alone: list[bool] = []

    def parse_trace(_: Any) -> None:
        alone.append(handlers.READING.locked())
        raise SDLMError("No trace.")

    monkeypatch.setattr(handlers, "parse_trace", parse_trace)
    for _ in range(2):  # tabs
        functions = {f.__name__: f for f in handlers.server_functions(Sessions(ServedModel(lambda: None)))}
        assert functions["check_trace"]("") == {"error": "No trace."}
    assert alone == [True, True]
    assert not handlers.READING.locked()


def test_a_trace_too_large_or_too_wide_is_refused() -> None:
    with pytest.raises(SDLMError, match="too large"):
        parse_trace(" " * (limits.MAX_TRACE_CHARACTERS + 1))
    data = make_trace().to_dict()
    data["block_size"] = 72
    data["passes"][0]["candidates"] *= 9
    with pytest.raises(SDLMError, match="more than 64 candidates"):
        parse_trace(json.dumps(data))


def test_the_page_offers_what_the_server_takes() -> None:
    page = limits.for_page()
    assert json.loads(json.dumps(page)) == page
    assert parse_request(ask(**page["defaults"])).configs == [DecodeConfig(block_size="auto", max_new_tokens=200)]
    assert set(page["by_confidence"]) <= set(page["algorithms"])
    for name, (least, most) in ((n, v) for n, v in page["limits"].items() if isinstance(v, list)):
        for value in (least, most):
            parse_request(ask(**{name: value}))
        with pytest.raises(SDLMError):
            parse_request(ask(**{name: most + 1}))
    for name in page["algorithms"]:
        parse_request(ask(algorithm=name))
    race = parse_request(ask(**page["defaults"]), race=True).configs
    assert [config.algorithm for config in race] == page["race"]
    most = page["limits"]
    parse_request(ask("x" * most["prompt_characters"]))
    with pytest.raises(SDLMError):
        parse_request(ask("x" * (most["prompt_characters"] + 1)))
