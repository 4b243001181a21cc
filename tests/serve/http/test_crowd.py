"""Sixty-four requests of one client, two of another: counted in forward passes, not in seconds."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from sdlm_core.serve.fairness import LineLimits

RUNNING_PER_CLIENT = 4
PROXY = ["127.0.0.1"]


def test_the_two_wait_for_the_pass_in_hand_and_no_longer(serve: Any) -> None:
    line = LineLimits(running=16, waiting=256, running_per_client=RUNNING_PER_CLIENT, waiting_per_client=64)
    site = serve(line=line, trusted_proxies=PROXY)

    def body(tokens: int) -> dict[str, Any]:
        ask = [{"role": "user", "content": "the dog sat"}]
        extra = {"threshold": 1.0, "passes": True}  # one token a pass
        return {"model": "tiny", "messages": ask, "max_tokens": tokens, "seed": 1, "stream": True, "sdlm": extra}

    async def ask(http: httpx.AsyncClient, address: str, tokens: int) -> None:
        """Read an answer up to its first pass, and leave."""
        headers = {"X-Forwarded-For": address}
        url = f"{site.url}/v1/chat/completions"
        async with http.stream("POST", url, json=body(tokens), headers=headers) as reply:
            assert reply.status_code == 200
            async for text in reply.aiter_lines():
                if '"passes"' in text:
                    return
        raise AssertionError("an answer without a pass")

    async def visit() -> tuple[int, int]:
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as http:
            site.hold.clear()
            crowd = [asyncio.create_task(ask(http, "10.0.0.1", 60)) for _ in range(64)]
            while site.api.models[0].line.load != (RUNNING_PER_CLIENT, 64 - RUNNING_PER_CLIENT):
                await asyncio.sleep(0.01)
            two = [asyncio.create_task(ask(http, "10.0.0.2", 2)) for _ in range(2)]
            while site.engine.load[0] + site.engine.load[1] < RUNNING_PER_CLIENT + 2:
                await asyncio.sleep(0.01)
            load = site.api.models[0].line.load
            site.hold_after = site.passes + 2  # the pass in hand, and the one that they join
            site.hold.set()
            await asyncio.gather(*two)
            assert site.passes == site.hold_after
            site.hold_after = None
            site.hold.set()
            for task in crowd:
                task.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
            return load

    load = asyncio.run(visit())
    assert load == (RUNNING_PER_CLIENT + 2, 64 - RUNNING_PER_CLIENT), "their turn has come at once"
    site.wait_until(lambda: site.api.models[0].line.load == (0, 0) and site.engine.load == (0, 0))
