"""What Prometheus may ask: counted where requests are answered, in a registry of one server."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from sdlm_core.trace import Pass

TOKENS_A_PASS = (1, 2, 3, 4, 6, 8, 12, 16)
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
OUTCOMES = ("stop", "length", "cancelled", "refused", "failed")


class Metrics:
    """Counters of one server.

    A request ends as one of OUTCOMES: with its end token or a stop string, at its length limit, because its client
    went away, because it was wrong or there was no room, or through a fault of the server.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.requests = Counter("sdlm_requests", "Chat requests, by how they ended", ["outcome"], registry=r)
        for outcome in OUTCOMES:
            self.requests.labels(outcome)
        self.failures = Counter("sdlm_failures", "Chat requests that failed through a fault of the server", registry=r)
        self.passes = Counter("sdlm_passes", "Forward passes, counted for each run in them", registry=r)
        self.tokens = Counter("sdlm_tokens", "Tokens accepted", registry=r)
        self.prompt_tokens = Counter("sdlm_prompt_tokens", "Tokens of the prompts read", registry=r)
        self.rows = Counter("sdlm_rows", "Rows run through the model", registry=r)
        self.tokens_per_pass = Histogram(
            "sdlm_tokens_per_pass", "Tokens accepted by a pass", buckets=TOKENS_A_PASS, registry=r
        )
        self.first_token = Histogram(
            "sdlm_time_to_first_token_seconds",
            "From the request to its first accepted tokens, the wait included",
            buckets=SECONDS,
            registry=r,
        )

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def count_request(self, outcome: str) -> None:
        """One more request has ended."""
        self.requests.labels(outcome).inc()
        if outcome == "failed":
            self.failures.inc()

    def count_pass(self, p: Pass) -> None:
        """One more pass of a run."""
        self.passes.inc()
        self.tokens.inc(p.accepted)
        self.rows.inc(p.rows)
        self.tokens_per_pass.observe(p.accepted)

    def render(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)
