"""lm-evaluation-harness end to end: local tasks, a tiny random model, no network."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sdlm_core
from sdlm_core import DecodeConfig
from sdlm_core.__main__ import main

pytest.importorskip("lm_eval")
from sdlm_core.cli import evaluate as harness_cli
from sdlm_core.evaluate.harness import HarnessLM, first_stop, tokens_until
from sdlm_core.evaluate.likelihood import log_likelihoods

SURE = {"initializer_range": 0.5, "seed": 1}


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder with one task that generates and one that chooses."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    lines = [{"question": "one two", "answer": "three"}, {"question": "the cat sat", "answer": "on the mat"}]
    data = folder / "data.json"
    data.write_text("\n".join(json.dumps(line) for line in lines))
    common = f"dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {data}\ntest_split: test\n"
    (folder / "say.yaml").write_text(
        f"task: local_say\n{common}output_type: generate_until\ndoc_to_text: '{{{{question}}}}'\n"
        "doc_to_target: '{{answer}}'\ngeneration_kwargs:\n  until: ['zzz']\n  max_gen_toks: 12\n"
        "metric_list:\n  - metric: exact_match\n    aggregation: mean\n    higher_is_better: true\n"
    )
    (folder / "choose.yaml").write_text(
        f"task: local_choose\n{common}output_type: multiple_choice\ndoc_to_text: '{{{{question}}}}'\n"
        "doc_to_choice: ['three', 'on the mat']\ndoc_to_target: '{{answer}}'\n"
        "metric_list:\n  - metric: acc\n    aggregation: mean\n    higher_is_better: true\n"
    )
    (folder / "read.yaml").write_text(
        f"task: local_read\n{common}output_type: loglikelihood_rolling\ndoc_to_text: ''\n"
        "doc_to_target: '{{question}} {{answer}}'\nmetric_list:\n  - metric: word_perplexity\n"
    )
    return folder


def request(name: str, *arguments: Any) -> Any:
    return SimpleNamespace(args=arguments, task_name=name)


def test_the_harness_end_to_end(
    checkpoint: Callable[..., Path], tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    output = tmp_path / "scores.json"
    words = f"evaluate --model {checkpoint(**SURE)} --device cpu --dtype float32 --include-path {tasks} --batch 2"
    assert main([*words.split(), "--tasks", "local_say,local_choose,local_read", "--output", str(output)]) == 0
    table = capsys.readouterr().out
    assert "| local_say | exact_match | 0.0000 |" in table
    found = json.loads(output.read_text())
    assert 0 <= found["results"]["local_choose"]["acc,none"] <= 1
    assert found["results"]["local_read"]["word_perplexity,none"] > 1
    speed = found["speed"]["local_say"]
    assert speed["tokens_per_pass"] >= 1
    assert speed["tokens"] <= 24
    assert len(found["samples"]["local_say"]) == 2


def test_generation_is_the_decoders_own_cut_at_the_stop(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(**SURE)
    config = DecodeConfig(threshold=0.5, max_new_tokens=20)
    model = HarnessLM(lm, config, batch=2)
    prompts = ["the cat", "one two three", "sat on"]
    expected = [sdlm_core.decode(lm, model.tok_encode(p), config).text for p in prompts]
    assert model.generate_until([request("t", p, {"until": []}) for p in prompts], disable_tqdm=True) == expected
    stop = expected[0][3:5]
    cut = model.generate_until([request("t", prompts[0], {"until": stop})], disable_tqdm=True)
    assert cut == [expected[0][: expected[0].find(stop)]]
    assert first_stop("abcabc", ["ca", "bc", ""]) == 1
    assert first_stop("abc", ["x"]) is None


class TokenizerThatBegins:
    """One that adds a begin token to bare text, as Llama 3's does, and has a chat template."""

    bos_token, bos_token_id, chat_template = "<b>", 7, "a template"

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [7] * add_special_tokens + [20] * len(text.split())}


