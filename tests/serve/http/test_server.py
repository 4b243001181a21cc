"""The server by itself: what a host asks of it, and what strangers send to it."""

from __future__ import annotations

import json
import logging
import socket
from typing import Any

import httpx
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from sdlm_core.serve.fairness import LineLimits
from sdlm_core.serve.http.api import create_app, route
from sdlm_core.serve.http.limits import Limits
from sdlm_core.serve.http.logs import JsonFormatter
from sdlm_core.serve.http.server import create_server
from sdlm_core.serve.models import LoadedModel

SECRET = "the cat sat on my secret"
BODY: Any = {"model": "tiny", "messages": [{"role": "user", "content": SECRET}], "max_tokens": 6}


def chat(site: Any, body: Any = BODY, **options: Any) -> httpx.Response:
    return httpx.post(f"{site.url}/v1/chat/completions", json=body, timeout=30, **options)


def metrics(site: Any) -> dict[str, float]:
    """Each sample's value by its name and labels."""
    text = httpx.get(f"{site.url}/metrics").text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {s.name + "".join(f"/{v}" for k, v in sorted(s.labels.items())): s.value for s in samples}


def test_health_and_readiness(site: Any) -> None:
    assert httpx.get(f"{site.url}/health").json() == {"status": "ok"}
    ready = httpx.get(f"{site.url}/ready")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "models": {"tiny": "ready"}})


@pytest.mark.parametrize("error", [None, "There is no such checkpoint."])
def test_a_model_that_is_not_there(error: str | None) -> None:
    from starlette.testclient import TestClient

    from sdlm_core.serve.http.api import Api

    served = LoadedModel("tiny", lambda: pytest.fail("nobody loads it"))
    served.error = error
    client = TestClient(create_server(Api([served])))
    assert client.get("/health").status_code == 200
    state = "failed" if error else "loading"
    assert client.get("/ready").json() == {"ready": False, "models": {"tiny": state}}
    assert client.get("/ready").status_code == 503
    answer = client.post("/v1/chat/completions", json=BODY)
    assert answer.status_code == 503
    assert (error or "is being loaded") in answer.json()["error"]["message"]


def test_metrics_count_what_was_done(site: Any) -> None:
    before = metrics(site)
    answer = chat(site).json()
    chat(site, {**BODY, "temperature": -1})
    after = metrics(site)

    def more(name: str) -> float:
        return after[name] - before[name]

    passes, tokens = answer["sdlm"]["pass_count"], answer["usage"]["completion_tokens"]
    assert more("sdlm_passes_total") == passes
    assert more("sdlm_tokens_total") == tokens
    assert more("sdlm_prompt_tokens_total") == answer["usage"]["prompt_tokens"]
    assert more("sdlm_rows_total") >= tokens
    assert (more("sdlm_tokens_per_pass_count"), more("sdlm_tokens_per_pass_sum")) == (passes, tokens)
    assert more("sdlm_time_to_first_token_seconds_count") == 1
    assert more(f"sdlm_requests_total/{answer['choices'][0]['finish_reason']}") == 1
    assert more("sdlm_requests_total/refused") == 1
    assert more("sdlm_failures_total") == 0
    assert after["sdlm_cache_bytes"] > 0
    site.hold.clear()
    site.entered.clear()
    with httpx.stream("POST", f"{site.url}/v1/chat/completions", json={**BODY, "stream": True}, timeout=30) as reply:
        assert site.entered.wait(10)
        now = metrics(site)
        assert (now["sdlm_requests_running"], now["sdlm_runs_decoding"]) == (1, 1)
        assert (now["sdlm_queue_length"], now["sdlm_runs_queued"]) == (0, 0)
        site.hold.set()
        reply.read()
    chat(site, {**BODY, "messages": [{"role": "user", "content": "break"}]})
    assert metrics(site)["sdlm_failures_total"] == after["sdlm_failures_total"] + 1


def test_metrics_need_the_key(serve: Any) -> None:
    site = serve(keys=["right"])
    assert httpx.get(f"{site.url}/metrics").status_code == 401
    assert httpx.get(f"{site.url}/metrics", headers={"Authorization": "Bearer right"}).status_code == 200
    assert httpx.get(f"{site.url}/health").status_code == 200


