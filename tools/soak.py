"""Many visitors for a while: python -m tools.soak --minutes 10 --clients 20

Starts the app in a process of its own, or visits one that runs (--url), and chats through the HTTP interface that the
page's own scripts use: an event joins Gradio's queue, and its values come as server-sent events that each hold the
difference from the last. Some visitors press stop half-way, some close the tab. Every answer is checked to be whole.
Prints one JSON object; the exit status is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]
from gradio_client.utils import apply_diff  # type: ignore[import-untyped]

from tools.page import running_process

PROMPTS = (
    "Why is the sky blue?",
    "How many grams are 3 kilograms and 550 grams?",
    "Write a short story about a lighthouse keeper and the sea.",
    "What is 17 times 23? Explain each step.",
    "Give me three names for a grey cat.",
    "Translate 'good morning' into French, Spanish and 日本語. 🌍",
    "Explain in a few sentences why leaves change color in autumn. " * 12,
)
ALGORITHMS = ("prob_conf", "entropy_conf", "self_speculative", "autoregressive")
STOPS, LEAVES = 0.12, 0.12  # share of the runs that are stopped, and of those whose page is closed
RUNS_A_VISIT = 4
RUN_SECONDS = 300.0  # a run that takes longer counts as an error
SAMPLE_SECONDS = 2.0

Events = dict[int, dict[str, Any]]  # a run's, by number


@dataclass
class Tally:
    """What came of all runs."""

    runs: int = 0  # answered to the end
    stopped: int = 0
    left: int = 0
    tokens: int = 0
    first_token: list[float] = field(default_factory=list)  # seconds from asking
    errors: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)  # seconds since the beginning, MiB


@dataclass(frozen=True)
class Site:
    """The page as its scripts know it: where it is, the chat's component and the number of its event."""

    address: str
    component: int
    event: int

    async def ask(self, http: httpx.AsyncClient, session: str, function: str, value: Any = None) -> Any:
        """Call one of the component's server functions."""
        body = {"session_hash": session, "component_id": self.component, "fn_name": function, "data": value}
        reply = await http.post(f"{self.address}/gradio_api/component_server/", json=body)
        return reply.raise_for_status().json()


async def find(http: httpx.AsyncClient, address: str) -> Site:
    """Read the page's config and wait until its model is there."""
    address = address.rstrip("/")
    config = (await http.get(f"{address}/config")).raise_for_status().json()
    component = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "stage")
    event = next(d["id"] for d in config["dependencies"] if [component, "decode"] in d["targets"])
    site = Site(address, component, event)
    while (status := await site.ask(http, "soak", "status"))["state"] == "loading":
        await asyncio.sleep(0.2)
    if status["state"] == "failed":
        raise RuntimeError(status["message"])
    return site


# -- one visitor ------------------------------------------------------------------------------------------------------


async def visit(
    http: httpx.AsyncClient, site: Site, tally: Tally, dice: random.Random, over: Callable[[], bool]
) -> None:
    """A page that is opened, asks a few times and is closed; it asks no more once all is over."""
    session = secrets.token_hex(6)
    async with http.stream("GET", f"{site.address}/gradio_api/heartbeat/{session}"):  # as long as the tab is open
        for _ in range(RUNS_A_VISIT):
            if over():
                return
            fate = dice.random()
            how = "stop" if fate < STOPS else "leave" if fate < STOPS + LEAVES else "stay"
            try:
                async with asyncio.timeout(RUN_SECONDS):
                    await chat(http, site, session, tally, dice, how)
            except Exception as error:
                tally.errors.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(1)  # not to ask a broken server a thousand times
            if how == "leave":
                return


