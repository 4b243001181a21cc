"""The whole run on tiny models: it learns, resumes exactly, and leaves files that PEFT and transformers can read."""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from peft import PeftModel
from safetensors.torch import load_file

from sdlm_core import masks
from sdlm_core.config import DecodeConfig
from sdlm_core.decoding.loop import decode
from sdlm_core.errors import SDLMError
from sdlm_core.models.loading import load_model
from sdlm_core.retrofit import base_model, output, train
from sdlm_core.retrofit.collate import TEXT
from sdlm_core.retrofit.train import retrofit
from tests.retrofit import tiny
from tests.retrofit.conftest import config


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]


def state_of(folder: Path) -> dict[str, torch.Tensor]:
    """What a run's checkpoint holds: weights and moments."""
    return load_file(folder / "checkpoint" / "state.safetensors")


@pytest.mark.slow
def test_learns_to_guess_every_token_of_a_block(base: Path, data: Path, tmp_path: Path) -> None:
    """Predictable text ends up decoded D tokens a pass at τ 0.9, from the checkpoint as the loader reads it."""
    run = config(base, data, tmp_path / "out", lora_rank=0, steps=250, learning_rate=3e-3, rows_per_step=512)
    folder = retrofit(run)
    last = log_of(folder)[-1]
    assert max(last[f"loss_pos_{i}"] for i in range(1, 5)) < 0.2
    lm = load_model(str(folder / "model"), device="cpu", dtype="float32")
    assert (lm.block_size, lm.mask_token_id, lm.causal_attn) == (4, tiny.MASK_ID, False)
    trace = decode(lm, [{"role": "user", "content": "d"}], DecodeConfig(threshold=0.9, max_new_tokens=32))
    assert trace.text == "efghijk"
    assert [p.accepted for p in trace.passes] == [4, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_resuming_equals_an_uninterrupted_run(base: Path, data: Path, tmp_path: Path, workers: int) -> None:
    changes = {"schedule": "constant", "rows_per_pass": 100, "workers": workers}
    whole = log_of(retrofit(config(base, data, tmp_path / "whole", **changes)))
    retrofit(config(base, data, tmp_path / "parts", **changes, steps=2))
    parts = log_of(retrofit(config(base, data, tmp_path / "parts", **changes, resume=True)))
    assert [r["step"] for r in parts] == [1, 2, 3, 4, 5, 6]
    assert [r["loss"] for r in parts] == [r["loss"] for r in whole]
    torch.testing.assert_close(state_of(tmp_path / "parts"), state_of(tmp_path / "whole"))


def test_how_a_step_is_shared_out_changes_nothing(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One big pass, several small ones, and those by two workers: the same losses, gradients and weights."""
    compute, passes = train.compute_gradients, []

    def counted(module: Any, batches: list[Any], *rest: Any) -> Any:
        passes.append(len(batches))
        return compute(module, batches, *rest)

    monkeypatch.setattr(train, "compute_gradients", counted)
    logs, states = [], []
    for rows, workers in ((4096, 1), (100, 1), (100, 2)):
        out = tmp_path / f"{rows}-{workers}"
        logs.append(log_of(retrofit(config(base, data, out, rows_per_pass=rows, workers=workers))))
        states.append(state_of(out))
    assert set(passes[:6]) == {1}
    assert min(passes[6:]) > 1
    for log, state in zip(logs[1:], states[1:], strict=True):
        for key in ("loss", "grad_norm"):
            assert [r[key] for r in log] == pytest.approx([r[key] for r in logs[0]], abs=2e-4)
        torch.testing.assert_close(state, states[0])


@pytest.fixture
def signals_do_no_harm() -> Iterator[None]:
    """A signal that no run takes does not end the tests."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_ends_the_run_after_the_step_in_hand_and_nothing_is_lost(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals_do_no_harm: None
) -> None:
    whole = log_of(retrofit(config(base, data, tmp_path / "whole")))
    compute, step = train.compute_gradients, itertools.count(1)
    sent = {2: signal.SIGTERM, 5: signal.SIGINT}

    def signalled(*arguments: Any) -> Any:
        if number := sent.get(next(step)):
            signal.raise_signal(number)
        return compute(*arguments)

    monkeypatch.setattr(train, "compute_gradients", signalled)
    for resume, last in ((False, 2), (True, 5), (True, 6)):
        parts = log_of(retrofit(config(base, data, tmp_path / "parts", resume=resume)))
        assert [r["step"] for r in parts] == list(range(1, last + 1))
    assert [r["loss"] for r in parts] == [r["loss"] for r in whole]
    torch.testing.assert_close(state_of(tmp_path / "parts"), state_of(tmp_path / "whole"))


def test_resuming_after_a_kill_forgets_what_was_logged_beyond_the_checkpoint(
    base: Path, data: Path, tmp_path: Path
) -> None:
    folder = retrofit(config(base, data, tmp_path / "killed", steps=2))
    with (folder / "training_log.jsonl").open("a") as log:
        log.write('{"step": 3, "loss": 0.5}\n{"step": 4, "lo')  # made after the checkpoint, and cut off
    resumed = log_of(retrofit(config(base, data, folder, steps=4, resume=True)))
    assert [r["step"] for r in resumed] == [1, 2, 3, 4]
    assert resumed[2]["loss"] != 0.5


def test_a_run_keeps_its_meaning_when_it_is_resumed(base: Path, data: Path, tmp_path: Path) -> None:
    folder = retrofit(config(base, data, tmp_path / "run", steps=1))
    for change in ({"lora_alpha": 3}, {"block_size": 2}, {"seed": 9}):
        with pytest.raises(SDLMError, match=f"{next(iter(change))} = .* Resume with the same"):
            retrofit(config(base, data, folder, steps=2, resume=True, **change))
    assert log_of(retrofit(config(base, data, folder, steps=2, resume=True, learning_rate=1e-5)))[-1]["step"] == 2


def test_a_run_that_was_killed_at_once_leaves_no_lines_behind(base: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "training_log.jsonl").write_text('{"step": 1, "loss": 9.5}\n{"step": 2, "lo')
    log = log_of(retrofit(config(base, data, tmp_path / "run", steps=2)))
    assert [r["step"] for r in log] == [1, 2]
    assert log[0]["loss"] != 9.5


def test_lora_gradients_are_those_of_pefts_own_forward(base: Path, data: Path, tmp_path: Path) -> None:
    """The merged pass with hand-written gradients against autograd through PEFT's modules, on one conversation."""
    settings = config(base, data, tmp_path)
    _, model, mask_id = base_model.load_base(settings, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05, generator=generator)
    batch = tiny.batch(block_size=4)
    loss, _ = train.LossModule(model, settings, mask_id, torch.device("cpu"))(batch, int((batch.labels >= 0).sum()))
    loss.backward()
    found = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    model.zero_grad(set_to_none=True)
    model.train(False)
    visible = masks.attention_mask(batch.rows, False) & (batch.sequence[:, None] == batch.sequence[None])
    logits = model(
        input_ids=batch.token_ids[None],
        position_ids=batch.rows.position[None],
        attention_mask=torch.where(visible, 0.0, float("-inf"))[None, None],
    ).logits[0, batch.loss_rows]
    expected = torch.nn.functional.cross_entropy(logits, batch.labels)
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-6)


