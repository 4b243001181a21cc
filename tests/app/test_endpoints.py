"""The page's public endpoints, asked by the packages that people use: gradio_client and mcp."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import sdlm_core
from app import limits, page, visitors
from app.sessions import Sessions
from sdlm_core import DecodeConfig, Trace

ASK = "the cat sat"
FIELDS = ("algorithm", "block_size", "threshold", "max_new_tokens")
SETTINGS: dict[str, Any] = {"algorithm": "prob_conf", "block_size": 4, "threshold": 0.3, "max_new_tokens": 12}


pytestmark = pytest.mark.slow  # each starts the page


@pytest.fixture
def url(served: Sessions, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "x")  # put back afterwards
    visitors.trust_proxies()
    blocks, address = page.launch(served)
    yield address
    blocks.close()


@pytest.fixture
def client(url: str) -> Client:
    return Client(url, verbose=False)


def expected(served: Sessions, **changes: Any) -> Trace:
    messages = [{"role": "user", "content": ASK}]
    return sdlm_core.decode(served.model.lm, messages, DecodeConfig(**(SETTINGS | changes)))


def call_tools(url: str, *calls: tuple[str, dict[str, Any]], headers: dict[str, str] | None = None) -> list[Any]:
    """The tools' list, and the result of each call."""

    async def talk() -> list[Any]:
        async with (
            httpx.AsyncClient(headers=headers, timeout=60) as web,
            streamable_http_client(f"{url}gradio_api/mcp/", http_client=web) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return [await session.list_tools(), *[await session.call_tool(*call) for call in calls]]

    return asyncio.run(talk())


def test_decode_streams_passes_and_ends_with_the_whole_record(client: Client, served: Sessions) -> None:
    trace = expected(served)
    updates = list(client.submit(ASK, **SETTINGS, api_name="/decode"))
    assert updates[-1]["text"] == trace.text
    assert Trace.from_json(json.dumps(updates[-1]["trace"])).token_ids == trace.token_ids
    assert [p["index"] for update in updates for p in update["passes"]] == [p.index for p in trace.passes]
    assert all(update["trace"] is None for update in updates[:-1])
    assert all(trace.text.startswith(update["text"].rstrip("\ufffd")) for update in updates)
    short = client.predict(ASK, **SETTINGS, with_trace=False, api_name="/decode")
    assert (short["text"], short["passes"]) == (trace.text, [])
    assert short["trace"]["finish_reason"] == trace.finish_reason


def test_history_is_read_before_the_prompt(client: Client, served: Sessions) -> None:
    history = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    record = client.predict(ASK, **SETTINGS, history=history, api_name="/decode")["trace"]
    asked = [*history, {"role": "user", "content": ASK}]
    trace = sdlm_core.decode(served.model.lm, asked, DecodeConfig(**SETTINGS))
    assert record["token_ids"] == trace.token_ids


def test_compare_answers_for_each_setting(client: Client, served: Sessions) -> None:
    several = [SETTINGS, {**SETTINGS, "algorithm": "autoregressive"}]
    answers = list(client.submit(ASK, several, api_name="/compare"))[-1]
    traces = [expected(served), expected(served, algorithm="autoregressive")]
    assert [a["text"] for a in answers] == [t.text for t in traces]
    assert [a["tokens_per_pass"] for a in answers] == [t.tokens_per_pass for t in traces]
    assert [a["trace"] for a in answers] == [None, None]
    assert all(answers[0]["settings"][name] == SETTINGS[name] for name in FIELDS)


def test_models_are_listed_with_their_limits(client: Client, served: Sessions) -> None:
    (model,) = client.predict(api_name="/models")
    assert (model["name"], model["state"]) == (served.model.name, "ready")
    assert model["limits"]["max_new_tokens"][1] == limits.MAX_NEW_TOKENS


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("/decode", {"prompt": 7}, "prompt must be a text"),
    ("/decode", {"prompt": " "}, "empty"),
    ("/decode", {"prompt": "x" * (limits.MAX_PROMPT_CHARACTERS + 1)}, "Shorten it"),
    ("/decode", {"prompt": ASK, "algorithm": "magic"}, "Unknown algorithm"),
    ("/decode", {"prompt": ASK, "block_size": limits.MAX_BLOCK_SIZE + 1}, "at most 16"),
    ("/decode", {"prompt": ASK, "threshold": "high"}, "must be a number"),
    ("/decode", {"prompt": ASK, "threshold": None}, "must be a number"),
    ("/decode", {"prompt": ASK, "temperature": 99}, "temperature"),
    ("/decode", {"prompt": ASK, "max_new_tokens": 10**9}, "at most 1,024"),
    ("/decode", {"prompt": ASK, "seed": 1.5}, "whole number"),
    ("/decode", {"prompt": ASK, "history": "x"}, "history must be a list"),
    ("/decode", {"prompt": ASK, "history": [{"role": "system", "content": "x"}]}, "take turns"),
    ("/compare", {"prompt": ASK, "settings": []}, "1 to 8"),
    ("/compare", {"prompt": ASK, "settings": [{}] * (limits.MAX_COMPARED + 1)}, "1 to 8"),
    ("/compare", {"prompt": ASK, "settings": [7]}, "must be an object"),
    ("/compare", {"prompt": ASK, "settings": [{"use_cache": False}]}, "Unknown setting 'use_cache'"),
]


