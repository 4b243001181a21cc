"""The sweep against separate runs of the decoder, against itself when killed, and at its command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from filelock import FileLock

import sdlm_core
from sdlm_core import DecodeConfig, SDLMError
from sdlm_core.__main__ import main
from sdlm_core.cli.sweep import SHIPPED_OUTPUT
from sdlm_core.evaluate import sweep, tasks
from sdlm_core.evaluate.cells import Cell, expand
from sdlm_core.evaluate.likelihood import log_likelihoods
from sdlm_core.evaluate.summary import summarise
from sdlm_core.evaluate.table import compact, render
from sdlm_core.evaluate.unit import decode_unit
from sdlm_core.models import builtin
from tests.app.sweep_data import make_sweep
from tests.conftest import random_sampler

SURE = {"initializer_range": 0.5, "seed": 1}  # sometimes sure of itself
STEADY = {"initializer_range": 0.15, "seed": 2}  # its guesses sometimes come true


def plan_of(limit: int = 6) -> sweep.Plan:
    sets = (tasks.load_set("problems", limit, 12), tasks.load_set("chat", limit - 1, 12))
    cells = expand(["prob_conf", "self_speculative", "autoregressive"], [4, 2], [0.3, 0.9, 1])
    return sweep.Plan(sets, tuple(cells), batch=2, likelihood=("chat",))


def test_redundant_settings_are_left_out() -> None:
    cells = expand(sdlm_core.ALGORITHMS, [8, 4, 8], [0.9, 1])
    assert [c.key for c in cells if c.block_size == 4] == [
        "prob_conf/D4/0.9",
        "prob_conf/D4/1",
        "entropy_conf/D4/0.9",
        "entropy_conf/D4/1",
        "self_speculative/D4",
    ]
    assert [c.key for c in cells if c.algorithm == "autoregressive"] == ["autoregressive"]
    assert len(cells) == len(set(cells)) == 11
    with pytest.raises(SDLMError, match="threshold"):
        expand(["prob_conf"], [4], [1.5])


@pytest.mark.parametrize(
    ("model", "temperature", "coherent"), [(SURE, 0.0, True), (SURE, 0.8, False), (STEADY, 0.0, True)]
)
def test_shared_passes_give_what_separate_runs_give(
    load: Callable[..., sdlm_core.LanguageModel], model: dict[str, Any], temperature: float, coherent: bool
) -> None:
    lm = replace(load(**model), sampler=random_sampler() if coherent else None)
    items = tasks.load_set("chat", 4).items
    template = DecodeConfig(max_new_tokens=16, temperature=temperature, seed=3)
    separate = 0
    for d in (4, 1):
        cells = [c for c in expand(sdlm_core.ALGORITHMS, [4], [0.3, 0.6, 0.9, 1]) if c.block_size == d]
        result = decode_unit(lm, items, d, cells, template, batch=3)
        assert len(result.answers) == len(items) * len(cells)
        for answer in result.answers:
            trace = sdlm_core.decode(lm, answer.item.prompt, answer.cell.config(template))
            assert list(answer.token_ids) == trace.token_ids
            assert answer.accepted == [p.accepted for p in trace.passes]
            assert answer.finish_reason == trace.finish_reason
            assert sweep.answer_text(lm, answer.token_ids) == trace.text
            separate += len(trace.passes)
        if d > 1:
            assert result.computed < separate / 2


def test_a_killed_sweep_continues_and_equals_an_uninterrupted_one(
    load: Callable[..., sdlm_core.LanguageModel], tmp_path: Path
) -> None:
    lm, plan = load(**SURE), plan_of()
    whole = tmp_path / "whole.jsonl"
    expected = summarise(plan, sweep.run_sweep(lm, plan, whole))
    assert expected["complete"]

    lines = whole.read_bytes().splitlines(keepends=True)
    killed = tmp_path / "killed.jsonl"
    killed.write_bytes(b"".join(lines[:3]) + lines[3][:100])  # the header, two units, and a torn third
    worked: list[str] = []
    records = sweep.run_sweep(lm, plan, killed, progress=lambda p: worked.append(p.unit))
    assert json.dumps(summarise(plan, records)) == json.dumps(expected)
    assert killed.read_bytes() == whole.read_bytes()
    assert not {json.loads(line)["unit"] for line in lines[1:3]} & set(worked)

    before = killed.read_bytes()
    assert json.dumps(summarise(plan, sweep.run_sweep(lm, plan, killed))) == json.dumps(expected)
    assert killed.read_bytes() == before
    other = sweep.Plan(plan.sets, plan.cells, plan.batch, temperature=0.5)
    with pytest.raises(SDLMError, match="temperature"):
        sweep.run_sweep(lm, other, killed)
    with pytest.raises(SDLMError, match="device"):
        sweep.run_sweep(replace(lm, description="CPU, nf4"), plan, killed)
    stranger = replace(lm, name="stranger", tokenizer=SimpleNamespace(get_vocab=lambda: {"the": 7}))
    with pytest.raises(SDLMError, match="'stranger' has another tokenizer"):
        sweep.run_sweep(lm, plan, tmp_path / "read.jsonl", base=stranger)
    with FileLock(tmp_path / "killed.lock"), pytest.raises(SDLMError, match="Another sweep"):
        sweep.run_sweep(lm, plan, killed)
    (tmp_path / "other.jsonl").write_text('{"format": "notes"}\n')
    with pytest.raises(SDLMError, match="not a file of answers"):
        sweep.run_sweep(lm, plan, tmp_path / "other.jsonl")


def test_the_summary_counts_what_the_answers_say(load: Callable[..., sdlm_core.LanguageModel], tmp_path: Path) -> None:
    lm, plan = load(**SURE), plan_of(4)
    records = sweep.run_sweep(lm, plan, tmp_path / "a.jsonl", base=lm)
    result = summarise(plan, records)
    assert len(result["cells"]) == 2 * len(plan.cells)
    for cell in result["cells"]:
        rows = [
            row
            for record in records
            if record["set"] == cell["set"]
            for row in record["answers"]
            if row["cell"] == Cell(cell["algorithm"], cell["block_size"], cell["threshold"]).key
        ]
        assert cell["n"] == len(rows) == (4 if cell["set"] == "problems" else 3)
        assert cell["tokens_per_pass"][0] == round(sum(r["tokens"] for r in rows) / sum(r["passes"] for r in rows), 6)
        assert sum(cell["accepted"]) == cell["passes"]
        assert sum(n * count for n, count in enumerate(cell["accepted"], 1)) == cell["tokens"]
        if cell["threshold"] == 1:
            assert cell["passes"] == cell["tokens"]
            assert cell["agreement"][:3] == [1, 1, 1]
        if cell["set"] == "chat":
            assert cell["log_likelihood"][0] < 0
            assert cell["accuracy"] is None
    chat = [c for c in result["cells"] if c["set"] == "chat" and c["threshold"] == 1]
    assert all(c["base_log_likelihood"] == c["log_likelihood"] for c in chat)  # the base is the model itself here
    first = [c for c in result["calibration"] if c["position"] == 1]
    assert first
    assert all(c["right"] == c["count"] for c in first)


def test_likelihood_is_the_sum_over_one_causal_reading(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(**STEADY)
    pairs = [(lm.encode("the cat")[1], [40, 41, 2]), (lm.encode("one two three")[1], [50])]
    for (prompt, answer), found in zip(pairs, log_likelihoods(lm, pairs), strict=True):
        config = DecodeConfig(algorithm="autoregressive", max_new_tokens=1)
        for i, (value, greedy) in enumerate(found):  # the decoder's own next-token distribution
            p = sdlm_core.decode(lm, [*prompt, *answer[:i]], config).passes[0].candidates[0]
            assert greedy == (p.token_id == answer[i])
            known = {a.token_id: a.probability for a in p.alternatives}
            if answer[i] in known:
                assert value == pytest.approx(float(torch.tensor(known[answer[i]]).log()), abs=1e-4)
            assert value <= float(torch.tensor(p.probability).log()) + 1e-4


def test_the_table_for_a_readme() -> None:
    lines = compact(make_sweep(), block_size=4).splitlines()
    assert [line.split(" | ")[:2] for line in lines[2:4]] == [["| `prob_conf`", "1"], ["| `prob_conf`", "0.95"]]
    assert len(lines) == 2 + 7 + 2
    assert len({line.count("|") for line in lines}) == 1
    assert "1.00 (0.95 to 1.05) | 86 % (80 to 91) | 0.80 × at 1.00 |" in lines[2]


def test_a_set_without_answers_has_no_columns() -> None:
    result = make_sweep()
    result["cells"] = [cell for cell in result["cells"] if cell["set"] == "problems"]
    result["wall_clock"] = []
    lines = render(result).splitlines()
    assert lines[0] == "| rule | D | τ | problems: tokens/pass | problems: accuracy |"
    assert "160 problems, 0 chat." in lines[-1]


def test_a_subset_keeps_the_proportions() -> None:
    some = tasks.load_set("problems", 160)
    assert len(some.items) == 160
    kinds = [item.problem.kind for item in some.items if item.problem]
    assert {kind: kinds.count(kind) for kind in kinds} == {"words": 40, "lists": 40, "units": 40, "code": 40}
    assert some.items == tasks.load_set("problems", 160).items
    assert len(tasks.load_set("chat", 60).items) == 60
    assert not tasks.load_set("chat").checkable


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("{", "not valid JSON"),
        ('{"text": 1}', '"prompt"'),
        ('{"prompt": "a", "answer": []}', "answer"),
    ],
)
def test_a_broken_set_is_told_in_a_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(content)
    with pytest.raises(SDLMError, match=sentence):
        tasks.load_set(str(path))


@pytest.fixture
def arguments(checkpoint: Callable[..., Path], tmp_path: Path) -> list[str]:
    own = tmp_path / "<b>own.jsonl"
    own.write_text('{"prompt": "one plus one", "answer": 2}\n{"prompt": "two", "answer": "b"}\n')
    words = f"sweep --model {checkpoint(**SURE)} --device cpu --dtype float32 --set {own} chat --limit 2 --tau 0.5 1"
    return f"{words} --block-size 4 --batch 2 --max-new-tokens 8 --output {tmp_path / 'out.json'}".split()


def test_the_command_line(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--wall-clock", "1"]) == 0
    table = capsys.readouterr().out
    assert "| probability | 4 | 0.5 |" in table
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["complete"]
    assert {"model", "created", "versions", "seed", "command", "settings", "wall_clock"} <= set(result)
    assert len(result["answers"]) == 4


def test_a_sweep_stopped_at_once_still_writes_all_its_files(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--minutes", "0"]) == 0
    printed = capsys.readouterr()
    assert "0 <b>own, 0 chat." in printed.out
    assert "the same command continues it" in printed.err
    assert json.loads((tmp_path / "out.json").read_text())["cells"] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--set nowhere.jsonl", "The set 'nowhere.jsonl' could not be read"),
        ("--set problems --base other", "--base 'other' reads answers to open prompts, but all prompts"),
        ("--no-likelihood --base other", "but --no-likelihood is given"),
        ("--shipped --tau 0.9 --limit 3", "decides --model, --limit, --tau itself"),
        ("--shipped --set chat --block-size 8 --base x", "decides --model, --set, --block-size, --base itself"),
        ("--shipped --temperature 1 --wall-clock 2", "decides --model, --temperature, --wall-clock itself"),
    ],
)
def test_a_mistake_is_told_before_the_model_loads(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "--model", "/nowhere", *words.split()]) == 2
    assert sentence in capsys.readouterr().err


def test_the_shipped_sweep_says_what_was_given_beside_it(
    load: Callable[..., sdlm_core.LanguageModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sdlm_core.models.loading.load_model", lambda *_: replace(load(**SURE)))
    monkeypatch.setattr(builtin, "ensure_base", lambda: tmp_path)
    output = tmp_path / "out.json"
    words = f"sweep --shipped --minutes 0 --batch 8 --output {output}"
    monkeypatch.setattr("sys.argv", ["sdlm_core", *words.split()])
    assert main() == 0
    result = json.loads(output.read_text())
    assert result["command"] == f"python -m sdlm_core {words}"
    published = json.loads((Path(__file__).parents[2] / SHIPPED_OUTPUT).read_text())
    assert result["settings"] == {**published["settings"], "batch": 8, "guesses": "independent"}  # SURE has no sampler


def test_the_shipped_sweep_is_of_the_shipped_adapter() -> None:
    root = Path(__file__).parents[2]
    shipped = json.loads((root / SHIPPED_OUTPUT).read_text())
    assert shipped["fingerprint"] == sweep.fingerprint(builtin.ensure_adapter()), "after a new adapter, a new sweep"
    assert shipped["complete"]
    told = (root / "README.md").read_text()
    assert compact(shipped) in told, f"python -m sdlm_core.evaluate.table {SHIPPED_OUTPUT} prints the README's table"
