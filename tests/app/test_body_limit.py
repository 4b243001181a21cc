"""How large a request may be, asked of a page that is served as the real one is."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import gradio as gr
import pytest

from app import page
from app.body_limit import MAX_BODY, TOO_LARGE

ROUTES = ("component_server/", "queue/join", "upload")
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
FIELD = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n"
CHUNK = b" " * 2**20
REFUSAL = json.dumps({"detail": TOO_LARGE}, separators=(",", ":"))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.HTML("")
    blocks.launch(prevent_thread_lock=True, quiet=True, **page.launch_options())
    yield blocks.server_port
    blocks.close()


def answer(connection: http.client.HTTPConnection) -> tuple[int, str]:
    response = connection.getresponse()
    text = response.read().decode()
    return response.status, text


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_announced_too_large_is_refused_before_it_comes(port: int, route: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("POST", f"/gradio_api/{route}")
    connection.putheader("Content-Length", str(MAX_BODY + 1))
    connection.endheaders()
    assert answer(connection) == (413, REFUSAL)
    connection.close()


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_of_unknown_length_is_counted(port: int, route: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    kind = FORM if route == "upload" else JSON
    body = (CHUNK if n else FIELD for n in range(MAX_BODY // len(CHUNK) + 2))
    connection.request("POST", f"/gradio_api/{route}", body, kind, encode_chunked=True)
    assert answer(connection) == (413, REFUSAL)
    connection.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_as_large_as_allowed_is_read(port: int, chunked: bool) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    body = b"[" + b" " * (MAX_BODY - 1)
    if chunked:
        pieces = (body[i : i + len(CHUNK)] for i in range(0, len(body), len(CHUNK)))
        connection.request("POST", "/gradio_api/component_server/", pieces, JSON, encode_chunked=True)
    else:
        connection.request("POST", "/gradio_api/component_server/", body, JSON)
    assert answer(connection) == (400, '{"detail":"Invalid JSON body."}'), "Gradio's own words"
    connection.request("GET", "/gradio_api/info")
    assert answer(connection)[0] == 200
    connection.close()
