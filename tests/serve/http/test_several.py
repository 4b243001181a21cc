"""Two models behind /v1: listed both, each loaded when it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import sdlm_core
from sdlm_core import DecodeConfig, SDLMError
from sdlm_core.serve.http.api import Api
from sdlm_core.serve.http.server import create_server
from sdlm_core.serve.models import LoadedModel, Models

ASK: Any = [{"role": "user", "content": "the cat sat"}]


@pytest.fixture(scope="module")
def folders(checkpoint: Callable[..., Path]) -> list[str]:
    """Two checkpoints, and one that is none."""
    return [
        str(checkpoint(kind="llama")),
        str(checkpoint(kind="qwen2", tied=False, causal_attn=True)),
        "/no/such/model",
    ]


@pytest.fixture
def client(folders: list[str]) -> Iterator[TestClient]:
    def load(name: str) -> Any:
        return sdlm_core.load_model(name, "cpu", "float32")

    served = [LoadedModel(name, lambda name=name: load(name)) for name in folders]
    models = Models(served, "cpu", "float32")
    with TestClient(create_server(Api(served))) as client:
        yield client
    models.close()


def ask(client: TestClient, model: str, **more: Any) -> Any:
    body = {"model": model, "messages": ASK, "max_tokens": 6, **more}
    return client.post("/v1/chat/completions", json=body)


def test_both_are_listed_and_answer(client: TestClient, folders: list[str]) -> None:
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == folders
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["models"]) == (200, dict.fromkeys(folders, "unloaded"))
    for name in (*folders[:2], folders[0]):
        lm = sdlm_core.load_model(name, "cpu", "float32")
        answer = ask(client, name)
        text = sdlm_core.decode(lm, ASK, DecodeConfig(max_new_tokens=6)).text
        assert answer.json()["choices"][0]["message"]["content"] == text
        assert client.get("/ready").json()["models"][name] == "ready"
    stream = ask(client, folders[1], stream=True)
    assert stream.text.rstrip().endswith("data: [DONE]")
    assert list(client.get("/ready").json()["models"].values()) == ["unloaded", "ready", "unloaded"]


def test_what_cannot_be_loaded_is_said_in_a_sentence(client: TestClient, folders: list[str]) -> None:
    for _ in range(2):  # it is tried again
        answer = ask(client, folders[2])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "There is no folder '/no/such/model'" in answer.json()["error"]["message"]
    assert client.get("/ready").json()["models"][folders[2]] == "failed"
    assert client.get("/ready").status_code == 200
    unknown = ask(client, "other")
    assert unknown.status_code == 404
    assert all(name in unknown.json()["error"]["message"] for name in folders)


def test_many_at_once_for_both(client: TestClient, folders: list[str]) -> None:
    answers: list[int] = []

    def one(number: int) -> None:
        answers.append(ask(client, folders[number % 2]).status_code)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert answers == [200] * 12


def test_who_waits_for_a_model_learns_that_it_cannot_be_loaded(folders: list[str]) -> None:
    gate = threading.Event()

    def load() -> Any:
        assert gate.wait(60)
        raise SDLMError("It is damaged.")

    served = [LoadedModel("a", load), LoadedModel("b", load)]
    models = Models(served)
    with TestClient(create_server(Api(served))) as client:
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(ask(client, "a")))
        thread.start()
        while served[0].line.load != (0, 1):
            thread.join(0.01)
        assert client.get("/ready").json()["models"] == {"a": "loading", "b": "unloaded"}
        gate.set()
        thread.join(60)
        assert found[0].json()["error"]["message"] == "It is damaged."
    assert served[0].line.load == (0, 0)
    models.close()
