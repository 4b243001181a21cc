"""The pass at fixed shapes, which a GPU replays as a graph, computes what the flexible one does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import sdlm_core
from sdlm_core import DecodeConfig
from sdlm_core.decoding.loop import Run, advance
from sdlm_core.execution.cache import CachePool
from sdlm_core.execution.executor import Executor, executor_for
from sdlm_core.execution.fixed_shapes import FixedShapes
from sdlm_core.execution.switches import choose_switches
from sdlm_core.serve import Engine

Load = Callable[..., sdlm_core.LanguageModel]


def fixed_pool(lm: sdlm_core.LanguageModel) -> CachePool:
    pool = executor_for(lm).new_pool()
    executor_for(lm).fix_shapes(pool, capture=False)
    return pool


@pytest.mark.parametrize("causal_attn", [False, True])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_runs_at_fixed_shapes_are_the_runs_alone(load: Load, kind: str, causal_attn: bool) -> None:
    """Runs of all kinds join and leave while a long prompt is read beside them; tokens and passes stay the same."""
    lm = load(kind=kind, tied=False, causal_attn=causal_attn)
    pool = fixed_pool(lm)
    generator = torch.Generator().manual_seed(0)
    jobs = []
    for length, algorithm, size, tau in [
        (3, "prob_conf", 4, 0.0),
        (200, "entropy_conf", 8, 0.5),
        (17, "self_speculative", 4, 0.0),
        (1, "autoregressive", None, 0.0),
        (40, "self_speculative", 8, 0.0),
        (9, "prob_conf", 8, 1.0),
    ]:
        prompt = torch.randint(4, 300, (length,), generator=generator).tolist()
        jobs.append((prompt, DecodeConfig(algorithm, size, tau, max_new_tokens=12 + length % 7)))
    waiting = [Run(lm, prompt, config, pool) for prompt, config in jobs]
    runs, active = list(waiting), []
    while waiting or active:
        active += waiting[:2]
        del waiting[:2]
        advance(active, prefill_rows=150)
        for run in [run for run in active if run.finish_reason]:
            active.remove(run)
            run.leave()
    for run, (prompt, config) in zip(runs, jobs, strict=True):
        alone = sdlm_core.decode(lm, prompt, config)
        assert run.token_ids == alone.token_ids
        assert [p.accepted for p in run.passes] == [p.accepted for p in alone.passes]
    assert pool.caches == []


def test_one_wide_run_does_not_widen_everybodys(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt of 100 tokens joins: sixteen others, of 8 rows each, are not padded to 128 for it."""
    lm = load(kind="llama", tied=True)
    pool = fixed_pool(lm)
    widths: list[int] = []
    forward = FixedShapes.forward

    def noted(self: FixedShapes, caches: Any, plans: Any) -> Any:
        widths.append(max(len(plan.rows) for plan in plans))
        return forward(self, caches, plans)

    monkeypatch.setattr(FixedShapes, "forward", noted)
    narrow = [([5 + i, 9], DecodeConfig(block_size=4, threshold=0.3, max_new_tokens=12)) for i in range(16)]
    jobs = [*narrow, ([7] * 100, DecodeConfig(block_size=8, threshold=0.3, max_new_tokens=12))]
    runs = [Run(lm, prompt, config, pool) for prompt, config in jobs]
    while active := [run for run in runs if run.finish_reason is None]:
        advance(active)
    assert widths[0] <= 8
    for run, (prompt, config) in zip(runs, jobs, strict=True):
        assert run.token_ids == sdlm_core.decode(lm, prompt, config).token_ids


