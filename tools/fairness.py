"""What a crowd costs others: python -m tools.fairness [--model builtin]

Starts the headless server in a process of its own. Two clients of one address ask alone (quiet), then while 64 clients
of another address ask all the time (crowded). The two think for a moment before each question, and the crowd's answers
are of many lengths: of one length, all would end and begin in the same passes. Prints one JSON object with both times
to first token; exit status 1 if the crowded median is more than twice the quiet one. The addresses are told apart by
X-Forwarded-For, which the server is told to believe. A busy machine gives other figures: run it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import httpx

CROWD, OTHERS = 64, 2
BAR = 2.0  # crowded over quiet
PROMPT = "Explain in a few sentences why leaves change color in autumn. " * 3
READY_SECONDS = 600.0
LONGEST_THOUGHT = 2.0  # seconds before a question of the two


async def first_token(http: httpx.AsyncClient, url: str, model: str, address: str, tokens: int) -> float:
    """Seconds from asking to the first chunk with a pass; the answer is read to its end."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": tokens,
        "stream": True,
        "sdlm": {"passes": True},
    }
    began, first = time.perf_counter(), 0.0
    headers = {"X-Forwarded-For": address}
    async with http.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if not first and '"passes"' in line:
                first = time.perf_counter() - began
    return first


async def measure(url: str, model: str, rounds: int, tokens: int) -> dict[str, Any]:
    """Both times, and how many answers the crowd had meanwhile."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=READY_SECONDS, limits=limits) as http:

        async def other(seed: int, questions: int) -> list[float]:
            draw, seconds = random.Random(seed), []
            for _ in range(questions):
                await asyncio.sleep(draw.uniform(0, LONGEST_THOUGHT))
                seconds.append(await first_token(http, url, model, "10.0.0.2", tokens))
            return seconds

        async def others(questions: int = rounds) -> list[float]:
            asked = await asyncio.gather(*(other(seed, questions) for seed in range(OTHERS)))
            return [seconds for each in asked for seconds in each]

        await others(2)  # what is only done once is done
        quiet = await others()
        answers = 0

        async def visit(seed: int) -> None:
            nonlocal answers
            draw = random.Random(seed)
            while True:
                await first_token(http, url, model, "10.0.0.1", draw.randint(tokens // 2, tokens * 3 // 2))
                answers += 1

        crowd = [asyncio.create_task(visit(seed)) for seed in range(CROWD)]
        try:
            while answers < 4:  # until it is in full swing
                await asyncio.sleep(0.05)
                for task in crowd:
                    if task.done():
                        task.result()
            crowded = await others()
        finally:
            for task in crowd:
                task.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
    middle = statistics.median(quiet), statistics.median(crowded)
    return {
        "worst_quiet_seconds": round(max(quiet), 4),
        "quiet_seconds": round(middle[0], 4),
        "crowded_seconds": round(middle[1], 4),
        "ratio": round(middle[1] / middle[0], 2),
        "worst_crowded_seconds": round(max(crowded), 4),
        "crowd_answers": answers,
        "requests_measured": len(crowded),
    }


@contextlib.contextmanager
def server(model: str, options: Sequence[str]) -> Any:
    """The headless server on a free port; yields its address once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sdlm_core", "serve", "--model", model, "--port", str(port)]
    environment = {k: v for k, v in os.environ.items() if k != "SDLM_API_KEYS"}
    running = subprocess.Popen(
        [*command, "--trusted-proxies", "127.0.0.1", *options], env=environment, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and running.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/ready").status_code == 200:
                    break
            time.sleep(0.2)
        else:
            raise SystemExit("The server did not become ready.")
        yield url
    finally:
        running.terminate()
        running.wait(30)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin", help="as `serve` takes it (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=10, help="questions of each of the two (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=32, help="length of each answer (default: %(default)s)")
    parser.add_argument("--max-runs-per-client", default="4", help="as `serve` takes it (default: %(default)s)")
    arguments = parser.parse_args(argv)
    options = ["--max-runs-per-client", arguments.max_runs_per_client]
    with server(arguments.model, options) as url:
        found = asyncio.run(measure(url, arguments.model, arguments.rounds, arguments.tokens))
    print(json.dumps(found))
    return int(found["ratio"] > BAR)


if __name__ == "__main__":
    sys.exit(main())
