"""The lab without a page: sweeps of one's own, what they come to, and the sentence about τ."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import sdlm_core
from app import limits
from app.events import End
from app.lab import data, downloads, pictures, results, tab
from app.lab.pictures import Setting
from app.lab.sweep import Update, settings, sweep
from app.lab.text import what_tau_does
from app.model import ServedModel
from app.request import parse_request
from app.sessions import Sessions
from sdlm_core import SDLMError
from sdlm_core.evaluate.likelihood import log_likelihoods
from sdlm_core.evaluate.tasks import Item, TaskSet, load_set
from tests.app.conftest import until
from tests.app.sweep_data import make_sweep

TOKENS = 12  # that an answer of a sweep may have here
SETTING = Setting("problems", "prob_conf", 4, 0.9)
ME: Any = SimpleNamespace(session_hash="me", headers={}, client=None)  # a request's session


async def collect(sessions: Sessions, items: list[Item], enough: int | None = None, d: int = 4) -> list[Update]:
    """A sweep's updates, or those up to so many results."""
    updates = []
    swept = sweep(sessions, TaskSet("made-up", tuple(items), TOKENS), "prob_conf", d, "someone")
    async for update in swept:
        updates.append(update)
        if enough is not None and sum(len(u.results) for u in updates) == enough:
            await swept.aclose()
            break
    return updates


@pytest.fixture
def sessions(load: Callable[..., sdlm_core.LanguageModel]) -> Iterator[Sessions]:
    model = ServedModel(lambda: load(initializer_range=0.5, seed=1))
    model.load()
    yield Sessions(model)
    model.close()


async def ask(sessions: Sessions, session: str, **changes: Any) -> End:
    """A question in the chat, and how its answer ended."""
    asked = {
        "run": secrets.token_hex(16),
        "messages": [{"role": "user", "content": "the dog sat"}],
        "settings": {"max_new_tokens": 12} | changes,
    }
    events = [event async for fresh in sessions.follow(parse_request(asked), session) for event in fresh]
    assert isinstance(events[-1], End)
    return events[-1]


def found_in(updates: list[Update]) -> list[dict[str, Any]]:
    """The results of a sweep's updates."""
    return [r for update in updates for r in update.results]


def test_a_sweep_of_a_prompt_is_nine_runs_of_the_decoder(sessions: Sessions) -> None:
    updates = asyncio.run(collect(sessions, [Item("mine", "the cat sat")]))
    found = found_in(updates)
    lm = sessions.model.lm
    assert [r["threshold"] for r in found] == [None, 1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, None]
    assert updates[-1].sentence == "Done: 9 runs."
    for r in found[1:-1]:
        config = sdlm_core.DecodeConfig(threshold=r["threshold"], block_size=4, max_new_tokens=12)
        trace = sdlm_core.decode(lm, "the cat sat", config)
        assert (r["tokens"], r["passes"], r["text"]) == (len(trace.token_ids), len(trace.passes), trace.text)
        reading = [x for x, _ in log_likelihoods(lm, [(lm.encode("the cat sat")[1], trace.token_ids)])[0]]
        assert r["log_likelihood"] == pytest.approx(sum(reading) / len(reading), rel=1e-4)
    assert found[0]["wall_clock"] == pytest.approx(1)
    assert found[1]["agreement"] == found[-1]["agreement"] == 1
    rows = results.reliability_rows([found[1]])
    assert rows[0]["right"] == rows[0]["count"]  # position 1 is τ 1's own choice
    assert sum(rows[0]["count"]) == found[1]["tokens"]


def test_a_sweep_at_another_d_than_the_models_says_so(sessions: Sessions) -> None:
    updates = asyncio.run(collect(sessions, [Item("mine", "the cat sat")], d=2))
    sentences = [u.sentence for u in updates if u.results or u.done == 1]
    at = "at D 2 (this model was trained with D 4)"
    assert sentences[1] == f"2 of 9 runs {at}: probability, D 2, τ 1."
    assert sentences[-1] == f"Done: 9 runs {at}."


