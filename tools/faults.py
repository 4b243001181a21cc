"""Do answers survive? Clients of a cluster on this machine, while replicas and a page process are killed.

    python -m tools.faults --minutes 10

Three replicas of a random model in float32, two page processes (app.py --engine), thirty clients with keys of their own
that ask /v1/chat/completions of their page, streaming. Every minute a replica is killed (SIGKILL), and twice one of the
pages, which is started again at once. A client whose page goes away asks the same again at the other page, as behind a
proxy. Every answer is compared, token for token, with that of a quiet run. Prints one JSON object; the exit status is 1
where an answer was lost or different.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import ray
import torch

import sdlm_core
from sdlm_core import DecodeConfig
from sdlm_core.serve.cluster import start_cluster
from sdlm_core.serve.cluster_options import ClusterOptions
from tools.cluster import PROMPTS, ROOT, engines, local_cluster, replica_processes
from tools.slowed import load_slowed, make_tiny

JOBS = 32
PASS_SECONDS = 0.05
PAUSE_SECONDS = 1.0  # a longer gap between two passes counts as a pause
PATIENCE_SECONDS = 300.0  # without a byte: the answer is lost


@dataclass(frozen=True)
class Job:
    """A question, and what a quiet run says to it."""

    body: dict[str, Any]
    token_ids: list[int]
    text: str


@dataclass
class Tally:
    """What came of all questions. gaps: seconds between passes of an answer, the longest of each."""

    answers: int = 0
    tokens: int = 0
    asked_again: int = 0
    errors: list[str] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


class Page:
    """A page process on a port of its own; started again, it has the same."""

    def __init__(self, cluster: str, keys: Sequence[str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "app.py", "--engine", cluster, "--port", str(self.port)]
        self._environment = {**os.environ, "SDLM_API_KEYS": ",".join(keys)}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def ready(self, key: str) -> bool:
        """Whether it has found the engines."""
        try:
            reply = httpx.get(f"{self.url}/v1/models", headers={"Authorization": f"Bearer {key}"}, timeout=5)
            return bool(reply.json().get("data"))
        except (httpx.HTTPError, ValueError):
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def make_jobs(lm: sdlm_core.LanguageModel) -> list[Job]:
    """Questions with settings of all kinds, and their answers."""
    torch.set_num_threads(1)  # the model is tiny: a second thread would only be waited for
    draw, jobs = random.Random(0), []
    for number in range(JOBS):
        algorithm = draw.choice(sdlm_core.ALGORITHMS)
        size: Any = draw.choice([2, 4, 8, "auto"] if algorithm == "self_speculative" else [2, 4, 8])
        threshold, seed = draw.choice([0.3, 0.6, 0.9]), draw.randrange(100)
        temperature, tokens = draw.choice([0.0, 0.8]), draw.randint(40, 160)
        messages = [{"role": "user", "content": f"{number} {draw.choice(PROMPTS)}"}]
        config = DecodeConfig(
            algorithm, block_size=size, threshold=threshold, temperature=temperature, seed=seed, max_new_tokens=tokens
        )
        alone = sdlm_core.decode(lm, messages, config)
        extras = {"algorithm": algorithm, "threshold": threshold, "block_size": size, "passes": True}
        body = {"model": lm.name, "messages": messages, "stream": True, "max_tokens": tokens}
        body |= {"temperature": temperature, "seed": seed, "sdlm": extras}
        jobs.append(Job(body, alone.token_ids, alone.text))
    return jobs


class Client(threading.Thread):
    """Asks one question after the other until it is told to stop."""

    def __init__(self, number: int, pages: Sequence[Page], key: str, jobs: Sequence[Job], tally: Tally) -> None:
        super().__init__(name=f"client {number}")
        self.number, self.pages, self.key, self.jobs, self.tally = number, pages, key, jobs, tally
        self.stop = threading.Event()

    def run(self) -> None:
        asked = self.number
        while not self.stop.is_set():
            job = self.jobs[asked % len(self.jobs)]
            asked += 7
            try:
                self._answer(job)
            except Exception as error:
                self.tally.errors.append(f"{type(error).__name__}: {error}"[:300])

    def _answer(self, job: Job) -> None:
        """Ask until there is an answer; a page that went away, or does not answer yet, is no answer."""
        end = time.monotonic() + PATIENCE_SECONDS
        place = self.number
        while True:
            try:
                token_ids, text, gap = self._ask(self.pages[place % len(self.pages)], job)
                break
            except httpx.TransportError:
                self.tally.asked_again += 1
                place += 1
                time.sleep(0.2)
            if time.monotonic() > end:
                raise TimeoutError("no page answered")
        if (token_ids, text) != (job.token_ids, job.text):
            raise ValueError(f"another answer: {job.body}")
        self.tally.answers += 1
        self.tally.tokens += len(token_ids)
        self.tally.gaps.append(gap)

    def _ask(self, page: Page, job: Job) -> tuple[list[int], str, float]:
        """The answer's tokens and text, and the longest gap between its passes."""
        token_ids: list[int] = []
        text, gap, last = "", 0.0, None
        headers = {"Authorization": f"Bearer {self.key}"}
        address = f"{page.url}/v1/chat/completions"
        with httpx.stream("POST", address, json=job.body, headers=headers, timeout=PATIENCE_SECONDS) as reply:
            if reply.status_code in (404, 503):  # 404: the page is there, its /v1 not yet
                raise httpx.ConnectError("The page has just started.")
            if reply.status_code != 200:
                raise ValueError(f"{reply.status_code}: {reply.read().decode()[:200]}")
            for line in reply.iter_lines():
                if not line.startswith("data: "):
                    continue
                if line == "data: [DONE]":
                    return token_ids, text, gap
                chunk = json.loads(line[6:])
                if "error" in chunk:
                    raise ValueError(chunk["error"]["message"])
                passes = chunk.get("sdlm", {}).get("passes", [])
                if passes:
                    now = time.monotonic()
                    gap, last = max(gap, now - (last or now)), now
                for p in passes:
                    token_ids += [c["token_id"] for c in p["candidates"][: p["accepted"]]]
                for choice in chunk["choices"]:
                    text += choice["delta"].get("content") or ""
        raise httpx.RemoteProtocolError("The stream ended before its end.")


