"""Memory is predicted before it is taken, and what cannot fit is refused in words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

import sdlm_core
from sdlm_core import DecodeConfig, SDLMError
from sdlm_core.decoding import algorithms
from sdlm_core.decoding.loop import Run, advance
from sdlm_core.execution.attention import places_end
from sdlm_core.execution.cache import cache_bytes
from sdlm_core.execution.executor import executor_for
from sdlm_core.models import memory
from sdlm_core.models.cgroup import cgroup_free
from sdlm_core.models.loading import load_transformers
from sdlm_core.models.memory import free_bytes, parameters, weight_bytes

Checkpoint = Callable[..., Path]
Load = Callable[..., sdlm_core.LanguageModel]

QWEN = {
    "vocab_size": 151_936,
    "hidden_size": 2048,
    "intermediate_size": 11_008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}
SMOL = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}


def count(config: Any) -> int:
    matrices, _, others = parameters(config)
    return matrices + others


# -- weights ----------------------------------------------------------------------------------------------------------


def test_published_models_have_their_published_sizes() -> None:
    # Qwen2.5-3B, by hand: a layer 2048 · 2560 + 2048 · 2048 + 3 · 2048 · 11008 in matrices, 2560 biases, 2 · 2048 norms
    assert count(transformers.Qwen2Config(**QWEN)) == 36 * (77_070_336 + 2560 + 4096) + 151_936 * 2048 + 2048
    assert count(transformers.Qwen2Config(**QWEN)) == 3_085_938_688
    assert count(transformers.LlamaConfig(**SMOL)) == 134_515_008
    large = {
        **QWEN,
        "vocab_size": 152_064,
        "hidden_size": 5120,
        "intermediate_size": 27_648,
        "num_hidden_layers": 64,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
    }
    assert count(transformers.Qwen2Config(**large)) == 32_763_876_352
    assert weight_bytes(transformers.Qwen2Config(**large), torch.bfloat16, "nf4") == pytest.approx(20.7e9, rel=0.01)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_the_prediction_is_what_the_file_and_the_model_hold(kind: str, tied: bool, checkpoint: Checkpoint) -> None:
    folder = checkpoint(kind=kind, tied=tied)
    model, _, _ = load_transformers(str(folder), "cpu", "float32")
    predicted = weight_bytes(model.config, torch.float32)
    assert predicted == sum(p.nbytes for p in model.parameters())
    assert predicted == sum(t.nbytes for t in load_file(folder / "model.safetensors").values())
    assert weight_bytes(model.config, torch.bfloat16) == predicted // 2


@pytest.mark.parametrize("biases", [{"attention_bias": True}, {"attention_bias": True, "mlp_bias": True}])
def test_llamas_optional_biases_are_counted(biases: dict[str, bool]) -> None:
    config = transformers.LlamaConfig(**{**SMOL, "hidden_size": 36, "num_hidden_layers": 2}, **biases)
    assert count(config) == sum(p.numel() for p in transformers.LlamaForCausalLM(config).parameters())


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_the_prediction_for_packed_weights_is_what_they_take(quantization: str, checkpoint: Checkpoint) -> None:
    folder = checkpoint(kind="qwen2", tied=False, hidden_size=64, intermediate_size=128)
    model, _, _ = load_transformers(str(folder), "cpu", "bfloat16", quantization)
    held = sum(p.nbytes for p in model.parameters())
    for p in model.parameters():
        if quantization == "nf4" and hasattr(p, "quant_state"):
            held += p.quant_state.absmax.nbytes
        elif quantization == "int8" and getattr(p, "SCB", None) is not None:
            held += p.SCB.nbytes
    assert weight_bytes(model.config, torch.bfloat16, quantization) == pytest.approx(held, rel=0.02)


# -- caches -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 255, 256, 257, 1000])
def test_a_caches_bytes_are_those_that_it_takes(rows: int, runs: int, load: Load) -> None:
    lm = load(kind="qwen3", tied=True)
    pool = executor_for(lm).new_pool()
    for cache in [pool.join() for _ in range(runs)]:
        cache.reserve(rows)
    assert cache_bytes(lm.transformer.shape, rows, lm.dtype, runs) == sum(b.nbytes for b in pool.keys + pool.values)
    for cache in list(pool.caches):
        pool.leave(cache)
    pool.clear()
    assert sum(b.nbytes for b in pool.keys + pool.values) == 0


@pytest.mark.parametrize("algorithm", sdlm_core.ALGORITHMS)
@pytest.mark.parametrize("d", [1, 2, 8])
@pytest.mark.parametrize("use_cache", [True, False])
def test_no_pass_writes_more_rows_than_predicted(
    algorithm: str, d: int, use_cache: bool, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(algorithms, "LEAST_CHANCE", 0.0)  # drafts as long as they get
    config = DecodeConfig(algorithm=algorithm, block_size=d, threshold=1.0, max_new_tokens=30, use_cache=use_cache)
    run = Run(load(kind="qwen2", tied=True, initializer_range=0.02), list(range(4, 30)), config)
    rows = algorithms.most_cache_rows(run.state)
    written = 0
    while run.finish_reason is None:
        written = max(written, places_end(run.plan(), run.cache.length))
        advance([run])
    # The widest pass is the last before the limit, where every token came alone.
    assert written <= rows
    if run.finish_reason == "length" and all(p.accepted == 1 for p in run.passes):
        assert written in (rows, rows - 1), "and the prediction is no idle one"


# -- what is free -----------------------------------------------------------------------------------------------------


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_control_groups_limit_what_is_free(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("0::/outer/inner\n")
    assert cgroup_free(tmp_path, mine) is None, "no group there"
    group(tmp_path / "outer" / "inner", memory__max="max", memory__current=700, memory__stat="anon 300")
    assert cgroup_free(tmp_path, mine) is None, "no limit"
    group(tmp_path / "outer", memory__max=1000, memory__current=700, memory__stat="anon 300\ninactive_file 150")
    assert cgroup_free(tmp_path, mine) == 450, "an outer group's limit holds, page cache counts as free"
    group(tmp_path, memory__max=2000, memory__current=1990, memory__stat="anon 300")
    assert cgroup_free(tmp_path, mine) == 10, "the narrowest"

    group(tmp_path / "memory", memory__limit_in_bytes=9223372036854771712, memory__usage_in_bytes=5)
    mine.write_text("4:cpu,memory:/docker/host-path\n1:name=systemd:/\n")
    assert (cgroup_free(tmp_path, mine) or 2**63) > 2**60, "version 1, unlimited"
    group(tmp_path / "memory", memory__limit_in_bytes=1000, memory__usage_in_bytes=400)
    group(tmp_path / "memory", memory__stat="inactive_file 1\ntotal_inactive_file 50")
    assert cgroup_free(tmp_path, mine) == 650
    assert cgroup_free(tmp_path, tmp_path / "nowhere") is None


def test_the_cpu_has_some_memory_free_and_unknown_devices_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    free = free_bytes([cpu, cpu])
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "a device named twice counts once"
    monkeypatch.setattr(memory, "cgroup_free", lambda: 1000)
    assert free_bytes([cpu]) == 1000
    assert free_bytes([torch.device("meta")]) is None
    sizes = {0: (3_000, 80_000), 1: (5_000, 80_000)}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: sizes[device.index])
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 500)
    assert free_bytes([torch.device("cuda", 0), torch.device("cuda", 1)]) == 8_400


def test_a_driver_that_does_not_tell_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(device: torch.device) -> int:
        raise RuntimeError("no GPU at present")

    monkeypatch.setattr(torch.cuda, "memory_reserved", silent)
    assert free_bytes([torch.device("cuda", 0)]) is None


# -- refusals ---------------------------------------------------------------------------------------------------------


def free(monkeypatch: pytest.MonkeyPatch, **devices: int) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda asked: sum(devices[d.type] for d in asked))


def test_what_cannot_fit_is_refused_before_a_weight_is_read(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in checkpoint(kind="qwen2", tied=True).iterdir():
        (folder / file.name).write_bytes(file.read_bytes() if file.suffix != ".safetensors" else b"unreadable")
    free(monkeypatch, cpu=10**9)
    with pytest.raises(SDLMError, match="could not be loaded"):  # enough memory: the weights are opened
        sdlm_core.load_model(str(folder), device="cpu", dtype="float32")
    free(monkeypatch, cpu=10**5)
    with pytest.raises(SDLMError, match=r"model' needs about .* MB for its weights in float32 .* cpu has 0\.1 MB free"):
        sdlm_core.load_model(str(folder), device="cpu", dtype="float32")


def refusal(config: Any, device: str = "cuda:0", dtype: torch.dtype = torch.bfloat16, **settings: Any) -> str:
    with pytest.raises(SDLMError) as error:
        memory.check_fits("big", config, [torch.device(device)], dtype, **settings)
    return str(error.value)


def test_only_what_would_fit_is_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    config = transformers.Qwen2Config(**QWEN)  # 6.2 GB in bfloat16, 3.4 GB in int8, 2.2 GB in nf4
    free(monkeypatch, cuda=5 * 10**9, cpu=10**9)
    assert refusal(config) == (
        "'big' needs about 6.2 GB for its weights in bfloat16 and 0.3 GB to load and run, but cuda:0 has 5.0 GB free. "
        "Try --quantization int8 (about 3.4 GB) or a smaller model."
    )
    assert "quantization" not in refusal(config, adapter=True), "an adapter is merged into full weights"
    free(monkeypatch, cuda=3 * 10**9, cpu=10**11)
    assert refusal(config).endswith(
        "Try --quantization nf4 (about 2.2 GB), --device cpu (100.0 GB free) or a smaller model."
    )
    assert "nf4" in refusal(config, quantization="int8")
    free(monkeypatch, cuda=10**9, cpu=10**9)
    assert refusal(config).endswith("1.0 GB free. Try a smaller model.")
    assert refusal(config, quantization="nf4").endswith("Try a smaller model.")
    free(monkeypatch, cuda=10**9, cpu=7 * 10**9)
    assert "Try dtype bfloat16 (about 6.2 GB)" in refusal(config, "cpu", torch.float32)
    monkeypatch.setattr(memory, "free_bytes", lambda devices: None)
    memory.check_fits("big", config, [torch.device("cuda:0")], torch.bfloat16)


def test_several_gpus_are_one_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    config = transformers.Qwen2Config(**QWEN)
    gpus = [torch.device("cuda", i) for i in range(2)]
    free(monkeypatch, cuda=4 * 10**9, cpu=10**9)
    memory.check_fits("big", config, gpus, torch.bfloat16)
    with pytest.raises(SDLMError, match=r"the 2 GPUs together have 8\.0 GB free"):
        memory.check_fits("big", config, gpus, torch.float32)