async def chat(http: httpx.AsyncClient, site: Site, session: str, tally: Tally, dice: random.Random, how: str) -> None:
    """One question and its answer; stopped or left after a few passes where `how` says so."""
    settings = {
        "algorithm": dice.choice(ALGORITHMS),
        "block_size": dice.choice([2, 4, 8]),
        "threshold": dice.choice([0.5, 0.7, 0.9, 1.0]),
        "temperature": dice.choice([0.0, 0.0, 0.8]),
        "max_new_tokens": dice.randint(20, 80),
    }
    run, enough = secrets.token_hex(16), dice.randint(1, 8)
    question = {"run": run, "messages": [{"role": "user", "content": dice.choice(PROMPTS)}], "settings": settings}
    body = {"session_hash": session, "fn_index": site.event, "data": [], "event_data": question, "trigger_id": None}
    began = time.monotonic()
    joined = (await http.post(f"{site.address}/gradio_api/queue/join", json=body)).raise_for_status().json()
    events: Events = {}
    asked_to_stop = False
    received: Any = values(http, site, session, joined["event_id"])
    async with contextlib.aclosing(received):
        async for value in received:
            if value["run"] != run:
                raise RuntimeError("events of somebody else's run came")
            fresh = {int(n): json.loads(text) for n, text in value["messages"].items() if int(n) not in events}
            events |= fresh
            if fresh and not any(m["kind"] == "passes" for n, m in events.items() if n not in fresh):
                first = any(m["kind"] == "passes" for m in fresh.values())
                tally.first_token += [time.monotonic() - began] if first else []
            passes = [p for m in fresh.values() if m["kind"] == "passes" for p in m["passes"]]
            tally.tokens += sum(p["accepted"] for p in passes)
            if how != "stay" and len(events) > enough and events[max(events)]["kind"] == "passes" and not asked_to_stop:
                if how == "leave":
                    tally.left += 1
                    return
                await site.ask(http, session, "stop", run)
                asked_to_stop = True
    problem = broken(events, settings, asked_to_stop)
    if problem:
        raise RuntimeError(f"{problem} ({settings})")
    if events[max(events)]["tail"]["finish_reason"] == "cancelled":
        tally.stopped += 1
    else:
        tally.runs += 1


async def values(http: httpx.AsyncClient, site: Site, session: str, event: str) -> AsyncIterator[dict[str, Any]]:
    """The component's values as the server sends them: the first whole, the others as differences."""
    value: Any = None
    completed = False
    async with http.stream("GET", f"{site.address}/gradio_api/queue/data", params={"session_hash": session}) as reply:
        async for line in reply.raise_for_status().aiter_lines():
            if not line.startswith("data:"):
                continue
            message = json.loads(line[5:])
            if message["msg"] in ("unexpected_error", "server_stopped"):
                raise RuntimeError(f"{message['msg']}: {message.get('message')}")
            if message.get("event_id") != event:
                continue
            if message["msg"] in ("process_generating", "process_completed"):
                if not message["success"]:
                    raise RuntimeError(f"the event failed: {message['output']}")
                if message["msg"] == "process_completed":
                    completed = True  # the server closes the stream; closing it first would end the session's next run
                    continue
                data = message["output"]["data"][0]
                value = data if value is None else apply_diff(value, data)
                yield value
    if not completed:
        raise RuntimeError("the server closed the stream before the run was over")


def broken(events: Events, settings: dict[str, Any], stopped: bool) -> str | None:
    """What is wrong with a run's messages, if anything."""
    if sorted(events) != list(range(len(events))) or not events:
        return f"messages are missing: got {sorted(events)}"
    messages = [events[n] for n in sorted(events) if events[n]["kind"] != "waiting"]
    if messages[-1]["kind"] == "failed":
        return f"failed: {messages[-1]['message']}"
    kinds = [m["kind"] for m in messages]
    if kinds != ["start", *["passes"] * (len(kinds) - 2), "end"] or not messages[-1]["last"]:
        return f"the messages are not in order: {kinds}"
    tail = messages[-1]["tail"]
    token_ids: list[int] = []
    for index, p in enumerate(p for m in messages if m["kind"] == "passes" for p in m["passes"]):
        if (p["index"], p["start"]) != (index, len(token_ids)):
            return f"pass {p['index']} at {p['start']} follows {index} passes and {len(token_ids)} tokens"
        token_ids += [c["token_id"] for c in p["candidates"][: p["accepted"]]]
    if token_ids != tail["token_ids"]:
        return "the accepted candidates are not the answer"
    if tail["finish_reason"] not in ("eos", "length", *(["cancelled"] if stopped else [])):
        return f"the answer ended as {tail['finish_reason']}"
    if tail["finish_reason"] == "length" and len(token_ids) != settings["max_new_tokens"]:
        return f"{len(token_ids)} tokens are not the limit"
    return None