def test_an_engines_buffers_grow_before_an_answer_not_in_it(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Growing discards every graph."""
    lm = load(kind="llama", tied=True)
    pool = fixed_pool(lm)
    monkeypatch.setattr(Executor, "new_pool", lambda self, lasting=False: pool)
    versions = set()
    forward = FixedShapes.forward

    def noted(self: FixedShapes, caches: Any, plans: Any) -> Any:
        versions.add(pool.version)
        found = forward(self, caches, plans)
        versions.add(pool.version)
        return found

    monkeypatch.setattr(FixedShapes, "forward", noted)
    with Engine(lm) as engine:
        engine.decode("hello", DecodeConfig(block_size=8, threshold=0.0, max_new_tokens=300))
    assert len(versions) == 1


def test_a_slot_that_overflowed_is_clean_for_the_next_run() -> None:
    pool = CachePool(1, 4, [torch.device("cpu")], torch.float16, slots=2)
    gone, stays = pool.join(), pool.join()
    pool.reserve(8)
    pool.values[0][stays.slot] = 1
    pool.values[0][gone.slot, :, 3:6] = torch.nan
    stays.length = 4
    pool.leave(gone)  # and the last run moves into its slot
    assert pool.values[0].isfinite().all()
    assert (pool.values[0][stays.slot, :, :4] == 1).all()
    pool.values[0][stays.slot, :, 7] = torch.nan
    pool.leave(stays)
    assert pool.values[0].isfinite().all()


def placed_on(device: str) -> Any:
    """As much of a transformer as tells where it lies."""
    there = SimpleNamespace(device=torch.device(device), dtype=torch.float32)
    return SimpleNamespace(embedding=there, rotary=None, layers=[SimpleNamespace(input_norm=there, down=None)])


def graphs_on(transformer: Any) -> bool:
    return choose_switches(transformer).cuda_graphs


def test_captured_are_passes_on_one_gpu_but_not_under_zerogpu(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert graphs_on(placed_on("cuda:0"))
    assert not graphs_on(placed_on("cpu"))
    dynamic = placed_on("cuda:0")
    dynamic.rotary = SimpleNamespace(rope_type="dynamic")
    assert not graphs_on(dynamic)
    monkeypatch.setenv("SPACES_ZERO_GPU", "false")
    assert graphs_on(placed_on("cuda:0"))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert not graphs_on(placed_on("cuda:0"))
    executor = executor_for(load(kind="llama", tied=True))
    assert executor.extra_rows(executor.new_pool(lasting=True)) == 0


def test_where_capturing_fails_the_pass_is_computed_step_by_step(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """Here there is no CUDA at all, which is as good a failure as any."""
    lm = load(kind="llama", tied=True)
    pool = executor_for(lm).new_pool()
    executor_for(lm).fix_shapes(pool)
    config = DecodeConfig(block_size=4, threshold=0.2, max_new_tokens=9)
    run = Run(lm, "hello", config, pool)
    assert len(list(run)) == len(run.passes)
    assert run.token_ids == sdlm_core.decode(lm, "hello", config).token_ids
    assert "without CUDA graphs" in caplog.text


class Recording(TorchDispatchMode):
    """A CUDA graph's rules on a CPU: what is captured is run again on the same tensors, whatever they hold by then,
    without a line of Python; and nothing captured may ask for a number."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            raise RuntimeError("a capture may not wait for the device")
        out = func(*args, **(kwargs or {}))
        self.graph.calls.append((func, args, kwargs or {}, out))
        return out


class Graph:
    made: ClassVar[list[Graph]] = []

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0
        Graph.made.append(self)

    def pool(self) -> object:
        return self

    @torch.inference_mode()
    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, out in self.calls:
            found = func(*args, **kwargs)
            for new, old in zip(tree_leaves(found), tree_leaves(out), strict=True):
                if new.data_ptr() != old.data_ptr():  # neither a view nor in place
                    old.copy_(new)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """`torch.cuda`, as far as capturing needs it; the graphs made, in order."""

    class Stream:
        def wait_stream(self, other: Any) -> None:
            pass

    def nothing(_: Any = None) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def capture(graph: Graph, stream: Any = None, **_: Any) -> Recording:
        assert isinstance(stream, Stream), "the default stream is shared with whoever else captures"
        return Recording(graph)

    monkeypatch.setattr(Graph, "made", [])
    for name, stand_in in {
        "device": nothing,
        "stream": nothing,
        "Stream": Stream,
        "current_stream": lambda _=None: Stream(),
        "CUDAGraph": Graph,
        "graph": capture,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return Graph.made


def test_graphs_follow_the_caches_as_they_grow(load: Load, graphs: list[Graph]) -> None:
    """Runs join, leave and pass 256 rows; a graph over buffers that have moved would give other tokens."""
    lm = load(kind="qwen2", tied=False)
    pool = executor_for(lm).new_pool()
    fixed = executor_for(lm).fix_shapes(pool)
    jobs = [
        ("hello", DecodeConfig(block_size=4, threshold=0.3, max_new_tokens=60)),
        ([7] * 240, DecodeConfig(block_size=8, threshold=0.0, max_new_tokens=40)),
        ("the cat", DecodeConfig("self_speculative", 4, max_new_tokens=30)),
    ]
    runs = [Run(lm, prompt, config, pool) for prompt, config in jobs]
    active, waiting = [runs[0]], runs[1:]
    while active:
        advance(active)
        for run in [run for run in active if run.finish_reason]:
            active.remove(run)
            run.leave()
        if waiting and len(runs[0].passes) >= 3:
            active.append(waiting.pop(0))
    assert fixed.capture, "nothing forbade a capture"
    assert pool.version >= 3, "the buffers did move"
    assert sum(graph.replays for graph in graphs) > len(graphs) > 3
    for run, (prompt, config) in zip(runs, jobs, strict=True):
        assert run.token_ids == sdlm_core.decode(lm, prompt, config).token_ids


def test_out_of_memory_while_capturing_is_the_engines_to_mend(
    load: Load, graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = load(kind="llama", tied=True)
    pool = executor_for(lm).new_pool()
    fixed = executor_for(lm).fix_shapes(pool)

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(torch.cuda, "graph", full)
    run = Run(lm, "hello", DecodeConfig(block_size=4), pool)
    with pytest.raises(torch.OutOfMemoryError):
        advance([run])
    assert fixed.capture


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_replayed_passes_are_the_passes(checkpoint: Callable[..., Path]) -> None:
    lm = sdlm_core.load_model(str(checkpoint(kind="qwen2", tied=False)), device="cuda", dtype="float32")
    config = DecodeConfig(block_size=4, threshold=0.3, max_new_tokens=40)
    run = Run(lm, "hello", config, executor_for(lm).new_pool(lasting=True))
    assert list(run)
    assert run.token_ids == sdlm_core.decode(lm, "hello", config).token_ids