def disturb(args: argparse.Namespace, pages: Sequence[Page], tally: Tally) -> None:
    """Kill a replica every --every seconds, and the first page after a third and two thirds of the time."""
    began, draw = time.monotonic(), random.Random(1)
    end = began + 60 * args.minutes
    page_kills = [began + 60 * args.minutes * share for share in (1 / 3, 2 / 3)]
    next_kill = began + args.every

    def note(what: str) -> None:
        tally.events.append(f"{time.monotonic() - began:.0f} s: {what}")
        print(f"{tally.events[-1]}; {tally.answers} answers, {len(tally.errors)} errors", file=sys.stderr, flush=True)

    while (now := time.monotonic()) < end:
        if now >= next_kill:
            next_kill += args.every
            alive = replica_processes()
            if alive:
                draw.choice(alive).send_signal(signal.SIGKILL)
            note(f"a replica of {len(alive)} killed")
        if page_kills and now >= page_kills[0]:
            page_kills.pop(0)
            pages[0].kill()
            pages[0].start()
            note("a page killed")
        if args.restart and now >= began + 30 * args.minutes:
            args.restart = False
            threading.Thread(target=args.restarting, daemon=True).start()
            note("a rolling restart begins")
        time.sleep(0.2)


def report(tally: Tally, minutes: float) -> dict[str, Any]:
    """What is printed."""
    pauses = sorted(gap for gap in tally.gaps if gap > PAUSE_SECONDS)
    return {
        "minutes": minutes,
        "answers": tally.answers,
        "tokens": tally.tokens,
        "lost_or_different": len(tally.errors),
        "errors": tally.errors[:20],
        "asked_again_since_their_page_was_killed": tally.asked_again,
        "longest_gap_of_an_answer_median_seconds": statistics.median(tally.gaps) if tally.gaps else None,
        "pauses": len(pauses),
        "pause_median_seconds": statistics.median(pauses) if pauses else None,
        "pause_longest_seconds": pauses[-1] if pauses else None,
        "events": tally.events,
    }


def run(args: argparse.Namespace, folder: Path) -> Tally:
    """The whole trial on a local cluster that is there."""
    checkpoint = make_tiny(folder)
    jobs = make_jobs(sdlm_core.load_model(checkpoint, device="cpu", dtype="float32"))
    options = ClusterOptions(replicas=args.replicas, max_runs=16, grace_seconds=1.0)
    load = partial(load_slowed, checkpoint, PASS_SECONDS)
    args.restarting = partial(start_cluster, "local", options, load)
    tally = Tally()
    keys = [f"key-{i}" for i in range(args.clients)]
    with engines(options, load):
        address = ray.get_runtime_context().gcs_address
        pages = [Page(address, keys) for _ in range(2)]
        try:
            while not all(page.ready(keys[0]) for page in pages):
                if any(page.process.poll() is not None for page in pages):
                    raise RuntimeError("A page does not start.")
                time.sleep(0.5)
            clients = [Client(i, pages, keys[i], jobs, tally) for i in range(args.clients)]
            for client in clients:
                client.start()
            disturb(args, pages, tally)
            for client in clients:
                client.stop.set()
            for client in clients:
                client.join()
        finally:
            for page in pages:
                page.kill()
    return tally


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two killed replicas")
    parser.add_argument("--restart", action="store_true", help="a rolling restart half-way, too")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, local_cluster(cpus=8):
        tally = run(args, Path(folder))
    print(json.dumps(report(tally, args.minutes), indent=1, ensure_ascii=False))
    sys.exit(1 if tally.errors or not tally.answers else 0)


if __name__ == "__main__":
    main()
