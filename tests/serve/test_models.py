"""Several models in one memory: loaded when asked for, given back when another needs the room."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sdlm_core import DecodeConfig, SDLMError, load_model
from sdlm_core.serve import Engine, models
from sdlm_core.serve.fairness import Place
from sdlm_core.serve.models import LoadedModel, Models

PATIENCE = 60  # seconds; only ends a test that would hang


class Shelf:
    """Models a, b, c … that take no memory, and what has become of them, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int, most: int | None = 1) -> None:
        self.events: list[str] = []
        self.missing: Callable[[str], int] = lambda _: 0  # bytes, by name
        self.gate = threading.Event()  # no model is loaded while it is not set
        self.gate.set()
        self.wrong: dict[str, str] = {}  # sentences, by name
        self.all = [LoadedModel(name, lambda name=name: self._load(name), self._engine) for name in "abc"[:count]]
        self.models = Models(self.all, most=most)
        monkeypatch.setattr(models, "missing_bytes", lambda name, *_: (7, self.missing(name)))

    def _load(self, name: str) -> Any:
        assert self.gate.wait(PATIENCE)
        if name in self.wrong:
            raise SDLMError(self.wrong[name])
        self.events.append(f"+{name}")
        return SimpleNamespace(name=name)

    def _engine(self, lm: Any) -> Any:
        return SimpleNamespace(close=lambda: self.events.append(f"-{lm.name}"))

    def __getitem__(self, name: str) -> LoadedModel:
        return self.all["abc".index(name)]

    def ask(self, name: str, wait: bool = True) -> Place:
        """Enter a model's line; wait: until the turn has come."""
        turn = threading.Event()
        place = self[name].line.enter("somebody", turn.set)
        assert not wait or turn.wait(PATIENCE)
        return place

    def until(self, condition: Callable[[], bool]) -> None:
        """Until something is so that another thread does."""
        waiter = threading.Event()
        for _ in range(PATIENCE * 200):
            if condition():
                return
            waiter.wait(0.005)
        raise AssertionError("waited in vain")

    def loaded(self) -> str:
        return "".join(str(model.name) for model in self.all if model.engine is not None)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shelf]:
    return lambda *args, **options: Shelf(monkeypatch, *args, **options)


def test_a_model_is_loaded_when_it_is_first_asked_for(shelf: Callable[..., Shelf]) -> None:
    some = shelf(2)
    assert [model.state for model in some.all] == ["unloaded", "unloaded"]
    place = some.ask("b")
    assert (place.position, some["b"].state, some["b"].size, some.events) == (0, "ready", 7, ["+b"])
    some.models.load_first()
    place.leave()
    some.until(lambda: some.loaded() == "a")
    assert some.events == ["+b", "-b", "+a"]


def test_who_asks_while_it_is_loaded_waits_and_it_is_loaded_once(shelf: Callable[..., Shelf]) -> None:
    some = shelf(2)
    some.gate.clear()
    places = [some.ask("a", wait=False) for _ in range(9)]
    assert some["a"].state == "loading"
    assert [place.position for place in places] == list(range(1, 10))
    some.gate.set()
    some.until(lambda: places[3].position == 0)
    assert some.events == ["+a"]


def test_the_idle_one_asked_for_longest_ago_makes_room(shelf: Callable[..., Shelf]) -> None:
    some = shelf(3, most=2)
    for name in "aba":
        some.ask(name).leave()
    some.ask("c").leave()
    assert (some.events, some.loaded()) == (["+a", "+b", "-b", "+c"], "ac")
    busy = some.ask("a")
    some.ask("c").leave()
    some.ask("b")
    assert some.events[-2:] == ["-c", "+b"], "a was asked for before c, but has a run in progress"
    busy.leave()


def test_a_run_in_progress_keeps_its_model_but_no_new_one_goes_before_those_who_wait(
    shelf: Callable[..., Shelf],
) -> None:
    some = shelf(2)
    first = some.ask("a")
    other = some.ask("b", wait=False)
    some.until(lambda: some["a"].line.paused)
    later = some.ask("a", wait=False)
    assert (first.position, other.position, later.position, some.loaded()) == (0, 1, 1, "a")
    assert some["b"].state == "unloaded"
    first.leave()
    some.until(lambda: other.position == 0)
    some.until(lambda: some["b"].line.paused)  # for who came later
    assert some.events == ["+a", "-a", "+b"]
    other.leave()
    some.until(lambda: later.position == 0)
    assert some.events == ["+a", "-a", "+b", "-b", "+a"]


