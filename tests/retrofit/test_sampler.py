"""Hidden states and the sampler's training: a random model, and a language whose tokens depend on their neighbours."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import sdlm_core
from sdlm_core import masks
from sdlm_core.cli import retrofit as cli
from sdlm_core.errors import SDLMError
from sdlm_core.models.sampler import load_sampler
from sdlm_core.retrofit import states as states_module
from sdlm_core.retrofit.attention import attention
from sdlm_core.retrofit.collate import IGNORE, Batch, Segment
from sdlm_core.retrofit.sampler import SamplerConfig, train_sampler
from sdlm_core.retrofit.sampler_loss import candidate_loss, targets
from sdlm_core.retrofit.sampler_report import calibration_error, fit_scale
from sdlm_core.retrofit.states import States, StatesConfig, write_states

Load = Callable[..., sdlm_core.LanguageModel]


@pytest.fixture
def lm(load: Load, monkeypatch: pytest.MonkeyPatch) -> sdlm_core.LanguageModel:
    monkeypatch.setattr(states_module, "CANDIDATES", 400)  # a random model's 64 likeliest rarely hold the label
    return load(block_size=4)


def write_data(path: Path, count: int = 40) -> Path:
    """Answers of pairs: a is followed by b or c, always by the same letter again within an answer's pair."""
    draw = random.Random(0)
    lines = []
    for number in range(count):
        answer = "".join(draw.choice(("xq", "yr", "zs")) for _ in range(12))
        turns = [{"from": "human", "value": f"say {number}"}, {"from": "gpt", "value": answer}]
        lines.append(json.dumps({"conversations": turns}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def config_of(tmp_path: Path, name: str = "states", **changes: Any) -> StatesConfig:
    data = tmp_path / "data.jsonl"
    if not data.exists():
        write_data(data)
    settings: dict[str, Any] = {"held_out": 0.3, "shard_blocks": 64, "rows_per_pass": 128, "block_density": 0.5}
    return StatesConfig(str(data), str(tmp_path / name), **{**settings, **changes})


def test_a_block_is_what_the_model_computes(lm: sdlm_core.LanguageModel, tmp_path: Path) -> None:
    """Each block's rows against the uncached pass of the paper: x_1 … x_s, m × (D − 1)."""
    config = config_of(tmp_path)
    states = States(write_states(lm, config))
    blocks = states.take(torch.arange(len(states)))
    source = states_module.load_sources(config.data, config.held_out)[0]
    assert 0 < int(blocks["held_out"].sum()) < len(states)
    for n in range(0, len(states), 17):
        apart, number, s = (int(blocks[name][n]) for name in ("held_out", "conversation", "start"))
        line = (source.held_out if apart else source.records)[number]
        conversation = source.conversation(line, lm.tokenizer, config.max_tokens)
        ids, end = conversation.token_ids, conversation.turns[0][1]
        rows = masks.concat([masks.causal_rows(0, s), masks.block_rows(s, 4)])
        tokens = torch.tensor(ids[: s + 1] + [lm.mask_token_id] * 3)
        batch = Batch(tokens, torch.zeros_like(tokens), rows, [Segment(0, s, 1)], tokens, tokens, tokens)
        hidden = lm.transformer.forward(tokens, rows.position, attention(batch, 4, False, "eager", lm.dtype))[-4:]
        torch.testing.assert_close(blocks["hidden"][n], hidden, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            blocks["own"][n], lm.transformer.logits(hidden).gather(1, blocks["ids"][n].long()), rtol=1e-4, atol=1e-4
        )
        wanted = ids[s + 1 : min(s + 5, end)]
        assert blocks["labels"][n].tolist() == wanted + [IGNORE] * (4 - len(wanted))
        text = torch.tensor(ids[: s + 4])
        rows = masks.causal_rows(0, len(text))
        batch = Batch(text, torch.zeros_like(text), rows, [Segment(0, len(text), 0)], text, text, text)
        hidden = lm.transformer.forward(text, rows.position, attention(batch, 4, False, "eager", lm.dtype))
        log_p = lm.transformer.logits(hidden).log_softmax(dim=-1)
        for i, taught in enumerate(blocks["taught"][n].tolist()):
            assert taught == (s + i < len(ids))
            if taught:
                known = log_p[s + i, blocks["ids"][n, i].long()]
                torch.testing.assert_close(blocks["teacher"][n, i], known, rtol=1e-4, atol=1e-4)


def test_reading_on_gives_what_one_run_gives(lm: sdlm_core.LanguageModel, tmp_path: Path) -> None:
    whole = States(write_states(lm, config_of(tmp_path, "whole")))
    write_states(lm, config_of(tmp_path, "parts", blocks=100))
    assert len(States(tmp_path / "parts")) < len(whole)
    parts = States(write_states(lm, config_of(tmp_path, "parts")))
    everything = torch.arange(len(whole))
    for name, value in whole.take(everything).items():
        torch.testing.assert_close(parts.take(everything)[name], value, rtol=1e-4, atol=1e-4)


def test_take_keeps_the_order_asked_for(lm: sdlm_core.LanguageModel, tmp_path: Path) -> None:
    states = States(write_states(lm, config_of(tmp_path)))
    some = torch.randperm(len(states), generator=torch.Generator().manual_seed(0))[:40]
    assert torch.equal(states.take(some)["start"], states.column("start")[some])


def test_states_of_something_else_are_left_alone(lm: sdlm_core.LanguageModel, tmp_path: Path) -> None:
    write_states(lm, config_of(tmp_path))
    with pytest.raises(SDLMError, match="other settings"):
        write_states(lm, config_of(tmp_path, seed=1))
    with pytest.raises(SDLMError, match="no hidden states"):
        States(tmp_path)


def test_a_model_without_blocks_is_refused(load: Load, tmp_path: Path) -> None:
    with pytest.raises(SDLMError, match="guesses no blocks"):
        write_states(load(block_size=None), config_of(tmp_path))


@pytest.mark.parametrize("miss", [0.0, 1.0])
def test_candidate_loss_is_cross_entropy(miss: float) -> None:
    torch.manual_seed(0)
    head, change = torch.randn(30, 8), torch.randn(100, 8, requires_grad=True)
    own, ids = torch.randn(100, 30).topk(6, dim=1)
    labels = torch.randint(0, 30, (100,))
    rows = {"ids": ids.int(), "labels": labels.int()}
    wanted = targets(rows, miss, weight=0.0, temperature=1.0)
    losses, chances = candidate_loss(change, head, rows["ids"], own, rows["labels"], wanted)
    weights = torch.rand(100)
    (losses * weights).sum().backward()
    again = change.detach().clone().requires_grad_(True)
    log_p = (own + torch.einsum("rkh,rh->rk", head[ids], again)).log_softmax(dim=1)
    hit = ids == labels[:, None]
    inside = hit.any(dim=1)
    assert 0 < inside.sum() < 100
    wanted = torch.where(inside, -(log_p * hit).sum(dim=1), -miss * log_p.mean(dim=1))
    (wanted * weights).sum().backward()
    torch.testing.assert_close(losses, wanted)
    torch.testing.assert_close(chances, (log_p.exp() * hit).sum(dim=1))
    torch.testing.assert_close(change.grad, again.grad)


def test_the_teacher_says_how_likely_each_candidate_is() -> None:
    """Label 5; the prediction gives the candidates 5, 6, 7 one half, one quarter and one eighth."""
    ids, labels = torch.tensor([[5, 6, 7]]), torch.tensor([5])
    teacher = torch.tensor([[0.5, 0.25, 0.125]]).log()
    rows = {"ids": ids, "labels": labels, "teacher": teacher, "taught": torch.tensor([True])}

    def wanted(weight: float, temperature: float = 1.0, miss: float = 0.0) -> list[float]:
        return targets(rows, miss, weight, temperature)[0].tolist()

    assert wanted(0.0) == [1.0, 0.0, 0.0]
    assert wanted(1.0) == pytest.approx([0.5, 0.25, 0.125])
    assert wanted(1.0, miss=1.0) == pytest.approx([0.5 + 1 / 24, 0.25 + 1 / 24, 0.125 + 1 / 24])
    assert wanted(0.5) == pytest.approx([0.75, 0.125, 0.0625])
    squares = 0.25 + 0.0625 + 2 * 0.125**2
    assert wanted(1.0, temperature=0.5) == pytest.approx([0.25 / squares, 0.0625 / squares, 0.125**2 / squares])
    rows["taught"] = torch.tensor([False])
    assert wanted(1.0) == [1.0, 0.0, 0.0]


def test_training_learns_what_follows_what(lm: sdlm_core.LanguageModel, tmp_path: Path) -> None:
    """Every second letter is fixed by the one before it, which the frozen rows cannot know."""
    states = write_states(lm, config_of(tmp_path))
    settings: dict[str, Any] = {"width": 32, "batch_blocks": 64, "evaluate_every": 30, "warmup_steps": 5}
    settings |= {"learning_rate": 1e-2, "dropout": 0.0, "patience": 100, "teacher_weight": 0.0}
    folder = train_sampler(lm, SamplerConfig(str(states), str(tmp_path / "run"), steps=120, calibrate=True, **settings))
    log = [json.loads(line) for line in (folder / "sampler_log.jsonl").read_text().splitlines()]
    assert log[-1]["held_out_loss"] < log[0]["held_out_loss"] < 4
    report = json.loads((folder / "report.json").read_text())["all"]
    assert min(report["sure"]) > 0.2  # half of the letters follow from the one before
    sampler = load_sampler(folder, lm.transformer.shape.hidden)
    assert sampler is not None
    assert (sampler.width, sampler.block_size) == (32, 4)


def test_resuming_gives_what_one_run_gives(lm: sdlm_core.LanguageModel, tmp_path: Path) -> None:
    states = write_states(lm, config_of(tmp_path))
    settings: dict[str, Any] = {"width": 8, "batch_blocks": 64, "evaluate_every": 2, "dropout": 0.0}
    settings |= {"schedule": "constant"}
    whole = train_sampler(lm, SamplerConfig(str(states), str(tmp_path / "whole"), steps=6, **settings))
    train_sampler(lm, SamplerConfig(str(states), str(tmp_path / "parts"), steps=4, **settings))
    with pytest.raises(SDLMError, match="already holds a run"):
        train_sampler(lm, SamplerConfig(str(states), str(tmp_path / "parts"), steps=6, **settings))
    parts = train_sampler(lm, SamplerConfig(str(states), str(tmp_path / "parts"), steps=6, resume=True, **settings))
    one, other = (load_sampler(f, lm.transformer.shape.hidden) for f in (whole, parts))
    assert one is not None
    assert other is not None
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_the_command_leaves_the_checkpoint_alone(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    """--sampler-only, called twice: the second goes on where the first stopped, and nothing else appears."""
    folder, data = checkpoint(block_size=4), write_data(tmp_path / "data.jsonl", 12)
    before = sorted(path.name for path in folder.iterdir())
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    words = ["--model", str(folder), "--data", str(data), "--output", str(tmp_path / "out"), "--sampler-only"]
    words += ["--sampler-width", "8", "--sampler-blocks", "60", "--sampler-minutes", "0.001", "--held-out", "0.3"]
    for _ in range(2):
        assert cli.run(parser.parse_args(words)) == 0
    assert sorted(path.name for path in folder.iterdir()) == before
    sampler = load_sampler(tmp_path / "out", 32)
    assert sampler is not None
    assert (sampler.width, sampler.block_size) == (8, 4)


def test_calibration_error() -> None:
    confidence = torch.tensor([0.99, 0.99, 0.99, 0.99, 0.51, 0.51])
    right = torch.tensor([True, True, True, False, True, False])
    assert calibration_error(confidence, right) == pytest.approx((4 * 0.24 + 2 * 0.01) / 6, abs=1e-4)


def test_a_factor_that_was_lost_is_found() -> None:
    """Scores three quarters of what the labels were drawn by."""
    torch.manual_seed(0)
    scores = torch.randn(4000, 2, 8) * 2
    place = torch.distributions.Categorical(logits=scores).sample()
    every = torch.ones(4000, 2, dtype=torch.bool)
    scale = fit_scale({"scores": scores * 0.75, "place": place, "known": every, "first": every[:, 0]})
    torch.testing.assert_close(scale, torch.full((2,), 1 / 0.75), rtol=0.06, atol=0)


def test_settings_are_checked(lm: sdlm_core.LanguageModel, tmp_path: Path) -> None:
    for wrong in ({"steps": None}, {"width": 0}, {"dropout": 1.0}):
        with pytest.raises(SDLMError):
            train_sampler(lm, SamplerConfig("x", str(tmp_path), **{"steps": 1, **wrong}))  # type: ignore[arg-type]
