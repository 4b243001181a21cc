"""The state of one answer: known tokens, draft and settings. Pure data: no tensor, no cache, no text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sdlm_core.config import DecodeConfig
from sdlm_core.decoding.width import Experience
from sdlm_core.errors import SDLMError
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.trace import FinishReason


@dataclass(frozen=True)
class Guess:
    """One candidate, as the host learns of it.

    confidence:  what the acceptance rule compares with τ; probability: p(c); entropy: H(p) in nats.
    alternative_*: the most probable tokens of the same distribution, best first.
    alone:       of a coherent guess, the same of the row's own distribution, which knows no other guess.
    """

    token_id: int
    confidence: float
    probability: float
    entropy: float
    alternative_ids: tuple[int, ...] = ()
    alternative_probabilities: tuple[float, ...] = ()
    alone: Alone | None = None


@dataclass(frozen=True)
class Alone:
    """What a row says of its candidate without the guesses before it: p(c), and the most probable tokens."""

    probability: float
    alternative_ids: tuple[int, ...] = ()
    alternative_probabilities: tuple[float, ...] = ()


@dataclass
class State:
    """One answer in the making.

    block_size:     D, candidates a pass; 1 for autoregressive decoding.
    max_new_tokens: length limit of the answer, within the model's context.
    token_ids:      the answer so far, an end token included.
    given:          how many of them it was made to begin with.
    resumed:        how many after those another process has accepted.
    coherent:       whether each guess of a block knows those before it.
    auto:           whether each pass chooses its width; block_size is the widest then.
    experience:     what the run's guesses came to.
    draft:          self-speculative: guesses for the tokens after the known ones, which the next pass verifies.
    finish_reason:  None while the answer goes on.
    """

    prompt_ids: list[int]
    config: DecodeConfig
    block_size: int
    max_new_tokens: int
    mask_token_id: int | None
    end_token_ids: frozenset[int]
    coherent: bool = False
    auto: bool = False
    experience: Experience = field(default_factory=Experience)
    token_ids: list[int] = field(default_factory=list)
    given: int = 0
    resumed: int = 0
    draft: list[Guess] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    @property
    def known(self) -> list[int]:
        """x_1 … x_t: the prompt and the accepted tokens."""
        return self.prompt_ids + self.token_ids

    @property
    def speculative(self) -> bool:
        """Whether passes verify a draft rather than accept by confidence."""
        return self.config.algorithm == "self_speculative"

    @property
    def room(self) -> int:
        """Tokens that the answer may still take."""
        return self.max_new_tokens - len(self.token_ids)


def new_state(lm: LanguageModel, prompt_ids: list[int], config: DecodeConfig, prefix: Sequence[int] = ()) -> State:
    """The state before the first pass. SDLMError where this model cannot decode so.

    prefix: the ids of the tokens that the answer begins with, counted in its length.
    """
    most = min(config.max_new_tokens, lm.context_length - len(prompt_ids))
    if len(prefix) >= most:
        raise SDLMError(
            f"The answer may have {most:,} tokens here, and {len(prefix):,} of them are given already, so nothing is "
            "left to decode. Give fewer, or raise max_new_tokens."
        )
    return State(
        prompt_ids=prompt_ids,
        config=config,
        block_size=block_size_for(lm, config),
        max_new_tokens=most,
        mask_token_id=lm.mask_token_id,
        end_token_ids=lm.end_token_ids,
        coherent=coherent_for(lm, config),
        auto=config.block_size == "auto" and config.algorithm != "autoregressive",
        token_ids=list(prefix),
        given=len(prefix),
    )


def coherent_for(lm: LanguageModel, config: DecodeConfig) -> bool:
    """Whether a run with `config` makes coherent guesses. SDLMError where this model cannot.

    Autoregressive decoding guesses one token, so for it nothing is asked of a model.
    """
    if config.algorithm == "autoregressive" or config.guesses == "independent":
        return False
    if config.guesses == "coherent" and lm.sampler is None:
        raise SDLMError(
            f'The model {lm.name!r} has no sampler, which coherent guesses need. Use guesses="independent", '
            "or train a sampler for it: python -m sdlm_core retrofit --sampler-only."
        )
    return lm.sampler is not None


def block_size_for(lm: LanguageModel, config: DecodeConfig) -> int:
    """D of a run with `config`; "auto": the widest a pass may be. SDLMError where this model cannot decode so."""
    if config.algorithm == "autoregressive":
        return 1
    if lm.mask_token_id is None:
        raise SDLMError(
            f"The model {lm.name!r} has no mask token, so it cannot decode by {config.algorithm!r}. "
            'Use algorithm="autoregressive", or retrofit it first: python -m sdlm_core retrofit --help. '
            'If it is an SDLM, its config.json must name "text_mask_token" or "text_mask_token_id".'
        )
    return (config.block_size if isinstance(config.block_size, int) else None) or lm.block_size or 1