def test_training_goes_on_from_an_earlier_adapter(base: Path, data: Path, tmp_path: Path) -> None:
    earlier = retrofit(config(base, data, tmp_path / "earlier", steps=3)) / "adapter"
    settings = config(base, data, tmp_path / "later", start_adapter=str(earlier))
    _, model, _ = base_model.load_base(settings, torch.device("cpu"))
    kept = load_file(earlier / "adapter_model.safetensors")
    found = {n.replace(".default", ""): p for n, p in model.named_parameters() if p.requires_grad}
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[name].to(torch.bfloat16), kept[name]) for name in kept)
    with pytest.raises(SDLMError, match="another rank"):
        base_model.load_base(replace(settings, lora_rank=3), torch.device("cpu"))
    with pytest.raises(SDLMError, match="holds no adapter"):
        base_model.load_base(replace(settings, start_adapter=str(tmp_path)), torch.device("cpu"))


def test_text_loss_is_added_with_its_weight(base: Path, data: Path, tmp_path: Path) -> None:
    _, model, mask_id = base_model.load_base(config(base, data, tmp_path), torch.device("cpu"))
    batch = tiny.batch(block_size=4, text_labels=True)
    found = {}
    for weight in (0.0, 1.0, 0.5):
        settings = config(base, data, tmp_path, text_loss=weight)
        found[weight] = train.LossModule(model, settings, mask_id, torch.device("cpu"))(batch, 1)[0].item()
    model.train(False)
    text_losses = train.LossModule(model, settings, mask_id, torch.device("cpu"))(batch, 1)[1][batch.offset == TEXT]
    assert float(text_losses.sum()) > 1
    assert found[1.0] - found[0.0] == pytest.approx(float(text_losses.sum()), rel=1e-4)
    assert found[0.5] - found[0.0] == pytest.approx(0.5 * float(text_losses.sum()), rel=1e-4)


