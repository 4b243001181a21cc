"""The OpenAI-compatible API beside the real page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from gradio import http_server
from starlette.testclient import TestClient

import sdlm_core
from app import limits, page, visitors
from app.sessions import Sessions
from sdlm_core import DecodeConfig

ASK: Any = [{"role": "user", "content": "the cat sat"}]


@pytest.fixture
def url(served: Sessions, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "x")  # put back afterwards
    visitors.trust_proxies()
    blocks, address = page.launch(served)
    yield address.rstrip("/")
    blocks.close()


def test_it_answers_with_the_pages_model_and_limits(url: str, served: Sessions) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    (model,) = client.models.list()
    assert model.id == served.model.name
    text = sdlm_core.decode(served.model.lm, ASK, DecodeConfig(max_new_tokens=8)).text
    answer = client.chat.completions.create(model=model.id, messages=ASK, max_tokens=8)
    assert answer.choices[0].message.content == text
    chunks = client.chat.completions.create(model=model.id, messages=ASK, max_tokens=8, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == text
    with pytest.raises(openai.BadRequestError, match=f"{limits.MAX_NEW_TOKENS:,}"):
        client.chat.completions.create(model=model.id, messages=ASK, max_tokens=limits.MAX_NEW_TOKENS + 1)
    assert httpx.get(f"{url}/config").status_code == 200, "the page is still there"


def test_it_is_there_before_the_server_listens(served: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    start, found = http_server.start_server, []

    def watched(app: Any, **options: Any) -> Any:
        found.append(TestClient(app).get("/v1/models").json()["data"][0]["id"])
        return start(app=app, **options)

    monkeypatch.setattr(http_server, "start_server", watched)
    page.launch(served)[0].close()
    assert found == [served.model.name]


def test_nobody_may_name_the_address_they_come_from(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn

    config = uvicorn.Config(page)  # as Gradio makes it
    assert config.forwarded_allow_ips == ""
    monkeypatch.setenv(visitors.TRUSTED_PROXIES, "10.0.0.1")
    visitors.trust_proxies()
    assert uvicorn.Config(page).forwarded_allow_ips == "10.0.0.1"


def test_on_a_space_the_hosts_proxy_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "x")  # put back afterwards
    monkeypatch.delenv(visitors.TRUSTED_PROXIES, raising=False)
    monkeypatch.setenv("SPACE_ID", "somebody/sdlm")
    visitors.trust_proxies()
    assert os.environ["FORWARDED_ALLOW_IPS"] == visitors.SPACE_PROXIES
    monkeypatch.setenv(visitors.TRUSTED_PROXIES, "")
    visitors.trust_proxies()
    assert os.environ["FORWARDED_ALLOW_IPS"] == ""
