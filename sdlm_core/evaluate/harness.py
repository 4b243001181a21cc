"""Our decoder as a model of lm-evaluation-harness, so that every task of the harness runs on an SDLM.

Answers come from block decoding, many runs to a forward pass; likelihoods from the ordinary autoregressive reading.
Imported only by the command that needs it: lm-eval is no dependency of anything else.
"""

from __future__ import annotations

import logging
import random
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from sdlm_core.config import DecodeConfig
from sdlm_core.decoding.loop import Run, advance, run_batch
from sdlm_core.errors import SDLMError
from sdlm_core.evaluate.likelihood import log_likelihoods
from sdlm_core.execution.cache import CachePool
from sdlm_core.execution.executor import executor_for
from sdlm_core.models.chat_template import render
from sdlm_core.models.language_model import LanguageModel
from sdlm_core.text import AnswerText

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Answering:
    """The answer to request `number`, being decoded; `until`: texts that end it."""

    number: int
    run: Run
    until: list[str]

    @property
    def stop(self) -> int | None:
        """Where the earliest of `until` begins."""
        return first_stop(self.run.text, self.until)

    @property
    def done(self) -> bool:
        return self.run.finish_reason is not None or self.stop is not None


class HarnessLM(TemplateLM):  # type: ignore[misc]
    """An LM of the harness.

    config: how answers are decoded; a task's own length limit and sampling settings take precedence.
    batch: runs in one forward pass. tokens, passes: generated tokens and forward passes by task, for tokens per pass.
    templated: whether the harness puts texts through the chat template: `chat`, where the tokenizer has one.
    """

    def __init__(
        self, lm: LanguageModel, config: DecodeConfig, batch: int = 16, distributed: Any = None, chat: bool = True
    ) -> None:
        super().__init__()
        self.lm, self.config, self.batch = lm, config, batch
        self.tokenizer = lm.tokenizer
        self.templated = chat and bool(self.tokenizer.chat_template)
        self._device = lm.device
        self.distributed = distributed  # accelerate's PartialState, with several processes
        if distributed is not None:
            self._rank, self._world_size = distributed.process_index, distributed.num_processes
        self.tokens: Counter[str] = Counter()
        self.passes: Counter[str] = Counter()

    # -- answers ------------------------------------------------------------------------------------------------------

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """The answers to all requests, many to a forward pass; a place that becomes free is refilled."""
        answers: dict[int, str] = {}
        waiting = deque(enumerate(requests))
        pool = executor_for(self.lm).new_pool(lasting=True)  # one, so that all runs attend in one call

        def refill(active: Sequence[_Answering]) -> list[_Answering]:
            free = min(self.batch - len(active), len(waiting))
            return [self._start(pool, *waiting.popleft()) for _ in range(free)]

        def step(active: Sequence[_Answering]) -> None:
            advance([answering.run for answering in active])

        for answering in run_batch(refill, step, lambda answering: answering.done):
            run, request = answering.run, requests[answering.number]
            run.leave()
            answers[answering.number] = run.text[: answering.stop]
            name = str(request.task_name)
            cut = answering.stop is not None
            self.tokens[name] += tokens_until(self.lm, run.token_ids, answering.until) if cut else len(run.token_ids)
            self.passes[name] += len(run.passes)
            self.cache_hook.add_partial("generate_until", request.args, answers[answering.number])
            if not disable_tqdm and self.rank == 0 and len(answers) % max(1, len(requests) // 10) == 0:
                log.info("%d of %d answers", len(answers), len(requests))
        return [answers[number] for number in range(len(requests))]

    def _start(self, pool: CachePool, number: int, request: Any) -> _Answering:
        """The run for a request. An answer gets the room that its prompt leaves; a prompt that leaves hardly any loses
        its beginning. Each request has a seed of its own, for a task may ask the same question many times."""
        context: str = request.args[0]
        options: dict[str, Any] = request.args[1]
        until = options.get("until") or []
        until = [until] if isinstance(until, str) else list(until)
        limit = next((options[k] for k in ("max_gen_toks", "max_new_tokens", "max_tokens") if options.get(k)), None)
        limit = int(limit or self.config.max_new_tokens)
        seed = random.Random(f"{self.config.seed}/{number}").getrandbits(32)
        config = replace(self.config, max_new_tokens=limit, seed=seed)
        if options.get("do_sample", float(options.get("temperature") or 0) > 0):
            config = replace(
                config,
                temperature=float(options.get("temperature", 1.0)),
                top_p=float(options.get("top_p", 1.0)),
                top_k=int(options.get("top_k", 0)),
            )
        ids = self.tok_encode(context) or [self.prefix_token_id]
        longest = self.lm.context_length - min(limit, self.config.max_new_tokens, self.lm.context_length // 2)
        if len(ids) > longest:
            log.warning("A prompt of %d tokens is cut to its last %d.", len(ids), longest)
        return _Answering(number, Run(self.lm, ids[-longest:], config, pool), until)

    # -- likelihoods --------------------------------------------------------------------------------------------------

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **_: Any
    ) -> list[tuple[float, bool]]:
        """Summed log-probability (nats) of each continuation, and whether greedy decoding would give it."""
        longest = self.lm.context_length
        pairs = []
        for _, context, continuation in requests:
            if len(continuation) >= longest:
                raise SDLMError(
                    f"A continuation has {len(continuation):,} tokens, but {self.lm.name!r} reads {longest:,}."
                )
            pairs.append((context[-(longest - len(continuation)) :], continuation))
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))  # alike in length together
        found = log_likelihoods(self.lm, [pairs[i] for i in order])
        out: list[tuple[float, bool]] = [(0.0, True)] * len(pairs)
        for i, tokens in zip(order, found, strict=True):
            out[i] = sum(value for value, _ in tokens), all(greedy for _, greedy in tokens)
            if requests[i][0] is not None:
                self.cache_hook.add_partial("loglikelihood", requests[i][0], out[i])
        return out

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-probability of whole texts, in windows of the context length; every token is predicted once."""
        out = []
        for request in requests:
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0], add_special_tokens=False),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.lm.context_length - 1,
                context_len=1,
            )
            pairs = [(None, *make_disjoint_window(window)) for window in windows]
            total = sum(value for value, _ in self._loglikelihood_tokens(pairs))
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
            out.append(total)
        return out

    # -- tokens and templates -----------------------------------------------------------------------------------------

    @property
    def eot_token_id(self) -> int:
        ids = self.lm.end_token_ids
        preferred = self.tokenizer.eos_token_id
        return int(preferred if preferred in ids or not ids else min(ids))

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has nothing before it."""
        begin = self.tokenizer.bos_token_id
        return self.eot_token_id if begin is None else int(begin)

    @property
    def max_length(self) -> int:
        return self.lm.context_length

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Token ids. A bare text gets the special tokens that the tokenizer adds, unless it begins with the begin token
        already; a template has written all that it wants."""
        begin = self.tokenizer.bos_token
        if add_special_tokens is None:
            add_special_tokens = not (begin and string.startswith(begin)) and not self.templated
        return list(self.tokenizer(string, add_special_tokens=add_special_tokens)["input_ids"])

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        go_on = not add_generation_prompt
        return render(self.tokenizer, chat_history, add_generation_prompt, continue_final_message=go_on)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        return self.tokenizer.chat_template if chat_template else ""

    @property
    def tokenizer_name(self) -> str:
        return self.lm.name.replace("/", "__")

    # -- several processes --------------------------------------------------------------------------------------------

    def all_gather(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.world_size == 1:
            return tensor
        from accelerate.utils import gather

        gathered: torch.Tensor = gather(tensor.to(self._device))
        return gathered

    def gather_object(self, obj: Any, dst: int = 0) -> list[Any] | None:
        if self.world_size == 1:
            return [obj]
        out: list[Any] | None = [None] * self.world_size if self.rank == dst else None
        torch.distributed.gather_object(obj, out, dst=dst)
        return out

    def barrier(self) -> None:
        if self.distributed is not None:
            self.distributed.wait_for_everyone()


def tokens_until(lm: LanguageModel, token_ids: Sequence[int], until: Sequence[str]) -> int:
    """How many tokens the answer has up to the one that completes a stop sequence; a block may have brought more."""
    text = AnswerText(lm)
    for n, token_id in enumerate(token_ids, start=1):
        text.extend([token_id])
        if first_stop(text.text, until) is not None:
            return n
    return len(token_ids)


def first_stop(text: str, until: Sequence[str]) -> int | None:
    """Where the earliest stop sequence begins; None where the text has none."""
    places = [place for place in (text.find(stop) for stop in until if stop) if place >= 0]
    return min(places, default=None)
