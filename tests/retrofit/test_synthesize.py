"""Self-distillation: what is kept, what is left out, and that a killed run goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import sdlm_core
from sdlm_core.__main__ import main
from sdlm_core.jsonl import read_records
from sdlm_core.problems import Problem, generate
from sdlm_core.retrofit import synthesize
from sdlm_core.retrofit.synthesize import ChatConfig, repeats_itself, self_distill, user_turn

Load = Callable[..., sdlm_core.LanguageModel]


def that_stops(lm: sdlm_core.LanguageModel, first: int) -> sdlm_core.LanguageModel:
    """With every sixth token an end of it: a random model hardly stops, and nobody answers a prompt without an end or
    follows an answer that was cut."""
    return replace(lm, end_token_ids=lm.end_token_ids | set(range(first, 400, 6)))


def test_answers_that_repeat_themselves_are_found() -> None:
    assert repeats_itself([1, 2, 3, 4, 5] * 20)
    assert not repeats_itself(list(range(100)))
    assert not repeats_itself([1] * 10), "a short answer may repeat itself"


def test_the_users_turn_is_read_off_the_template(load: Load) -> None:
    assert user_turn(load(kind="qwen2", tied=True)) == ("<|im_start|>user\n", "<|im_end|>")


@pytest.mark.parametrize("several", [0.0, 0.7])
def test_a_killed_run_goes_on_where_it_stopped(load: Load, tmp_path: Path, several: float) -> None:
    lm = that_stops(load(kind="llama", tied=True, block_size=None, initializer_range=0.2), 5)
    config = ChatConfig(10, seed=1, batch=4, max_new_tokens=12, several=several, like=["Could we say hello"])
    whole = list(self_distill(lm, config, []))
    assert len(whole) == 10
    assert len({r["conversations"][0]["value"] for r in whole}) == 10
    path = tmp_path / "chat.jsonl"
    numbers = [r["number"] for r in whole]
    killed = next((i for i in range(4, 10) if numbers[i] == numbers[i - 1] + 1), 4)  # where a skipped one would show
    path.write_text("".join(json.dumps(r) + "\n" for r in whole[:killed]) + '{"conversations": [{"fr')
    done = read_records(path)
    assert done == whole[:killed]
    rest = list(self_distill(lm, config, done))
    assert rest == whole[killed:]


def test_several_turns_and_another_model_that_answers(load: Load) -> None:
    """Every answer is the answering model's greedy one to all that was said before."""
    lm = that_stops(load(kind="llama", tied=True, block_size=None, initializer_range=0.2), 5)
    answering = that_stops(load(kind="qwen2", tied=True, initializer_range=1.0), 0)
    records = list(self_distill(lm, ChatConfig(12, 3, 8, 12, several=1.0), [], answering))
    assert len(records) == 12
    assert max(len(r["conversations"]) for r in records) > 2
    for record in records:
        said = record["conversations"]
        assert [turn["from"] for turn in said] == ["human", "gpt"] * (len(said) // 2)
        roles = {"human": "user", "gpt": "assistant"}
        messages = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in said]
        for i in range(0, len(messages), 2):
            config = sdlm_core.DecodeConfig("autoregressive", max_new_tokens=12)
            trace = sdlm_core.decode(answering, messages[: i + 1], config)
            assert trace.text.strip() == messages[i + 1]["content"].strip()


def test_options_of_problems_are_refused_for_chat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["synthesize", "chat", "--output", str(tmp_path / "chat.jsonl"), "--count", "2", "--split", "test"]
    assert main(command) != 0
    assert "are for problems" in capsys.readouterr().err


def test_problems_come_from_the_training_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p.jsonl"
    assert main(["synthesize", "problems", "--output", str(out), "--count", "12", "--seed", "5"]) == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [[turn["from"] for turn in r["conversations"]] for r in records] == [["human", "gpt"]] * 12
    asked = [r["conversations"][0]["value"] for r in records]
    assert asked == [p.prompt for p in generate("train", 12, 5)]
    assert not set(asked) & {p.prompt for p in generate("test", 500, 5)}


def test_problems_after_other_turns(tmp_path: Path) -> None:
    before, out = tmp_path / "chat.jsonl", tmp_path / "p.jsonl"
    turns = [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hello to you"}]
    before.write_text(json.dumps({"conversations": turns, "number": 0}) + "\n")
    assert main(["synthesize", "problems", "--output", str(out), "--count", "12", "--after", str(before)]) == 0
    for line, problem in zip(out.read_text().splitlines(), generate("train", 12, 0), strict=True):
        said = json.loads(line)["conversations"]
        assert said[:2] == turns
        assert [t["value"] for t in said[-2:]] == [problem.prompt, problem.solution]
        assert len(said) in (4, 6, 8)


def test_problems_replace_problems_but_never_conversations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dry(problems: list[Problem], error: BaseException) -> Iterator[Problem]:
        yield from problems
        raise error

    path = tmp_path / "data.jsonl"
    command = ["synthesize", "problems", "--output", str(path), "--count"]
    assert main([*command, "5"]) == 0
    assert main([*command, "8"]) == 0
    assert len(path.read_text().splitlines()) == 8
    few = ValueError("only 3 different problems of the 9 asked for could be drawn")
    for error, code, says in ((few, 2, "could be drawn"), (KeyboardInterrupt(), 130, "Stopped")):
        with monkeypatch.context() as patched:  # the real generators take minutes to run dry
            patched.setattr(synthesize, "generate", lambda *_, e=error: dry(list(generate("train", 3)), e))
            assert main([*command, "9"]) == code
        assert says in capsys.readouterr().err
        assert [p.name for p in tmp_path.iterdir()] == ["data.jsonl"]
    assert len(path.read_text().splitlines()) == 8, "the file is whole or as it was"
    assert main(["synthesize", "chat", "--model", "builtin", "--output", str(path), "--count", "9"]) == 2
    assert "another name" in capsys.readouterr().err
    own = json.dumps({"conversations": [], "finished": True, "tokens": 3, "number": 0}) + "\n"
    path.write_text(own)
    assert main([*command, "5"]) == 2
    assert "another name" in capsys.readouterr().err
    assert path.read_text() == own
