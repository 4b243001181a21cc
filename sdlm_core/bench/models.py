"""What is measured: our model and transformers' with the same weights, their passes, and prompts for them.

All that the bench needs of the decoder's inside stands here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from sdlm_core.bench.random_weights import random_models
from sdlm_core.config import DecodeConfig
from sdlm_core.decoding.loop import Run, advance
from sdlm_core.decoding.recorder import Recorder
from sdlm_core.decoding.state import Guess
from sdlm_core.errors import SDLMError
from sdlm_core.execution.executor import executor_for
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.models.loading import load_model, load_transformers

Job = Callable[[], object]


@dataclass(frozen=True)
class BenchConfig:
    """What to measure.

    random_weights: a name of `random_weights.SHAPES`, measured instead of `model`; None for the model itself.
    sections:       names of `bench.SECTIONS`, in the order they are measured.
    block_size:     D; None is the model's, or 4 with random weights.
    repeats:        rounds behind each median.
    limit:          prompts to answer.
    """

    model: str = "builtin"
    device: str = "auto"
    dtype: str = "auto"
    quantization: str | None = None
    random_weights: str | None = None
    sections: tuple[str, ...] = ("pass", "answers", "speedup", "crowd", "first", "context", "floor")
    block_size: int | None = None
    repeats: int = 15
    limit: int = 12

    def __post_init__(self) -> None:
        if self.repeats < 1 or self.limit < 1:
            raise SDLMError("--repeats and --limit must be at least 1.")
        if self.random_weights and self.quantization:
            raise SDLMError("Random weights are not quantized. Leave --quantization out, or name a checkpoint.")


@dataclass(frozen=True)
class Models:
    """Our model and transformers', the token ids of the prompts to answer, and D."""

    lm: LanguageModel
    reference: Any
    prompts: list[list[int]]
    block_size: int
    config: BenchConfig


def load_models(config: BenchConfig, prompts: Sequence[str]) -> Models:
    """Load both models. `config.limit` prompts are taken, evenly from all; with random weights they are random."""
    if config.random_weights:
        lm, reference = random_models(config.random_weights, config.device, config.dtype)
        ids = [random_ids(lm, 60, seed=i) for i in range(config.limit)]
    else:
        lm = load_model(config.model, config.device, config.dtype, config.quantization)
        reference = load_transformers(config.model, config.device, config.dtype, config.quantization)[0]
        evenly = prompts[:: max(1, len(prompts) // config.limit)]
        ids = [lm.encode(prompt)[1] for prompt in evenly[: config.limit]]
    return Models(lm, reference, ids, config.block_size or lm.block_size or 4, config)


def random_ids(lm: LanguageModel, n: int, seed: int = 0) -> list[int]:
    """`n` token ids that are no special tokens."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(lm.vocabulary // 3, lm.vocabulary // 2, (n,), generator=generator).tolist()


def warm_run(lm: LanguageModel, algorithm: str, d: int, context: int, guesses: str | None = None) -> Run:
    """A run in the middle of an answer, with `context` tokens in its cache and D newest ones to add."""
    config = DecodeConfig(algorithm, d, 0.0, max_new_tokens=10_000, guesses=guesses)
    run = Run(lm, random_ids(lm, context), config, executor_for(lm).new_pool(lasting=True))
    while len(run.passes) < 2:
        advance([run])
        if run.finish_reason:  # random text may end at once
            run.state.finish_reason = None
    return run


def widest_speculative_run(lm: LanguageModel, d: int, context: int) -> Run:
    """A self-speculative run whose next pass verifies the whole draft: as wide as a pass gets."""
    run = warm_run(lm, "self_speculative", d, context)
    found = run.passes[-1].candidates[1 - d :]
    run.state.draft = [Guess(c.token_id, c.confidence, c.probability, c.entropy) for c in found]
    return run


def repeat_pass(run: Run) -> None:
    """One whole pass of a copy of the run, which itself stays where it is, so that it can be timed again there."""
    probe = copy.copy(run)
    probe.cache = copy.copy(run.cache)  # another frontier over the same buffers
    probe.state = replace(run.state, token_ids=list(run.token_ids))
    probe.recorder = Recorder(run.lm, "", probe.state)
    advance([probe])


def rows_of(run: Run) -> int:
    """Rows of the run's next pass."""
    return len(run.plan().rows)


def cached_tokens(run: Run) -> int:
    """Tokens in the run's cache."""
    return run.cache.length


def forward_only(run: Run, d: int) -> Job:
    """The pass's forward and head, without planning, deciding and recording."""
    plan = run.plan()

    def job() -> object:
        hidden = run.executor.forward([run.cache], [plan])[0]
        return run.lm.transformer.logits(hidden[-d:])

    return job


def reference_forward(models: Models, rows: int, context: int) -> Job:
    """transformers' forward of `rows` rows over a cache of `context` tokens, cut back after each."""
    from transformers import DynamicCache

    lm, reference = models.lm, models.reference
    cache = DynamicCache(config=reference.config)
    prompt = torch.tensor([random_ids(lm, context)], device=lm.device)
    reference(prompt, past_key_values=cache, logits_to_keep=1)
    ids = torch.tensor([random_ids(lm, rows)], device=lm.device)

    def job() -> object:
        out = reference(ids, past_key_values=cache, logits_to_keep=models.block_size).logits
        cache.crop(-rows)
        return out

    return job


def reference_generate(lm: LanguageModel, reference: Any, ids: list[int], limit: int, options: dict[str, Any]) -> int:
    """Number of tokens that transformers' greedy generate gives, ended by the end tokens of `lm`."""
    prompt = torch.tensor([ids], device=lm.device)
    out = reference.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=sorted(lm.end_token_ids) or None,
        **options,
    )
    return int(out.shape[1]) - len(ids)
