"""Engines in a Ray cluster, used as one: the same answers, whatever happens to the replicas. Needs Ray."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import sdlm_core
from sdlm_core import DecodeConfig, SDLMError, Trace
from sdlm_core.evaluate.likelihood import log_likelihoods
from sdlm_core.serve import EngineFull
from tests.serve.conftest import some_jobs

pytest.importorskip("ray")
from sdlm_core.serve import cluster
from sdlm_core.serve.cluster import ClusterOptions
from sdlm_core.serve.remote import RemoteEngine, RemoteTicket
from tools.cluster import TooBusy, local_cluster, replica_processes
from tools.slowed import load_slowed, threads

pytestmark = [pytest.mark.cluster, pytest.mark.slow]  # each replica is a process, which imports torch

PASS_SECONDS = 0.01
LONG = DecodeConfig(threshold=1.0, max_new_tokens=150)
TWO = ClusterOptions(replicas=2, max_runs=16, grace_seconds=0.5)
ONE = ClusterOptions(replicas=1, max_runs=1, max_waiting=2, grace_seconds=0.5)


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Of a busy machine nothing is asked but that it gets there."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def folder(checkpoint: Callable[..., Path]) -> str:
    return str(checkpoint(kind="qwen2", tied=False, causal_attn=True))


@pytest.fixture(scope="module")
def lm(folder: str) -> sdlm_core.LanguageModel:
    return sdlm_core.load_model(folder, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def deploy(folder: str) -> Iterator[Callable[[ClusterOptions], None]]:
    """`start_cluster` with slowed replicas that reserve nothing much; the cluster ends with the tests."""
    with ExitStack() as stack:
        try:
            stack.enter_context(local_cluster(cpus=8))
        except TooBusy as error:
            pytest.skip(str(error))
        yield lambda options: cluster.start_cluster("local", options, partial(load_slowed, folder, PASS_SECONDS))


@pytest.fixture(scope="module")
def two(deploy: Callable[[ClusterOptions], None]) -> None:
    deploy(TWO)


@pytest.fixture
def engine(two: None) -> Iterator[RemoteEngine]:
    with cluster.connect("local") as engine:
        yield engine


def check(ticket: RemoteTicket, alone: Trace) -> None:
    """The ticket's run, which has ended, is the run that nothing happened to."""
    trace = ticket.trace()
    assert (trace.token_ids, trace.text, trace.finish_reason) == (alone.token_ids, alone.text, alone.finish_reason)
    assert Trace.from_json(trace.to_json()) == trace


def test_runs_in_a_cluster_are_the_runs_alone(engine: RemoteEngine, lm: sdlm_core.LanguageModel) -> None:
    jobs = some_jobs(20, seed=3)
    tickets = [engine.submit(prompt, config) for prompt, config in jobs]
    for ticket, (prompt, config) in zip(tickets, jobs, strict=True):
        seen, alone = list(ticket), sdlm_core.decode(lm, prompt, config)
        check(ticket, alone)
        assert tuple(seen) == ticket.trace().passes
        assert [p.accepted for p in seen] == [p.accepted for p in alone.passes]
        assert replace(ticket.trace(), created="", passes=()) == replace(alone, created="", passes=())
    wait_until(lambda: engine.load == (0, 0))
    assert (engine.lm.name, engine.lm.block_size) == (lm.name, lm.block_size)


def test_an_answer_may_begin_with_given_tokens(engine: RemoteEngine, lm: sdlm_core.LanguageModel) -> None:
    config, prefix = DecodeConfig(threshold=0.3, max_new_tokens=12), [70, "the", 71]
    ticket = engine.submit([5, 6, 7], config, prefix=prefix)
    for _ in ticket:
        pass
    alone = sdlm_core.decode(lm, [5, 6, 7], config, prefix)
    check(ticket, alone)
    assert ticket.trace().given == alone.given


def test_the_model_can_be_called(engine: RemoteEngine, lm: sdlm_core.LanguageModel) -> None:
    assert engine.call(threads).result(30) == 1
    pairs = [([5, 6, 7], [8, 9])]
    assert engine.call(log_likelihoods, pairs).result(30) == log_likelihoods(lm, pairs)
    with pytest.raises(SDLMError, match="empty"):
        engine.call(sdlm_core.LanguageModel.encode, "").result(30)


def test_a_mistake_is_told_as_in_an_engine_here(engine: RemoteEngine) -> None:
    with pytest.raises(SDLMError, match="The prompt is empty"):
        list(engine.submit("  "))
    with pytest.raises(SDLMError, match="Token id 99999"):
        engine.decode([99_999])
    with cluster.connect("local", wait=True) as waiting:
        with pytest.raises(SDLMError, match="The prompt is empty"):
            waiting.submit("  ")
        assert waiting.submit([5, 6, 7]).trace().prompt_tokens == 3