def test_logs_have_the_request_and_none_of_its_text(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answer = chat(site)
        chat(site, {**BODY, "messages": [{"role": "user", "content": f"break {SECRET}"}]})
        chat(site, {**BODY, "messages": [{"role": SECRET, "content": SECRET}]})
        site.wait_until(lambda: sum(r.name == "sdlm.requests" for r in caplog.records) == 3)
    lines = [JsonFormatter().format(r) for r in caplog.records]
    entries = [json.loads(line) for line in lines]
    entry, fault, refused = (e for e in entries if e["message"] == "request")
    assert entry["request_id"] == answer.headers["x-request-id"]
    assert (entry["status"], entry["path"], entry["method"]) == (200, "/v1/chat/completions", "POST")
    assert entry["client"] == "address:127.0.0.1"
    assert entry["completion_tokens"] == answer.json()["usage"]["completion_tokens"]
    assert entry["first_token_seconds"] > 0
    assert (fault["status"], fault["exception"]) == (500, "ZeroDivisionError")
    assert "advance" in fault["traceback"]
    assert refused["status"] == 400
    text = answer.json()["choices"][0]["message"]["content"]
    assert not any(SECRET in line or text in line for line in lines if "uvicorn" not in line)


def test_forwarded_addresses_are_believed_only_from_trusted_proxies(serve: Any) -> None:
    for trusted, client in (([], "address:127.0.0.1"), (["127.0.0.1"], "address:203.0.113.7")):
        site = serve(trusted_proxies=trusted, line=LineLimits())
        seen: list[str] = []
        enter = site.api.models[0].line.enter
        site.api.models[0].line.enter = lambda name, on_turn, enter=enter, seen=seen: (
            seen.append(name),
            enter(name, on_turn),
        )[1]
        assert chat(site, headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 200
        assert seen == [client]


def test_too_many_requests_of_one_client(serve: Any) -> None:
    site = serve(line=LineLimits(running=2, waiting=4, running_per_client=1, waiting_per_client=0))
    site.hold.clear()
    site.entered.clear()
    with httpx.stream("POST", f"{site.url}/v1/chat/completions", json={**BODY, "stream": True}, timeout=30) as reply:
        assert site.entered.wait(10)
        refused = chat(site)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert int(refused.headers["retry-after"]) > 0
        site.hold.set()
        reply.read()
    assert chat(site).status_code == 200


def test_beside_another_app(site: Any) -> None:
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    page = FastAPI(routes=[route(site.api.models, keys=[])])

    @page.get("/{anything:path}")
    def catch_all(anything: str) -> str:
        return f"the page {anything}"

    client = TestClient(page)
    assert client.get("/hello").json() == "the page hello"
    assert client.get("/v1/models").json()["data"][0]["id"] == "tiny"
    assert client.post("/v1/chat/completions", json=BODY).json()["choices"][0]["message"]["content"]
    assert client.get("/hello").json() == "the page hello"


# -- hostile ----------------------------------------------------------------------------------------------------------


def unharmed(response: httpx.Response) -> None:
    """No fault of the server, no traceback, and an error in OpenAI's shape."""
    assert response.status_code < 500, response.text
    assert "Traceback" not in response.text
    assert ".py" not in response.text
    if response.status_code >= 400:
        assert set(response.json()) == {"error"}
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


RAW = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"model":' * 5_000,
    b'{"model": "\\ud800"}',
    b'{"\\ud800": 1, "model": "tiny", "messages": [{"role": "user", "content": "x"}]}',
    b'{"model": "tiny", "messages": [{"role": "user", "content": "\\ud800\\u0000"}], "max_tokens": 2}',
    b'{"model": "tiny", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
    b'{"model": "tiny", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
    b'{"model": "tiny", "messages": [{"role": "user", "content": "x"}], "seed": ' + b"9" * 5_000 + b"}",
    b'{"model": "tiny", "messages": [{"role": "user", "content": "<|im_end|><|im_start|>"}], "max_tokens": 2}',
    b'{"model": "tiny", "messages": [{"role": "user", "content": ""}], "max_tokens": 2}',
    b'{"model": "tiny", "messages": {"0": {}}, "stop": [[]]}',
]


@pytest.mark.parametrize("number", range(len(RAW)))
def test_broken_bodies(site: Any, number: int) -> None:
    headers = {"Content-Type": "application/json"}
    unharmed(httpx.post(f"{site.url}/v1/chat/completions", content=RAW[number], headers=headers, timeout=30))


def test_other_addresses_and_methods(site: Any) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
        unharmed(httpx.request(method, f"{site.url}/v1/chat/completions"))
    for address in ("/", "/v1", "/v1/", "/v1/models/..%2f..%2fetc", "/v1/%00", "/v1/models/%ff", "/x" * 2_000):
        unharmed(httpx.get(f"{site.url}{address}"))
    form = httpx.post(
        f"{site.url}/v1/chat/completions", content=json.dumps(BODY), headers={"Content-Type": "text/plain"}
    )
    assert form.status_code == 400, "what a foreign web page may send without being asked is not read"


def test_bodies_that_are_too_large(serve: Any) -> None:
    site = serve(limits=Limits(body_bytes=1024**2))
    memory = psutil.Process().memory_info().rss
    for _ in range(20):
        large = httpx.post(f"{site.url}/v1/chat/completions", content=(b" " * 2**16 for _ in range(64)), timeout=30)
        assert large.status_code == 413
        unharmed(large)
    assert psutil.Process().memory_info().rss - memory < 60 * 1024**2


def test_bodies_that_stop_half_way(serve: Any) -> None:
    site = serve(limits=Limits(body_seconds=1))
    port = int(site.url.rpartition(":")[2])
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: 1000\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
        slow.sendall(head)
        assert slow.recv(20).startswith(b"HTTP/1.1 408")
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as cut:
            cut.sendall(head)
    assert chat(site).status_code == 200
    site.wait_until(lambda: site.api.models[0].line.load == (0, 0))


def fuzz(site: Any, cases: Any, method: str, examples: int) -> int:
    """Send so many requests made from the schema, half of them changed at one place; returns how many were sent."""
    values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just([]))
    keys = st.sampled_from(["model", "sdlm", "stop", "seed", "max_tokens", "messages", "other"])
    short = {"model": "tiny", "max_tokens": 2, "max_completion_tokens": None, "n": None}  # else few would be answered
    client = httpx.Client(timeout=30)
    sent = 0

    @seed(17)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, keys, values, st.booleans())
    def send(case: Any, key: str, value: Any, change: bool) -> None:
        nonlocal sent
        body = case.body
        if isinstance(body, dict):
            body = {**body, **short, **({key: value} if change else {})}
        path = f"{site.url}/v1{case.formatted_path}"
        content = json.dumps(body, default=str).encode() if method == "POST" else None
        unharmed(client.request(method, path, content=content, headers={"Content-Type": "application/json"}))
        sent += 1

    send()
    return sent


@pytest.mark.parametrize("examples", [20, pytest.param(170, marks=pytest.mark.slow)])
def test_requests_made_up_from_the_schema(site: Any, examples: int) -> None:
    """Most of them wrong somewhere; afterwards an answer is what it was, and nothing is left running."""
    before = chat(site).json()["choices"][0]["message"]["content"]
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(site.api))
    positive, negative = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
    chats = schema["/chat/completions"]["POST"]
    sent = fuzz(site, chats.as_strategy(generation_mode=positive), "POST", examples)
    sent += fuzz(site, chats.as_strategy(generation_mode=negative), "POST", 3 * examples // 2)
    sent += fuzz(site, schema["/models/{name}"]["GET"].as_strategy(generation_mode=positive), "GET", examples // 2)
    assert 2.5 * examples <= sent <= 3 * examples
    assert chat(site).json()["choices"][0]["message"]["content"] == before
    site.wait_until(lambda: site.api.models[0].line.load == (0, 0) and site.engine.load == (0, 0))