@pytest.mark.parametrize(("option", "begin"), [("--no-chat-template", [7]), ("", [])])
def test_bare_text_begins_as_the_model_wants_it(
    load: Callable[..., sdlm_core.LanguageModel], option: str, begin: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = replace(load(**SURE), tokenizer=TokenizerThatBegins())
    monkeypatch.setattr("sdlm_core.models.loading.load_model", lambda *_: lm)
    seen: list[tuple[bool, list[int]]] = []

    def evaluate(model: Any, task_manager: Any, apply_chat_template: bool, **_: Any) -> None:
        seen.append((apply_chat_template, model.tok_encode("one two")))

    monkeypatch.setattr("lm_eval.simple_evaluate", evaluate)
    monkeypatch.setattr("lm_eval.tasks.TaskManager", lambda **_: SimpleNamespace(match_tasks=lambda names: names))
    assert main(["evaluate", "--tasks", "any", *option.split()]) == 0
    assert seen == [(not option, [*begin, 20, 20])]
    assert HarnessLM(lm, DecodeConfig(), chat=False).tok_encode("<b> one") == [20, 20], "it begins already"


def test_tokens_beyond_a_stop_are_not_counted(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(**SURE)
    ids = lm.tokenizer("the cat sat on the mat")["input_ids"]
    n = next(n for n in range(1, len(ids)) if "on" in lm.decode(ids[:n]))
    assert tokens_until(lm, ids, ["xyz", "on"]) == n < len(ids)
    assert tokens_until(lm, ids, []) == len(ids)


def test_a_question_asked_twice_is_sampled_twice(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    def answers() -> list[str]:
        model = HarnessLM(load(**SURE), DecodeConfig(threshold=1.0, max_new_tokens=12), batch=2)
        asked = [request("t", "the cat", {"until": [], "do_sample": True, "temperature": 2.0}) for _ in range(3)]
        return model.generate_until(asked, disable_tqdm=True)

    assert len(set(answers())) == 3
    assert answers() == answers()


def test_a_task_that_allows_long_answers_keeps_its_prompts(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(**SURE)
    model = HarnessLM(lm, DecodeConfig(max_new_tokens=20), batch=2)
    asked: list[str] = []
    start = model._start

    def started(*arguments: Any) -> Any:
        answering = start(*arguments)
        asked.append(lm.decode(answering.run.prompt_ids))
        return answering

    model._start = started  # type: ignore[method-assign]
    long = "the dog sat on the log and " * 60  # more than the context
    limits = {"until": [], "max_gen_toks": 32_768}
    answers = model.generate_until([request("t", p, limits) for p in ("the cat", long)], disable_tqdm=True)
    assert len(answers) == 2
    assert asked[0] == lm.decode(model.tok_encode("the cat"))
    assert 100 < len(lm.tokenizer(asked[1])["input_ids"]) < lm.context_length
    assert lm.decode(model.tok_encode(long)).endswith(asked[1])


def test_likelihoods_read_autoregressively(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(**SURE)
    model = HarnessLM(lm, DecodeConfig(), batch=2)
    one = sdlm_core.decode(lm, model.tok_encode("the cat"), DecodeConfig(algorithm="autoregressive", max_new_tokens=2))
    (value, greedy), (other, wrong) = model._loglikelihood_tokens(
        [(None, model.tok_encode("the cat"), list(one.token_ids)), (None, model.tok_encode("the cat"), [50, 51])]
    )
    assert greedy
    assert not wrong
    assert value > other
    first = [request("t", "the cat", " sat"), request("t", "", "dog")]
    assert len(model.loglikelihood(first, disable_tqdm=True)) == 2
    long = "the dog sat on the log and " * 60  # more than the context, so several windows
    assert model.loglikelihood_rolling([request("t", long)], disable_tqdm=True)[0] < 0


def test_likelihoods_come_back_in_the_order_they_were_asked_in(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(**SURE)
    model = HarnessLM(lm, DecodeConfig(), batch=2)
    texts = [("one two three four five", " six seven"), ("the cat sat", " on the mat"), ("dog", " and")]
    pairs = [(model.tok_encode(context), model.tok_encode(continuation)) for context, continuation in texts]
    lengths = [len(context) + len(continuation) for context, continuation in pairs]
    assert lengths == sorted(set(lengths), reverse=True), "they are read the other way round"
    found = model._loglikelihood_tokens([(None, *pair) for pair in pairs])
    alone = [log_likelihoods(lm, [pair])[0] for pair in pairs]
    assert [value for value, _ in found] == pytest.approx([sum(value for value, _ in tokens) for tokens in alone])
    assert [greedy for _, greedy in found] == [all(greedy for _, greedy in tokens) for tokens in alone]


def test_what_users_meet_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx
    import lm_eval.tasks

    # In the place of the harness' thousands of tasks, which take seconds to read.
    monkeypatch.setattr(lm_eval.tasks, "TaskManager", lambda **_: SimpleNamespace(match_tasks=lambda names: []))
    with pytest.raises(sdlm_core.SDLMError, match="knows no task 'no_such_task'"):
        harness_cli.evaluate(None, Namespace(tasks="no_such_task", include_path=None))

    wrapped = RuntimeError("loading failed")
    wrapped.__cause__ = httpx.ConnectError("no route to host")
    assert "hub cannot be reached" in str(harness_cli.explain(wrapped))
    assert "--confirm-run-unsafe-code" in str(harness_cli.explain(ValueError("unsafe. Set confirm_run_unsafe_code")))
    assert "'langdetect'" in str(harness_cli.explain(ModuleNotFoundError("x", name="langdetect")))
    assert harness_cli.explain(ValueError("else")) is None