def test_a_cancelled_run_frees_its_place(engine: RemoteEngine) -> None:
    bell = threading.Event()
    tickets = [engine.submit([5, 6, i], LONG, bell.set) for i in range(7, 19)]
    for ticket in tickets:
        next(iter_passes(ticket))
    assert bell.is_set()
    for ticket in tickets:
        ticket.cancel()
    for ticket in tickets:
        wait_until(lambda ticket=ticket: ticket.take()[1])  # type: ignore[misc]
    traces = [ticket.trace() for ticket in tickets]
    assert any(trace.finish_reason == "cancelled" for trace in traces)  # on a busy machine, some had ended before
    assert all(0 < len(t.passes) < 150 for t in traces if t.finish_reason == "cancelled")
    wait_until(lambda: all(pair == (0, 0) for pair in engine.cluster_load()))
    tickets[0].cancel()


def iter_passes(ticket: RemoteTicket) -> Iterator[sdlm_core.Pass]:
    """The passes so far and to come; unlike iterating over the ticket, leaving does not cancel."""
    while True:
        passes, ended = ticket.take()
        yield from passes
        if ended:
            return
        time.sleep(0.005)


def test_an_engine_that_is_closed_cancels_its_runs(two: None) -> None:
    engine = cluster.connect("local")
    ticket = engine.submit([5, 6, 7], LONG)
    next(iter_passes(ticket))
    engine.close()
    assert list(iter_passes(ticket))[-1:] == list(ticket.trace().passes[1:])[-1:]
    assert ticket.trace().finish_reason == "cancelled"
    with pytest.raises(SDLMError, match="closed"):
        engine.submit([5, 6, 7])
    ticket.cancel()
    engine.close()


def test_runs_survive_their_replica(engine: RemoteEngine, lm: sdlm_core.LanguageModel) -> None:
    """Thirty clients, a replica killed under them: nothing is lost, and every text is that of a quiet run."""
    jobs = [(p, replace(c, max_new_tokens=80 + c.max_new_tokens)) for p, c in some_jobs(30, seed=11)]
    jobs = [(prompt, replace(config, threshold=max(config.threshold, 0.6))) for prompt, config in jobs]
    wait_until(lambda: len(engine.cluster_load()) == 2)
    victim = replica_processes()[0]
    tickets = [engine.submit(prompt, config) for prompt, config in jobs]
    wait_until(lambda: sum(len(ticket.trace().passes) for ticket in tickets) > 100)
    victim.send_signal(signal.SIGKILL)
    for ticket, (prompt, config) in zip(tickets, jobs, strict=True):
        list(ticket)
        check(ticket, sdlm_core.decode(lm, prompt, config))
    pauses = [pause for ticket in tickets for pause in ticket.pauses]
    print("pauses", sorted(pauses))
    assert pauses, "no run was hit"


def test_runs_survive_a_rolling_restart_to_fewer_places(
    engine: RemoteEngine, lm: sdlm_core.LanguageModel, deploy: Callable[[ClusterOptions], None]
) -> None:
    """Who has begun goes on, even where there is no place left to begin; who comes then is refused."""
    before = {process.pid for process in replica_processes()}
    stop, failures, answered = threading.Event(), [], []
    alone = sdlm_core.decode(lm, [5, 6, 7], LONG)

    def visitor() -> None:
        while not stop.wait(0.02):
            ticket = engine.submit([5, 6, 7], LONG)
            try:
                list(ticket)
                check(ticket, alone)
                answered.append(ticket)
            except EngineFull as error:
                if ticket.trace().passes:
                    failures.append(error)
            except BaseException as error:
                failures.append(error)

    visitors = [threading.Thread(target=visitor) for _ in range(4)]
    for thread in visitors:
        thread.start()
    try:
        deploy(ONE)
        wait_until(lambda: not before & {process.pid for process in replica_processes()})
    finally:
        stop.set()
        for thread in visitors:
            thread.join()
    assert failures == []
    assert answered
    refuses_a_crowd(alone)


def refuses_a_crowd(alone: Trace) -> None:
    """There is one replica, with one place and two in its line."""
    with cluster.connect("local", wait=True) as engine:
        tickets, refused = [], 0
        for _ in range(3):
            tickets.append(engine.submit([5, 6, 7], LONG))

        def one_more() -> None:
            nonlocal refused
            try:
                tickets.append(engine.submit([5, 6, 7], LONG))
            except EngineFull:
                refused += 1

        crowd = [threading.Thread(target=one_more) for _ in range(8)]  # two wait to be routed
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        assert refused >= 1
        for ticket in tickets:
            list(ticket)
            check(ticket, alone)
