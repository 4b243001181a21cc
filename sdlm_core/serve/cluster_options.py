"""What engines to deploy in a cluster. It needs no Ray, so that a command can say what it takes."""

from __future__ import annotations

from dataclasses import dataclass

from sdlm_core.errors import SDLMError


@dataclass(frozen=True)
class ClusterOptions:
    """What to deploy.

    model, device, dtype, quantization: as `load_model` takes them; every replica loads its own.
    replicas:      engines; the least of them where max_replicas is given.
    max_replicas:  with it, replicas are added and removed so that each has about `target_runs`.
    threads:       CPU cores that a replica reserves and computes with.
    gpus:          GPUs that a replica reserves; a fraction lets replicas share one.
    max_runs:      runs in one forward pass; max_waiting: runs in line at a replica, and at a client for all replicas.
    grace_seconds: how long a replica that is being replaced may go on with its runs; those left go on elsewhere.
    """

    model: str = "builtin"
    device: str = "auto"
    dtype: str = "auto"
    quantization: str | None = None
    replicas: int = 1
    max_replicas: int | None = None
    target_runs: int = 8
    threads: int = 1
    gpus: float = 0.0
    max_runs: int = 16
    max_waiting: int = 64
    grace_seconds: float = 20.0

    def __post_init__(self) -> None:
        for name in ("replicas", "target_runs", "threads", "max_runs", "max_waiting"):
            if getattr(self, name) < 1:
                raise SDLMError(f"{name} must be at least 1, but is {getattr(self, name)}.")
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise SDLMError(f"max_replicas is {self.max_replicas}, which is fewer than the {self.replicas} replicas.")
        if self.gpus < 0 or self.grace_seconds < 0:
            raise SDLMError("gpus and grace_seconds must be at least 0.")
