"""The lab without a page: sweeps through the house, what they come to, and the sentence about τ."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import sdlm_core
from app import lab, lab_runs, limits, runs
from app.lab_text import what_tau_does
from app.runs import House
from sdlm_core import SDLMError
from sdlm_core.evaluate.likelihood import log_likelihoods
from sdlm_core.evaluate.tasks import Item, TaskSet, load_set
from tests.app.sweep_data import make_sweep

TOKENS = 12  # that an answer of a sweep may have here


async def collect(house: House, items: list[Item], enough: int | None = None, d: int = 4) -> list[lab_runs.Update]:
    if house.status()["state"] == "loading":
        house.open()
    updates = []
    sweep: Any = lab_runs.sweep(house, TaskSet("made-up", tuple(items), TOKENS), "prob_conf", d, "someone")
    async for update in sweep:
        updates.append(update)
        if enough is not None and sum(len(u.results) for u in updates) == enough:
            await sweep.aclose()
            break
    return updates


@pytest.fixture
def house(load: Callable[..., sdlm_core.LanguageModel]) -> Iterator[House]:
    made = House(lambda: load(initializer_range=0.5, seed=1))
    yield made
    made.close()


async def ask(house: House, owner: str, **settings: Any) -> None:
    """A question in the chat."""
    data = {
        "run": secrets.token_hex(16),
        "messages": [{"role": "user", "content": "the dog sat"}],
        "settings": {"max_new_tokens": 12} | settings,
    }
    async for _ in house.follow(limits.parse_request(data), owner):
        pass


def test_a_sweep_of_a_prompt_is_nine_runs_of_the_decoder(house: House) -> None:
    updates = asyncio.run(collect(house, [Item("mine", "the cat sat")]))
    results = [r for u in updates for r in u.results]
    assert [r["threshold"] for r in results] == [None, 1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, None]
    assert updates[-1].sentence == "Done: 9 runs."
    for r in results[1:-1]:
        config = sdlm_core.DecodeConfig(threshold=r["threshold"], block_size=4, max_new_tokens=12)
        trace = sdlm_core.decode(house.lm, "the cat sat", config)
        assert (r["tokens"], r["passes"], r["text"]) == (len(trace.token_ids), len(trace.passes), trace.text)
        prompt = house.lm.encode("the cat sat")[1]
        reading = [x for x, _ in log_likelihoods(house.lm, [(prompt, trace.token_ids)])[0]]
        assert r["log_likelihood"] == pytest.approx(sum(reading) / len(reading), rel=1e-4)
    assert results[0]["wall_clock"] == pytest.approx(1)
    assert results[1]["agreement"] == results[-1]["agreement"] == 1
    rows = lab_runs.reliability_rows([results[1]])
    assert rows[0]["right"] == rows[0]["count"]  # position 1 is τ 1's own choice
    assert sum(rows[0]["count"]) == results[1]["tokens"]


def test_a_sweep_at_another_d_than_the_models_says_so(house: House) -> None:
    updates = asyncio.run(collect(house, [Item("mine", "the cat sat")], d=2))
    said = [u.sentence for u in updates if u.results or u.done == 1]
    at = "at D 2 (this model was trained with D 4)"
    assert said[1] == f"2 of 9 runs {at}: probability, D 2, τ 1."
    assert said[-1] == f"Done: 9 runs {at}."


def test_a_sweep_leaves_the_visitors_answers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEEP_RUNS", 1)
    house.open()
    asyncio.run(ask(house, "me"))
    asyncio.run(collect(house, [Item(str(n), "the cat") for n in range(3)]))
    assert lab_runs.last_answer(house, "me") is not None


def test_a_sweep_that_is_left_ends_its_run(house: House) -> None:
    items = list(load_set("problems", 2).items)
    updates = asyncio.run(collect(house, items, enough=2))
    assert sum(len(u.results) for u in updates) == 2
    asyncio.run(ask(house, "someone"))
    assert json.loads(house.latest("someone")[-1])["company"] is False, "nothing is left of the sweep"


def test_runs_in_company_have_no_wall_clock_figure(house: House) -> None:
    async def both() -> list[lab_runs.Update]:
        house.open()
        other = asyncio.create_task(ask(house, "other", max_new_tokens=150))
        updates = await collect(house, [Item("mine", "the cat sat")])
        await other
        return updates

    updates = asyncio.run(both())
    results = [r for u in updates for r in u.results]
    untimed = [r for r in results if r["wall_clock"] is None]
    assert len(untimed) == len(results) == 9, "the first had company, and all are held against it"
    assert "9 of them have no wall-clock figure" in updates[-1].sentence
    assert results[1]["agreement"] == 1
    points = lab_runs.as_points([r | {"sweep": 1} for r in results])
    assert {p["wall_clock"] for p in points} == {None}
    assert "None" not in lab_runs.to_csv(results)


def test_the_chat_is_what_stands_behind_its_last_answer(house: House) -> None:
    house.open()
    assert lab_runs.last_answer(house, "me") is None
    asyncio.run(ask(house, "me", threshold=0.2))
    asyncio.run(collect(house, [Item("mine", "the cat sat")]))
    asyncio.run(ask(house, "other", max_new_tokens=3))
    answer = lab_runs.last_answer(house, "me")
    config = sdlm_core.DecodeConfig(threshold=0.2, max_new_tokens=12)
    alone = sdlm_core.decode(house.lm, [{"role": "user", "content": "the dog sat"}], config)
    assert answer is not None
    assert (answer.token_ids, answer.text) == (alone.token_ids, alone.text)
    trust, lengths, along, where = lab.behind("problems", "prob_conf", 4, 0.9, [], answer)
    accepted = [p.accepted for p in alone.passes]
    assert list(lengths.data[0].customdata) == [accepted.count(n) for n in (1, 2, 3, 4)]
    assert list(along.data[0].y) == accepted
    assert where.startswith("Your last answer: probability, D 4, τ 0.2, 12 tokens in")
    assert "The first picture is not of it, for τ 1 says what is right. The shipped sweep" in where
    shipped = lab.behind("problems", "prob_conf", 4, 0.9, [])
    assert trust == shipped[0]
    asyncio.run(ask(house, "me", threshold=1.0))
    answer = lab_runs.last_answer(house, "me")
    trust, _, _, where = lab.behind("problems", "prob_conf", 4, 0.9, [], answer)
    assert "sweep" not in where
    assert trust != shipped[0], "at τ 1 an answer is its own measure"


def test_what_does_not_work_is_told_in_a_sentence(house: House) -> None:
    with pytest.raises(SDLMError, match="prompt is empty"):
        asyncio.run(collect(house, [Item("mine", " ")]))
    with pytest.raises(SDLMError, match="1 to 20"):
        asyncio.run(collect(house, [Item(str(i), "a") for i in range(21)]))
    with pytest.raises(SDLMError, match="rule with a threshold"):
        lab_runs.settings("autoregressive", 4, TOKENS)
    with pytest.raises(SDLMError, match="D may be at most"):
        lab_runs.settings("prob_conf", 64, TOKENS)


def result(**changes: Any) -> dict[str, Any]:
    return {
        "item": "a", "prompt": "p", "label": "probability, D 4, τ 0.9", "algorithm": "prob_conf", "block_size": 4,
        "threshold": 0.9, "tokens": 20, "passes": 10, "seconds": 1.0, "tokens_per_pass": 2.0, "wall_clock": 1.5,
        "agreement": 0.5, "log_likelihood": -1.0, "correct": True, "text": "t",
        "accepted": [2] * 10, "judged": [], "sweep": 1,
    } | changes  # fmt: skip


def test_problems_of_one_setting_become_one_point() -> None:
    own = [result(), result(tokens=40, correct=False, wall_clock=2.5, agreement=1.0), result(label="other")]
    first, second = lab_runs.as_points(own)
    assert (first["tokens_per_pass"], first["accuracy"], first["agreement"], first["n"]) == (3, 0.5, 0.75, 2)
    assert second["n"] == 1
    assert len(lab_runs.as_points([result(), result(sweep=2)])) == 2
    assert lab_runs.as_points([result(correct=None)])[0]["accuracy"] is None
    read = [result(), result(tokens=60, log_likelihood=-2.0, wall_clock=None), result(log_likelihood=None)]
    assert lab_runs.as_points(read)[0]["log_likelihood"] == -1.75  # nats a token, so the long answer counts for more
    assert lab_runs.as_points(read)[0]["wall_clock"] == 1.5
    assert (lab_runs.as_points(read)[0]["n"], lab_runs.as_points(read)[0]["timed"]) == (3, 2)


def test_a_caption_says_which_of_the_prompts_it_is_of() -> None:
    one, many = [result()], [result(item=name, accepted=[n] * 4) for n, name in enumerate("abc", 1)]
    assert lab.behind("problems", "prob_conf", 4, 0.9, one)[3].startswith(
        f"Your last sweep: {one[0]['label']}, 1 prompt."
    )
    _, _, along, where = lab.behind("problems", "prob_conf", 4, 0.9, many)
    assert "3 prompts; “Along the answer” draws the first of them." in where
    assert list(along.data[0].y) == [1] * 4


def test_the_pictures_turn_to_a_sweep_only_for_its_results() -> None:
    skip = lab._turn_to_sweep(0.0, 0.0)
    assert skip == (gr.skip(), gr.skip()), "nothing has come"
    assert lab._turn_to_sweep(5.0, 0.0) == ("sweep", 5.0)
    assert lab._turn_to_sweep(5.0, 5.0) == skip, "a later sweep that failed at once"
    assert lab._turn_to_sweep(0.0, 5.0) == skip, "all have been forgotten"


def test_a_sweep_says_when_older_runs_make_room(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_runs, "KEEP_RESULTS", 12)
    with gr.Blocks() as page, gr.Tab() as tab:
        lab.build(house, tab)
    sweep: Any = next(f.fn for f in page.fns.values() if f.name == "sweep_prompt")
    house.load()

    async def swept(results: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
        said = []
        request = SimpleNamespace(session_hash="me")
        async for status, known, _ in sweep(request, "the cat sat", "prob_conf", 4, results):
            said.append(status)
            results = known if isinstance(known, list) else results
        return said, results

    said, results = asyncio.run(swept([]))
    assert (len(results), results[0]["sweep"]) == (9, 1)
    assert "made room" not in "".join(said)
    said, results = asyncio.run(swept(results))
    assert [r["sweep"] for r in results] == [1] * 3 + [2] * 9
    assert said[-1].endswith("Done: 9 runs. 12 runs are kept, so your oldest 6 made room for these.")


def test_files_to_download() -> None:
    text = lab_runs.to_csv([result(prompt="=1+1", text='say "hi",\nthen')])
    head, row = csv.reader(io.StringIO(text))
    assert tuple(head) == lab_runs.COLUMNS
    assert row[head.index("prompt")] == "'=1+1"  # no spreadsheet may take it for a formula
    assert row[head.index("text")] == 'say "hi",\nthen'
    assert json.loads(lab_runs.to_json([result()]))["runs"][0]["accepted"] == [2] * 10


def test_the_sentence_has_the_measured_numbers() -> None:
    sweep = make_sweep()
    cell = next(c for c in sweep["cells"] if (c["set"], c["algorithm"], c["block_size"], c["threshold"])
                == ("problems", "prob_conf", 8, 0.6))  # fmt: skip
    said = what_tau_does(sweep, "problems", "prob_conf", 8, 0.61)
    assert "τ 0.61** (nearest measured: 0.6)" in said
    assert f"buys `made-up` **{cell['tokens_per_pass'][0]:.2f} tokens a pass**" in said
    assert f"{100 * cell['accuracy'][0]:.0f} % right" in said
    assert "points below τ 1" in said
    assert "160 held-out problems" in said
    assert "costs no quality" in what_tau_does(sweep, "problems", "prob_conf", 8, 1.0)
    assert "agree with those of τ 1" in what_tau_does(sweep, "chat", "entropy_conf", 4, 0.8)
    assert "has not been measured" in what_tau_does(lab.EMPTY, "chat", "prob_conf", 4, 0.8)


def test_what_was_timed_has_its_own_sample() -> None:
    sweep = make_sweep()
    row = next(r for r in sweep["wall_clock"] if (r["set"], r["algorithm"], r["block_size"], r["threshold"])
               == ("problems", "prob_conf", 8, 0.6))  # fmt: skip
    row["tokens_per_pass"] = [5.9, 5, 6, 4]
    said = what_tau_does(sweep, "problems", "prob_conf", 8, 0.6)
    assert f"**{row['speedup'][0]:.2f} ×** as fast" in said
    assert said.endswith("timed on 4 of these prompts, at 5.90 tokens a pass.")
    sweep["wall_clock"] = []
    assert "clock" not in what_tau_does(sweep, "problems", "prob_conf", 8, 0.6)


def test_figures_of_another_model_are_not_taken_for_the_loaded_ones(house: House) -> None:
    def say() -> str:
        return lab.say(house, "problems", "prob_conf", 8, 0.9)

    measured = lab.shipped()["model"]
    assert f"`{measured}`" in say()
    assert "another model" not in say(), "nobody knows yet what will be loaded"
    house.load()
    house.lm.name = "<b>`mine"
    assert "runs another model, `<b> mine`" in say()
    assert f"curves of `{measured}` are not its own" in say()
    house.lm.name = measured
    assert "another model" not in say()


def test_downloads_are_the_sessions_and_go_with_it() -> None:
    hostile = SimpleNamespace(session_hash="../../etc")
    buttons = lab._files([result()], hostile)  # type: ignore[arg-type]
    paths = [Path(button.value["path"] if isinstance(button.value, dict) else button.value) for button in buttons]
    folder = lab._downloads("../../etc")
    assert folder.parent == Path(lab.DOWNLOADS.name)
    assert sorted(p.name for p in folder.iterdir()) == ["sdlm-runs.csv", "sdlm-runs.json"]
    assert {p.name for p in paths} == {"sdlm-runs.csv", "sdlm-runs.json"}
    lab._files([result(), result()], hostile)  # type: ignore[arg-type]
    assert len(list(Path(lab.DOWNLOADS.name).iterdir())) == 1, "written over, not beside"
    lab.leave("../../etc")
    assert not folder.exists()
