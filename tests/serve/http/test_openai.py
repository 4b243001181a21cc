"""The API asked by the real `openai` package: what a program written for OpenAI's sees."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

import sdlm_core
from sdlm_core import DecodeConfig, Trace

ASK: Any = [{"role": "user", "content": "the cat sat on the mat"}]
SHORT: Any = {"model": "tiny", "messages": ASK, "max_tokens": 12}


def alone(site: Any, **settings: Any) -> Trace:
    """The same run, decoded without a server."""
    return sdlm_core.decode(site.engine.lm, ASK, DecodeConfig(**{"max_new_tokens": 12, **settings}))


@pytest.mark.parametrize("algorithm", sdlm_core.ALGORITHMS)
def test_an_answer_is_the_decoders(site: Any, algorithm: str) -> None:
    answer = site.client().chat.completions.create(**SHORT, extra_body={"sdlm": {"algorithm": algorithm}})
    expected = alone(site, algorithm=algorithm)
    choice = answer.choices[0]
    assert choice.message.content == expected.text
    assert choice.message.role == "assistant"
    assert choice.finish_reason == ("stop" if expected.finish_reason == "eos" else "length")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == expected.prompt_tokens
    assert answer.usage.completion_tokens == len(expected.token_ids)
    assert answer.usage.total_tokens == expected.prompt_tokens + len(expected.token_ids)
    assert (answer.model, answer.object) == ("tiny", "chat.completion")
    figures = answer.model_dump()["sdlm"]
    assert figures["pass_count"] == len(expected.passes)
    assert figures["tokens_per_pass"] == pytest.approx(expected.tokens_per_pass)


def test_streamed_it_is_the_same_text_a_chunk_a_pass(site: Any) -> None:
    stream = site.client().chat.completions.create(**SHORT, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    expected = alone(site)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == expected.text
    assert chunks[0].choices[0].delta.role == "assistant"
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert reasons[-1] in ("stop", "length")
    assert set(reasons[:-1]) == {None}
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == len(expected.token_ids)
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert len({c.id for c in chunks}) == 1


def test_passes_are_sent_if_asked_for(site: Any) -> None:
    extra = {"sdlm": {"passes": True, "threshold": 0.3, "block_size": 4}}
    expected = alone(site, threshold=0.3, block_size=4)
    stream = site.client().chat.completions.create(**SHORT, stream=True, extra_body=extra)
    sent = [p for chunk in stream for p in (chunk.model_dump().get("sdlm") or {}).get("passes", [])]
    accepted = [[c["token_id"] for c in p["candidates"][: p["accepted"]]] for p in sent]
    assert accepted == [p.accepted_ids for p in expected.passes]
    answer = site.client().chat.completions.create(**SHORT, extra_body=extra)
    trace = Trace.from_json(json.dumps(answer.model_dump()["sdlm"]["trace"]))
    assert trace.token_ids == expected.token_ids
    assert trace.text == expected.text
    assert trace.finish_reason == expected.finish_reason
    plain = site.client().chat.completions.create(**SHORT)
    assert "trace" not in plain.model_dump()["sdlm"]


@pytest.mark.parametrize("stream", [False, True])
def test_stop_strings_are_cut_exactly(site: Any, stream: bool) -> None:
    """Every substring of the answer as a stop string: also those that span tokens and passes."""
    full = alone(site, threshold=0.3).text
    assert len(full) > 4
    stops = {full[i : i + n] for n in (1, 2, 3, 5) for i in range(0, len(full) - n + 1, 3)}
    client = site.client()
    for stop in sorted(stops):
        options = {**SHORT, "stop": stop, "stream": stream, "extra_body": {"sdlm": {"threshold": 0.3}}}
        got = client.chat.completions.create(**options)
        if stream:
            chunks = list(got)
            text = "".join(c.choices[0].delta.content or "" for c in chunks)
            reason = chunks[-1].choices[0].finish_reason
        else:
            text, reason = got.choices[0].message.content, got.choices[0].finish_reason
        assert text == full[: full.index(stop)], repr(stop)
        assert reason == "stop"


def test_a_stop_string_ends_the_run(site: Any) -> None:
    first = alone(site, threshold=1.0).passes[0].candidates[0].text
    site.hold.clear()
    site.entered.clear()
    before = site.passes
    stream = site.client().chat.completions.create(
        **{**SHORT, "max_tokens": 200}, stop=[first], stream=True, extra_body={"sdlm": {"threshold": 1.0}}
    )
    site.hold.set()
    assert "".join(c.choices[0].delta.content or "" for c in stream) == ""
    site.wait_until(lambda: site.engine.load == (0, 0))
    assert site.passes - before <= 10, "the run was not decoded to its 200 tokens"


def test_a_seed_fixes_the_sample(site: Any) -> None:
    def ask(**more: Any) -> str:
        answer = site.client().chat.completions.create(**SHORT, temperature=1.5, top_p=0.95, **more)
        return str(answer.choices[0].message.content)

    assert ask(seed=7) == ask(seed=7) == alone(site, temperature=1.5, top_p=0.95, seed=7).text
    assert len({ask(seed=seed) for seed in range(4)}) > 1
    assert len({ask() for _ in range(4)}) > 1, "without a seed each answer is another one"
    assert ask(seed=-(2**63))


def test_a_conversation_with_its_roles_and_parts(site: Any) -> None:
    messages: Any = [
        {"role": "developer", "content": "one two three"},
        {"role": "user", "content": [{"type": "text", "text": "four "}, {"type": "text", "text": "five"}]},
        {"role": "assistant", "content": "six"},
        {"role": "user", "content": "seven 🌍"},
    ]
    answer = site.client().chat.completions.create(model="tiny", messages=messages, max_completion_tokens=5)
    plain = [
        {"role": "system", "content": "one two three"},
        {"role": "user", "content": "four five"},
        {"role": "assistant", "content": "six"},
        {"role": "user", "content": "seven 🌍"},
    ]
    assert answer.choices[0].message.content == site.engine.decode(plain, DecodeConfig(max_new_tokens=5)).text


def test_the_list_of_models(site: Any) -> None:
    assert [m.id for m in site.client().models.list()] == ["tiny"]
    assert site.client().models.retrieve("tiny").owned_by == "sdlm"
    with pytest.raises(openai.NotFoundError, match="no model 'other'"):
        site.client().models.retrieve("other")


@pytest.mark.parametrize(
    ("change", "sentence", "param"),
    [
        ({"model": "gpt"}, "There is no model 'gpt' here. Choose: tiny.", "model"),
        ({"messages": []}, "messages", "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "messages[0].content"),
        ({"messages": [*ASK, {"role": "assistant", "content": "x"}]}, "The last message is an answer", "messages"),
        ({"messages": [{"role": "user", "content": "a" * 100_001}]}, "at most 100,000 are read", "messages"),
        ({"messages": [{"role": "user", "content": "a " * 3_000}]}, "reads at most 256", None),
        ({"temperature": -1}, "temperature must be between", "temperature"),
        ({"temperature": 2.5}, "temperature may be at most 2", "temperature"),
        ({"top_p": 0}, "top_p is 0", "top_p"),
        ({"max_tokens": 0}, "max_tokens must be at least 1", "max_tokens"),
        ({"max_tokens": 10**6}, "at most 4,096 tokens", "max_tokens"),
        ({"max_completion_tokens": 3}, "mean the same", "max_tokens"),
        ({"n": 2}, "n must be 1", "n"),
        ({"stop": ["a"] * 5}, "at most 4", "stop"),
        ({"stop": ""}, "1 to 200 characters", "stop"),
        ({"seed": 2**63}, "64 bits", "seed"),
        ({"stream_options": {"include_usage": True}}, "needs stream", "stream_options"),
        ({"extra_body": {"logit_bias": {}}}, "Unknown parameter: 'logit_bias'", "logit_bias"),
        ({"extra_body": {"sdlm": {"speed": 3}}}, "Unknown parameter: 'sdlm.speed'", "sdlm.speed"),
        ({"extra_body": {"sdlm": {"threshold": 1.5}}}, "threshold (τ) must be between 0 and 1", "sdlm.threshold"),
        ({"extra_body": {"sdlm": {"algorithm": "best"}}}, "Unknown algorithm 'best'", "sdlm.algorithm"),
        ({"extra_body": {"sdlm": {"block_size": 17}}}, "at most 16", "sdlm.block_size"),
        ({"extra_body": {"temperature": "hot"}}, "temperature", "temperature"),
    ],
)
def test_mistakes_have_a_sentence_and_name_the_parameter(
    site: Any, change: dict[str, Any], sentence: str, param: str | None
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        site.client().chat.completions.create(**{**SHORT, **change})
    error = caught.value.body
    assert isinstance(error, dict)
    assert set(error) == {"message", "type", "param", "code"}
    assert sentence in error["message"]
    assert error["param"] == param
    assert caught.value.status_code == (404 if "model" in change else 400)
    assert error["type"] == "invalid_request_error"
    assert caught.value.response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_of_the_server_tells_nothing(site: Any, stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    ask: Any = [{"role": "user", "content": "break"}]
    with pytest.raises(openai.APIError) as caught:
        list(site.client().chat.completions.create(model="tiny", messages=ask, stream=stream))
    assert "ZeroDivisionError" in caught.value.message
    assert "secret" not in caught.value.message
    assert "req_" in caught.value.message
    assert site.client().chat.completions.create(**SHORT).choices, "it goes on afterwards"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_cancels_its_run_within_a_pass(site: Any, stream: bool) -> None:
    import httpx

    body = {**SHORT, "max_tokens": 200, "stream": stream, "sdlm": {"threshold": 1.0}}
    site.hold.clear()
    site.entered.clear()
    with httpx.Client(timeout=0.5 if not stream else 10) as http:
        if stream:
            with http.stream("POST", f"{site.url}/v1/chat/completions", json=body) as reply:
                assert site.entered.wait(10)
                assert reply.status_code == 200
        else:
            with pytest.raises(httpx.ReadTimeout):
                http.post(f"{site.url}/v1/chat/completions", json=body)
            assert site.entered.wait(10)
    site.wait_until(lambda: site.api.models[0].line.load == (0, 0))
    before = site.passes
    site.hold.set()
    site.wait_until(lambda: site.engine.load == (0, 0))
    assert site.passes - before <= 1


def test_keys(serve: Any) -> None:
    site = serve(keys=["right", "other"])
    assert site.client(api_key="right").chat.completions.create(**SHORT).choices
    assert site.client(api_key="other").models.list().data
    for ask in (lambda c: c.chat.completions.create(**SHORT), lambda c: c.models.list()):
        with pytest.raises(openai.AuthenticationError, match="needs an API key"):
            ask(site.client(api_key="wrong"))
