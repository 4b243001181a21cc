"""The settings a sweep visits: which combinations of rule, D and τ differ at all, and in which order they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sdlm_core.config import ALGORITHMS, DecodeConfig
from sdlm_core.errors import SDLMError

RULES = ("prob_conf", "entropy_conf")  # the algorithms that a threshold means something to


@dataclass(frozen=True)
class Cell:
    """One setting. block_size is 1 for autoregressive decoding; threshold is None where no τ is used."""

    algorithm: str
    block_size: int
    threshold: float | None = None

    @property
    def key(self) -> str:
        """A name for files: "prob_conf/D8/0.9", "self_speculative/D8", "autoregressive"."""
        if self.algorithm == "autoregressive":
            return self.algorithm
        return f"{self.algorithm}/D{self.block_size}" + ("" if self.threshold is None else f"/{self.threshold:g}")

    def guesses(self, wanted: str | None) -> str | None:
        """What `wanted` means to it: nothing where a pass guesses a single token."""
        return None if self.block_size == 1 else wanted

    def config(self, template: DecodeConfig) -> DecodeConfig:
        """The template with this cell's algorithm, D and τ."""
        threshold = template.threshold if self.threshold is None else self.threshold
        return replace(template, algorithm=self.algorithm, block_size=self.block_size, threshold=threshold)


def expand(algorithms: Sequence[str], block_sizes: Sequence[int], thresholds: Sequence[float]) -> list[Cell]:
    """Every combination that differs from the others, in order of block_sizes, then algorithms, then thresholds.

    Autoregressive decoding has no D and no τ, and self-speculative decoding no τ, so they come once, or once a D.
    Raises SDLMError where a setting is out of range.
    """
    for algorithm in algorithms:
        if algorithm not in ALGORITHMS:
            raise SDLMError(f"Unknown algorithm {algorithm!r}. Choose from: {', '.join(ALGORITHMS)}.")
    for d in block_sizes:
        DecodeConfig(block_size=d)
    for tau in thresholds:
        DecodeConfig(threshold=tau)
    cells: list[Cell] = []
    for d in block_sizes:
        for algorithm in algorithms:
            if algorithm in RULES:
                cells += [Cell(algorithm, d, float(tau)) for tau in thresholds]
            elif algorithm == "self_speculative":
                cells.append(Cell(algorithm, d))
    if "autoregressive" in algorithms:
        cells.append(Cell("autoregressive", 1))
    if not cells:
        raise SDLMError("There is nothing to sweep: give at least one algorithm, one --block-size and one --tau.")
    return list(dict.fromkeys(cells))