def test_what_cannot_be_asked_is_answered_with_a_sentence(client: Client) -> None:
    for name, arguments, sentence in WRONG:
        with pytest.raises(AppError, match=sentence):
            client.predict(**arguments, api_name=name)


def test_a_run_that_is_followed_is_not_touched_by_the_endpoints(client: Client, served: Sessions) -> None:
    client.predict(ASK, **SETTINGS, api_name="/decode")
    assert not served._runs, "what the API asked for is not kept"
    assert not served._followed


def test_nothing_but_the_endpoints_is_public(client: Client, url: str) -> None:
    info = client.view_api(return_format="dict", print_info=False)
    assert set(info["named_endpoints"]) == {"/decode", "/compare", "/models"}
    assert not info["unnamed_endpoints"]
    decode = info["named_endpoints"]["/decode"]
    assert {p["parameter_name"] for p in decode["parameters"]} >= {"prompt", "history", *SETTINGS}
    assert httpx.get(f"{url}config").json()["footer_links"] == ["api"]


def test_mcp_clients_find_and_call_the_tools(url: str, served: Sessions) -> None:
    trace = expected(served)
    calls = (
        ("decode", {"prompt": ASK, **SETTINGS}),
        ("compare", {"prompt": ASK, "settings": [SETTINGS]}),
        ("models", {}),
        ("decode", {"prompt": ASK, "threshold": 7}),
    )
    tools, decoded, compared, models, wrong = call_tools(url, *calls)
    assert {tool.name for tool in tools.tools} == {"decode", "compare", "models"}
    for tool in tools.tools:
        assert tool.description
        for name, schema in tool.inputSchema["properties"].items():
            assert schema.get("description"), f"{tool.name} does not say what {name} is"
    answer = json.loads(decoded.content[0].text)
    assert answer["text"] == trace.text
    assert Trace.from_json(json.dumps(answer["trace"])).token_ids == trace.token_ids
    assert json.loads(compared.content[0].text)[0]["text"] == trace.text
    assert json.loads(models.content[0].text)[0]["name"] == served.model.name
    assert wrong.isError
    assert "between 0 and 1" in wrong.content[0].text


def test_an_mcp_callers_address_cannot_be_made_up(url: str, served: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    follow = served.follow

    def note(request: Any, session: str, keep: bool, client: str) -> Any:
        names.append(client)
        return follow(request, session, keep, client)

    monkeypatch.setattr(served, "follow", note)
    forged = {visitors.HEADER: "address:8.8.8.8 " + "0" * 64, "x-forwarded-for": "8.8.8.8"}
    call_tools(url, ("decode", {"prompt": ASK, **SETTINGS}), headers=forged)
    Client(url, verbose=False, headers=forged).predict(ASK, **SETTINGS, api_name="/decode")
    assert names == ["address:127.0.0.1"] * 2


def test_the_address_of_an_mcp_caller_is_kept() -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sent.append(dict(scope["headers"]))

    asked = {"type": "http", "path": visitors.MCP_PATH, "client": ("9.9.9.9", 1), "headers": []}
    asyncio.run(visitors.SignMcpClient(app)(asked, None, None))  # type: ignore[arg-type]

    request: Any = SimpleNamespace(headers={visitors.HEADER: sent[0][visitors.HEADER.encode()].decode()})
    assert visitors.client_of(request) == "address:9.9.9.9"