def test_a_sweep_says_that_it_waits_for_the_model(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    gate = threading.Event()

    def slow() -> sdlm_core.LanguageModel:
        gate.wait(120)
        return load(initializer_range=0.5, seed=1)

    model = ServedModel(slow)
    made = Sessions(model)
    model.load_in_background()

    async def waiting() -> str:
        swept = sweep(made, TaskSet("made-up", (Item("mine", "the cat sat"),), TOKENS), "prob_conf", 4, "someone")
        first = await anext(swept)
        gate.set()
        await until(lambda: model.engine is not None)
        await swept.aclose()
        return first.sentence

    assert asyncio.run(waiting()) == "The model is loading; the sweep begins as soon as it is there."
    model.close()


def test_a_sweep_leaves_the_visitors_answers(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEEP_RUNS", 1)
    asyncio.run(ask(sessions, "me"))
    asyncio.run(collect(sessions, [Item(str(n), "the cat") for n in range(3)]))
    assert sessions.last_answer("me") is not None


def test_a_sweep_that_is_left_ends_its_run(sessions: Sessions) -> None:
    items = list(load_set("problems", 2).items)
    updates = asyncio.run(collect(sessions, items, enough=2))
    assert len(found_in(updates)) == 2
    assert not asyncio.run(ask(sessions, "someone")).shared_pass, "nothing is left of the sweep"


def test_runs_that_shared_passes_have_no_wall_clock_figure(sessions: Sessions) -> None:
    async def both() -> list[Update]:
        other = asyncio.create_task(ask(sessions, "other", max_new_tokens=150))
        updates = await collect(sessions, [Item("mine", "the cat sat")])
        await other
        return updates

    updates = asyncio.run(both())
    found = found_in(updates)
    assert [r["wall_clock"] for r in found] == [None] * 9, "the first shared, and all are compared with it"
    assert "9 of them have no wall-clock figure" in updates[-1].sentence
    assert found[1]["agreement"] == 1
    points = results.as_points([r | {"sweep": 1} for r in found])
    assert {p["wall_clock"] for p in points} == {None}
    assert "None" not in results.to_csv(found)


def test_the_figures_of_the_last_answer(sessions: Sessions) -> None:
    assert sessions.last_answer("me") is None
    asyncio.run(ask(sessions, "me", threshold=0.2))
    asyncio.run(collect(sessions, [Item("mine", "the cat sat")]))
    asyncio.run(ask(sessions, "other", max_new_tokens=3))
    answer = sessions.last_answer("me")
    config = sdlm_core.DecodeConfig(threshold=0.2, max_new_tokens=12)
    alone = sdlm_core.decode(sessions.model.lm, [{"role": "user", "content": "the dog sat"}], config)
    assert answer is not None
    assert (answer.token_ids, answer.text) == (alone.token_ids, alone.text)
    trust, lengths, along, caption = pictures.details_of_answer(answer, SETTING, [])
    accepted = [p.accepted for p in alone.passes]
    assert list(lengths.data[0].customdata) == [accepted.count(n) for n in (1, 2, 3, 4)]
    assert list(along.data[0].y) == accepted
    assert caption.startswith("Your last answer: probability, D 4, τ 0.2, 12 tokens in")
    assert "The first picture is of a sweep, for only an answer at τ 1 shows what was right. The shipped" in caption
    shipped = pictures.details_of_sweep(SETTING, [])
    assert trust == shipped[0]
    asyncio.run(ask(sessions, "me", threshold=1.0))
    answer = sessions.last_answer("me")
    assert answer is not None
    trust, _, _, caption = pictures.details_of_answer(answer, SETTING, [])
    assert "sweep" not in caption
    assert trust != shipped[0], "at τ 1 an answer is judged by itself"


def test_what_does_not_work_is_a_sentence(sessions: Sessions) -> None:
    with pytest.raises(SDLMError, match="prompt is empty"):
        asyncio.run(collect(sessions, [Item("mine", " ")]))
    with pytest.raises(SDLMError, match="1 to 20"):
        asyncio.run(collect(sessions, [Item(str(i), "a") for i in range(21)]))
    with pytest.raises(SDLMError, match="rule with a threshold"):
        settings("autoregressive", 4, TOKENS)
    with pytest.raises(SDLMError, match="D may be at most"):
        settings("prob_conf", 64, TOKENS)


def result(**changes: Any) -> dict[str, Any]:
    return {
        "item": "a", "prompt": "p", "label": "probability, D 4, τ 0.9", "algorithm": "prob_conf", "block_size": 4,
        "threshold": 0.9, "tokens": 20, "passes": 10, "seconds": 1.0, "tokens_per_pass": 2.0, "wall_clock": 1.5,
        "agreement": 0.5, "log_likelihood": -1.0, "correct": True, "text": "t",
        "accepted": [2] * 10, "judged": [], "sweep": 1,
    } | changes  # fmt: skip


def test_problems_of_one_setting_become_one_point() -> None:
    own = [result(), result(tokens=40, correct=False, wall_clock=2.5, agreement=1.0), result(label="other")]
    first, second = results.as_points(own)
    assert (first["tokens_per_pass"], first["accuracy"], first["agreement"], first["n"]) == (3, 0.5, 0.75, 2)
    assert second["n"] == 1
    assert len(results.as_points([result(), result(sweep=2)])) == 2
    assert results.as_points([result(correct=None)])[0]["accuracy"] is None
    read = [result(), result(tokens=60, log_likelihood=-2.0, wall_clock=None), result(log_likelihood=None)]
    assert results.as_points(read)[0]["log_likelihood"] == -1.75  # nats a token, so the long answer counts for more
    assert results.as_points(read)[0]["wall_clock"] == 1.5
    assert (results.as_points(read)[0]["n"], results.as_points(read)[0]["timed"]) == (3, 2)


def test_a_caption_says_which_of_the_prompts_it_is_of() -> None:
    one, many = [result()], [result(item=name, accepted=[n] * 4) for n, name in enumerate("abc", 1)]
    assert pictures.details_of_sweep(SETTING, one)[3].startswith(f"Your last sweep: {one[0]['label']}, 1 prompt.")
    _, _, along, caption = pictures.details_of_sweep(SETTING, many)
    assert "3 prompts; “Along the answer” draws the first of them." in caption
    assert list(along.data[0].y) == [1] * 4


def test_the_pictures_turn_to_a_sweep_only_for_its_results() -> None:
    skip = tab._turn_to_sweep(0.0, 0.0)
    assert skip == (gr.skip(), gr.skip()), "nothing has come"
    assert tab._turn_to_sweep(5.0, 0.0) == ("sweep", 5.0)
    assert tab._turn_to_sweep(5.0, 5.0) == skip, "a later sweep that failed at once"
    assert tab._turn_to_sweep(0.0, 5.0) == skip, "all have been forgotten"


def test_a_sweep_says_when_older_runs_make_room(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEEP_RESULTS", 12)
    prompts = TaskSet("mine", (Item("mine", "the cat sat"),), TOKENS)

    async def swept(own: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
        statuses = []
        async for status, known, _ in tab.sweep_values(sessions, prompts, ME, "prob_conf", 4, own):
            statuses.append(status)
            own = known if isinstance(known, list) else own
        return statuses, own

    statuses, own = asyncio.run(swept([]))
    assert (len(own), own[0]["sweep"]) == (9, 1)
    assert "made room" not in "".join(statuses)
    statuses, own = asyncio.run(swept(own))
    assert [r["sweep"] for r in own] == [1] * 3 + [2] * 9
    assert statuses[-1].endswith("Done: 9 runs. 12 runs are kept, so your oldest 6 made room for these.")


def test_a_newer_sweep_of_a_session_ends_the_one_before(sessions: Sessions) -> None:
    def begin(prompt: str) -> Any:
        return tab.sweep_values(sessions, TaskSet("mine", (Item("mine", prompt),), TOKENS), ME, "prob_conf", 4, [])

    async def both() -> tuple[list[Any], list[Any]]:
        old, new = begin("the cat sat"), begin("the dog sat")
        seen, later = [await anext(old)], [await anext(new)]
        return seen + [v async for v in old], later + [v async for v in new]

    seen, later = asyncio.run(both())
    assert seen[1:] == [(gr.skip(),) * 3]
    assert "Done: 9 runs" in later[-1][0]
    assert [update["interactive"] for update in tab._buttons(ME)] == [True, True, False]


def test_a_sweep_that_fails_is_a_sentence_without_markup(sessions: Sessions) -> None:
    async def status(prompt: str, rule: str) -> str:
        prompts = TaskSet("mine", (Item("mine", prompt),), TOKENS)
        (value,) = [v async for v in tab.sweep_values(sessions, prompts, ME, rule, 4, [])]
        return str(value[0])

    assert asyncio.run(status(" ", "prob_conf")) == "The prompt is empty. Ask something."
    assert asyncio.run(status("a", "<b>")) == "A sweep needs a rule with a threshold. Choose probability or entropy."


def test_files_to_download() -> None:
    text = results.to_csv([result(prompt="=1+1", text='say "hi",\nthen')])
    head, row = csv.reader(io.StringIO(text))
    assert tuple(head) == results.COLUMNS
    assert row[head.index("prompt")] == "'=1+1"  # no spreadsheet may take it for a formula
    assert row[head.index("text")] == 'say "hi",\nthen'
    assert json.loads(results.to_json([result()]))["runs"][0]["accepted"] == [2] * 10


def test_the_sentence_has_the_measured_numbers() -> None:
    sweep = make_sweep()
    cell = next(c for c in sweep["cells"] if (c["set"], c["algorithm"], c["block_size"], c["threshold"])
                == ("problems", "prob_conf", 8, 0.6))  # fmt: skip
    said = what_tau_does(sweep, "problems", "prob_conf", 8, 0.61)
    assert "τ 0.61** (nearest measured: 0.6)" in said
    assert f"buys `made-up` **{cell['tokens_per_pass'][0]:.2f} tokens per pass**" in said
    assert f"{100 * cell['accuracy'][0]:.0f} % right" in said
    assert "points below τ 1" in said
    assert "160 held-out problems" in said
    assert "costs no quality" in what_tau_does(sweep, "problems", "prob_conf", 8, 1.0)
    assert "agree with those of τ 1" in what_tau_does(sweep, "chat", "entropy_conf", 4, 0.8)
    assert "has not been measured" in what_tau_does(data.EMPTY, "chat", "prob_conf", 4, 0.8)


def test_what_was_timed_has_its_own_sample() -> None:
    sweep = make_sweep()
    row = next(r for r in sweep["wall_clock"] if (r["set"], r["algorithm"], r["block_size"], r["threshold"])
               == ("problems", "prob_conf", 8, 0.6))  # fmt: skip
    row["tokens_per_pass"] = [5.9, 5, 6, 4]
    said = what_tau_does(sweep, "problems", "prob_conf", 8, 0.6)
    assert f"**{row['speedup'][0]:.2f} ×** as fast" in said
    assert said.endswith("timed on 4 of these prompts, at 5.90 tokens per pass.")
    sweep["wall_clock"] = []
    assert "clock" not in what_tau_does(sweep, "problems", "prob_conf", 8, 0.6)


def test_figures_of_another_model_are_not_taken_for_the_loaded_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = SimpleNamespace(name="<b>`mine", block_size=4, description="CPU")
    model = ServedModel(lambda: lm, lambda _: SimpleNamespace(close=lambda: None))  # type: ignore[arg-type,return-value]
    sessions = Sessions(model)

    def say() -> str:
        return pictures.sentence(sessions, SETTING)

    measured = data.shipped()["model"]
    assert f"`{measured}`" in say()
    assert "another model" not in say(), "nobody knows yet what will be loaded"
    model.load()
    assert "runs another model, `<b> mine`" in say()
    assert f"curves of `{measured}` are not its own" in say()
    lm.name = measured
    assert "another model" not in say()


def test_the_tab_is_built_without_a_model() -> None:
    with gr.Blocks() as page, gr.Tab() as lab:
        tab.build(Sessions(ServedModel(lambda: None)), lab)
    names = {f.name for f in page.fns.values()}
    assert {"sweep_prompt", "sweep_problems"} <= names


def test_downloads_are_the_sessions_and_go_with_it() -> None:
    hostile: Any = SimpleNamespace(session_hash="../../etc")
    buttons = tab._files([result()], hostile)
    paths = [Path(button.value["path"] if isinstance(button.value, dict) else button.value) for button in buttons]
    folder = downloads.folder("../../etc")
    others = folder.parent
    assert others == downloads.folder("another").parent
    assert sorted(p.name for p in folder.iterdir()) == ["sdlm-runs.csv", "sdlm-runs.json"]
    assert {p.name for p in paths} == {"sdlm-runs.csv", "sdlm-runs.json"}
    tab._files([result(), result()], hostile)
    assert len(list(others.iterdir())) == 1, "written over, not beside"
    tab.end_session("../../etc")
    assert not folder.exists()