# -- all of them ------------------------------------------------------------------------------------------------------


def resident_mib(pid: int) -> float:
    """Resident memory of a process; NaN where it cannot be read."""
    try:
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except psutil.Error:
        return float("nan")


async def watch(tally: Tally, pid: int | None, began: float) -> None:
    """Note the server's memory every few seconds, and say each minute how it goes."""
    minute = 1
    while True:
        now = time.monotonic() - began
        if pid is not None:
            tally.memory.append((now, resident_mib(pid)))
        if now >= 60 * minute:
            memory = f", {tally.memory[-1][1]:.0f} MiB" if tally.memory else ""
            print(f"{minute} min: {tally.runs} runs, {len(tally.errors)} errors{memory}", file=sys.stderr, flush=True)
            minute += 1
        await asyncio.sleep(SAMPLE_SECONDS)


async def soak(
    address: str, clients: int, seconds: float, pid: int | None = None, seed: int = 0, runs: int | None = None
) -> dict[str, Any]:
    """Let `clients` visitors chat at `address` for so many seconds; runs in progress at the end are waited for.

    pid: the server's process, whose memory is watched. runs: end sooner, after so many. Returns the summary.
    """
    tally = Tally()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=httpx.Timeout(60), limits=limits) as http:
        site = await find(http, address)
        began = time.monotonic()

        def over() -> bool:
            enough = runs is not None and tally.runs + tally.stopped + tally.left >= runs
            return enough or time.monotonic() >= began + seconds

        async def client(number: int) -> None:
            dice = random.Random(f"{seed} {number}")
            while not over():
                await visit(http, site, tally, dice, over)

        watching = asyncio.create_task(watch(tally, pid, began))
        await asyncio.gather(*(client(n) for n in range(clients)))
        elapsed = time.monotonic() - began
        watching.cancel()
        if pid is not None:
            tally.memory.append((elapsed, resident_mib(pid)))
    return summary(tally, clients, elapsed)


def summary(tally: Tally, clients: int, elapsed: float) -> dict[str, Any]:
    """The figures that are printed."""
    waits = sorted(tally.first_token)
    memory = tally.memory
    after_a_minute = next((mib for at, mib in memory if at >= 60), None)
    return {
        "clients": clients,
        "seconds": round(elapsed, 1),
        "runs": tally.runs,
        "stopped": tally.stopped,
        "left": tally.left,
        "tokens": tally.tokens,
        "tokens_per_second": round(tally.tokens / elapsed, 1),
        "first_token_seconds": {
            "median": round(statistics.median(waits), 3) if waits else None,
            "p95": round(waits[min(len(waits) - 1, int(0.95 * len(waits)))], 3) if waits else None,
        },
        "errors": len(tally.errors),
        "first_errors": tally.errors[:10],
        "memory_mib": {
            "start": round(memory[0][1]),
            "after_1_minute": None if after_a_minute is None else round(after_a_minute),
            "end": round(memory[-1][1]),
            "most": round(max(mib for _, mib in memory)),
        }
        if memory
        else None,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: %(default)s)")
    parser.add_argument("--runs", type=int, help="end sooner, after so many runs (default: only time counts)")
    parser.add_argument("--clients", type=int, default=20, help="visitors at once (default: %(default)s)")
    parser.add_argument("--model", default="builtin", help="model of the app that is started (default: %(default)s)")
    parser.add_argument("--url", help="visit the app at this address instead of starting one; memory is not watched")
    parser.add_argument("--seed", type=int, default=0, help="of the visitors' choices (default: %(default)s)")
    arguments = parser.parse_args(argv)
    with contextlib.ExitStack() as stack:
        address, pid = arguments.url, None
        if address is None:
            address, pid = stack.enter_context(running_process(arguments.model))
        result = asyncio.run(
            soak(address, arguments.clients, 60 * arguments.minutes, pid, arguments.seed, arguments.runs)
        )
    print(json.dumps(result, indent=2))
    return 1 if result["errors"] or not result["runs"] else 0


if __name__ == "__main__":
    sys.exit(main())
