"""What a decoding run is asked to do. It knows nothing of models, except a block size to fall back on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sdlm_core.errors import SDLMError

ALGORITHMS = ("prob_conf", "entropy_conf", "self_speculative", "autoregressive")
MAX_BLOCK_SIZE = 64
GUESSES = ("coherent", "independent")


@dataclass(frozen=True)
class DecodeConfig:
    """Settings of one run; checked when made, so that a wrong one fails before any work (SDLMError).

    algorithm:      one of ALGORITHMS. The first two accept by confidence (paper section 3.4), the third verifies the
                    last pass's candidates as a draft, the last is next-token prediction.
    block_size:     D, candidates a pass; None takes the model's own. "auto": each pass is as wide as it pays, at most
                    the model's D (`decoding.width`). Self-speculative, what is written is then token for token that
                    of autoregressive decoding; by confidence, the text may depend on the widths, and so on the clock.
    threshold:      τ in [0, 1]: candidates are kept while their confidence is strictly greater.
    temperature:    0 takes the most probable token; above 0 samples.
    top_k, top_p:   filters of the distribution, after the temperature; 0 and 1.0 turn them off.
    max_new_tokens: length limit of the answer in tokens, the end token counted.
    use_cache:      False computes every row in every pass, which is slow and gives the same tokens (in float32).
    seed:           fixes the samples. The noise of a token depends on the seed and its place in the answer alone.
    guesses:        "coherent": each of a block's guesses knows those before it, which needs a sampler
                    (`models.sampler`); "independent": none knows the others, as in the paper. None: coherent where
                    there is a sampler.
    """

    algorithm: str = "prob_conf"
    block_size: int | Literal["auto"] | None = None
    threshold: float = 0.9
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    max_new_tokens: int = 256
    use_cache: bool = True
    seed: int = 0
    guesses: str | None = None

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise SDLMError(f"Unknown algorithm {self.algorithm!r}. Choose one of: {', '.join(ALGORITHMS)}.")
        if self.block_size is not None and self.block_size != "auto":
            _check_integer("block_size (D)", self.block_size, 1, MAX_BLOCK_SIZE)
        _check_number("threshold (τ)", self.threshold, 0.0, 1.0)
        _check_number("temperature", self.temperature, 0.0, 100.0)
        _check_integer("top_k", self.top_k, 0, None)
        _check_number("top_p", self.top_p, 0.0, 1.0)
        if self.top_p == 0:
            raise SDLMError(
                "top_p is 0, which leaves no token to choose. Use a value above 0; 1.0 turns the filter off."
            )
        _check_integer("max_new_tokens", self.max_new_tokens, 1, None)
        _check_integer("seed", self.seed, None, None)
        if self.guesses is not None and self.guesses not in GUESSES:
            raise SDLMError(f"Unknown guesses {str(self.guesses)[:40]!r}. Choose one of: {', '.join(GUESSES)}.")

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DecodeConfig:
        """The inverse of `to_dict`; unknown names raise SDLMError."""
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise SDLMError(f"Unknown setting {unknown[0]!r}. The settings are: {known}.")
        return cls(**values)


def _check_integer(name: str, value: Any, low: int | None, high: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SDLMError(f"{name} must be a whole number, but is {value!r}.")
    if (low is not None and value < low) or (high is not None and value > high):
        limits = f"at least {low}" if high is None else f"between {low} and {high}"
        raise SDLMError(f"{name} must be {limits}, but is {value}.")


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    finite = not isinstance(value, float) or math.isfinite(value)  # which an int past all floats cannot be asked
    if isinstance(value, bool) or not isinstance(value, int | float) or not finite:
        raise SDLMError(f"{name} must be a number, but is {value!r}.")
    if not low <= value <= high:
        raise SDLMError(f"{name} must be between {low:g} and {high:g}, but is {min(max(value, -1e300), 1e300):g}.")