@pytest.mark.parametrize("implementation", ["split", "eager", "flex_attention"])
def test_the_base_teaches_what_it_wrote(base: Path, data: Path, tmp_path: Path, implementation: str) -> None:
    settings = config(base, data, tmp_path, text_loss=1.0, teacher_temperature=0.5, attention=implementation)
    _, model, mask_id = base_model.load_base(settings, torch.device("cpu"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)  # no longer what the base says
    module = train.LossModule(model, settings, mask_id, torch.device("cpu"))
    plain = tiny.batch(block_size=4, text_labels=True)
    segments = [replace(s, self_distilled=index != 1) for index, s in enumerate(plain.segments)]
    batch = replace(plain, segments=segments)
    with torch.no_grad():
        (taught, losses), (untaught, same) = module(batch, 1), module(plain, 1)

    expected, hard, student = 0.0, 0.0, model.merge_and_unload()
    teacher = tiny.model()
    student.model.embed_tokens.weight.data[mask_id] = student.lm_head.weight.data[mask_id]
    for segment in (segments[0], segments[2]):
        end = segment.start + segment.text + 4 * segment.blocks
        text = [*range(segment.start, segment.start + segment.text), end - 4]
        wanted = teacher(batch.token_ids[text][None]).logits[0] / 0.5
        wanted[:, mask_id] = -torch.inf
        for index, place in enumerate(batch.loss_rows.tolist()):
            label, s = batch.labels[index], int(batch.rows.position[place])
            if not segment.start <= place < end or batch.offset[index] > 0 or label < 0:
                continue
            ids = batch.token_ids[text][: s + 1].tolist()
            visible = torch.ones(s + 1, s + 1, dtype=torch.bool).tril()
            if batch.offset[index] == 0:  # the block: x_s and three masks, which see each other
                ids += [mask_id] * 3
                visible = torch.ones(s + 4, s + 4, dtype=torch.bool).tril()
                visible[s:, s:] = True
            bias = torch.zeros(visible.shape).masked_fill_(~visible, -torch.inf)[None, None]
            logits = student(torch.tensor([ids]), attention_mask=bias).logits[0, s]
            expected += F.cross_entropy(logits, wanted[s].softmax(dim=-1)).item()
            hard += F.cross_entropy(logits, label).item()

    torch.testing.assert_close(losses, same)  # what is reported stays comparable
    assert (taught - untaught).item() == pytest.approx(expected - hard, rel=1e-3)


def test_the_adapter_loads_in_peft(base: Path, data: Path, tmp_path: Path) -> None:
    folder = retrofit(config(base, data, tmp_path / "out", held_out=0.2, base_name="the base"))
    settings = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "the base"
    assert settings["trainable_token_indices"] == [tiny.MASK_ID]
    facts = json.loads((folder / "adapter" / "sdlm_config.json").read_text())
    assert facts == {
        "base": "the base",
        "block_size": 4,
        "causal_attn": False,
        "text_mask_token": "<mask>",
        "text_mask_token_id": tiny.MASK_ID,
    }
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    loaded = PeftModel.from_pretrained(tiny.model(), folder / "adapter")
    merged = loaded.merge_and_unload().model.embed_tokens.weight[tiny.MASK_ID]
    row = next(tensor for name, tensor in weights.items() if "trainable_tokens" in name)[0]
    torch.testing.assert_close(merged, row.float())
    records = [r for r in log_of(folder) if "held_out_loss" in r]
    assert [r["step"] for r in records] == [3, 6]
    assert len(records[0]["held_out_all"]) == 4


def test_the_best_state_by_held_out_loss_is_kept(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([2.0, 1.0, 3.0])
    saved: list[float] = []

    def evaluate(*_: Any) -> dict[str, Any]:
        saved.append(next(losses))
        return {"held_out_loss": saved[-1]}

    kept: list[float] = []
    monkeypatch.setattr(train, "evaluate", evaluate)
    monkeypatch.setattr(output.Saver, "save_model", lambda self: kept.append(saved[-1]))
    retrofit(config(base, data, tmp_path / "out", held_out=0.2, evaluate_every=2))
    assert kept == [2.0, 1.0]


def test_signals_are_the_programs_own_again_after_a_run(base: Path, data: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    retrofit(config(base, data, tmp_path / "out", steps=1))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