def test_nobody_makes_room_for_who_has_left(shelf: Callable[..., Shelf]) -> None:
    some = shelf(2)
    first = some.ask("a")
    some.ask("b", wait=False).leave()
    some.until(lambda: not some["a"].line.paused)
    assert some.ask("a").position == 0
    first.leave()
    assert some.events == ["+a"]


def test_as_many_stay_as_fit(shelf: Callable[..., Shelf], monkeypatch: pytest.MonkeyPatch) -> None:
    some = shelf(3, most=None)
    some.missing = lambda _: 1 if len(some.loaded()) == 2 else 0
    monkeypatch.setattr(models, "pick_device", lambda _: SimpleNamespace(type="cuda"))
    for name in "abc":
        some.ask(name).leave()
    assert some.events == ["+a", "+b", "-a", "+c"]
    monkeypatch.setattr(models, "pick_device", lambda _: SimpleNamespace(type="cpu"))
    some.ask("a").leave()
    assert some.loaded() == "a"


def test_all_who_wait_learn_why_and_who_asks_later_has_it_tried_again(shelf: Callable[..., Shelf]) -> None:
    some = shelf(2)
    some.wrong["b"] = "The file is damaged."
    some.gate.clear()
    places = [some.ask("b", wait=False) for _ in range(2)]
    some.gate.set()
    some.until(lambda: not any(place.position for place in places))
    assert (some["b"].error, some["b"].state) == ("The file is damaged.", "failed")
    places[0].leave()
    assert not some["b"].line.paused
    places[1].leave()
    assert some["b"].state == "failed"
    del some.wrong["b"]
    some.ask("b")
    assert (some["b"].error, some.loaded()) == (None, "b")


def test_what_is_no_model_drives_none_out(shelf: Callable[..., Shelf]) -> None:
    some = shelf(2)
    some.ask("a").leave()

    def missing(name: str) -> int:
        raise SDLMError(f"There is no folder {name}.")

    some.missing = missing
    some.wrong["b"] = "There is no folder b."
    some.ask("b")
    assert (some["b"].error, some.events) == ("There is no folder b.", ["+a"])


def test_a_single_model_is_loaded_at_the_start(shelf: Callable[..., Shelf]) -> None:
    some = shelf(1)
    place = some.ask("a")
    assert (place.position, some["a"].state, some.events) == (0, "loading", [])
    some.models.load_first()
    some.until(lambda: some.loaded() == "a")


def test_closing_ends_the_wait(shelf: Callable[..., Shelf]) -> None:
    some = shelf(2)
    some.ask("a")
    some.ask("b", wait=False)
    some.models.close()
    some.until(lambda: some.events == ["+a", "-a"])


@pytest.mark.parametrize("most", [1, 2])
def test_memory_is_given_back_and_divided(
    checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(models, "free_bytes", lambda _: 1_000_000)
    folder = str(checkpoint(kind="llama"))
    both = [LoadedModel(name, lambda: load_model(folder, "cpu", "float32"), Engine) for name in (folder, f"{folder}/")]
    several = Models(both, "cpu", "float32", most=most)
    gone: list[weakref.ref[Any]] = []
    for model in both:
        turn = threading.Event()
        place = model.line.enter("somebody", turn.set)
        assert turn.wait(PATIENCE)
        assert model.engine.decode("the cat", DecodeConfig(max_new_tokens=4)).passes
        gone.append(weakref.ref(model.lm.transformer))
        place.leave()
    gc.collect()
    assert [ref() is None for ref in gone] == [most == 1, False]
    assert [model.size is not None and model.size > 1000 for model in both] == [True, True]
    shares = [model.engine.cache_budget for model in both if model.engine is not None]
    assert len(shares) == most
    assert all(900_000 // most <= share < 1_000_000 for share in shares)
    several.close()
