"""The sampler's arithmetic against the formula written out over the whole vocabulary, and its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import sdlm_core
from sdlm_core.errors import SDLMError
from sdlm_core.models.sampler import FILE, Choose, Drafter, Sampler, greedy, head_matrix, load_sampler, save_sampler

HIDDEN, WIDTH, BLOCK, VOCABULARY = 24, 10, 4, 50


def trained(seed: int = 0) -> Sampler:
    """Random weights everywhere, large enough to change guesses."""
    torch.manual_seed(seed)
    sampler = Sampler(HIDDEN, WIDTH, BLOCK)
    with torch.no_grad():
        sampler.output.normal_()
        sampler.bias.normal_()
    return sampler.requires_grad_(False)


def model(seed: int = 1) -> tuple[Any, Tensor]:
    """What draft needs of a transformer, and a head of its own."""
    generator = torch.Generator().manual_seed(seed)
    embedding, head = torch.randn(2, VOCABULARY, HIDDEN, generator=generator)
    return SimpleNamespace(embedding=embedding), head


def rows(head: Tensor, count: int, size: int = BLOCK, k: int = VOCABULARY) -> tuple[Tensor, Tensor, Tensor]:
    hidden = torch.randn(count, size, HIDDEN, generator=torch.Generator().manual_seed(2))
    own, ids = (hidden @ head.t()).topk(k, dim=-1)
    return hidden, ids, own


def draft(
    sampler: Sampler,
    transformer: Any,
    head: Tensor,
    hidden: Tensor,
    ids: Tensor,
    own: Tensor,
    y: Tensor,
    choose: Choose,
) -> tuple[Tensor, ...]:
    return Drafter(sampler, transformer.embedding, head).draft(hidden, ids, own, y, choose)


def reference(sampler: Sampler, embedding: Tensor, head: Tensor, hidden: Tensor, y: int) -> list[tuple[int, Tensor]]:
    """One block (D, h), the formulas of `models.sampler` over all tokens: each guess and its distribution (V,)."""

    def unit(x: Tensor) -> Tensor:
        return x / (x.square().mean() + 1e-6).sqrt()

    state = F.silu(sampler.first @ unit(hidden[0]))
    made = []
    for i in range(1, len(hidden)):
        bias = sampler.bias[min(i, sampler.block_size - 1) - 1]
        inner = sampler.from_hidden @ unit(hidden[i]) + sampler.from_token @ unit(embedding[y])
        state = F.silu(inner + sampler.from_state @ state + bias)
        p = (head @ (hidden[i] + sampler.output @ state)).softmax(dim=0)
        y = int(p.argmax())
        made.append((y, p))
    return made


@pytest.mark.parametrize("size", [2, BLOCK, BLOCK + 3])
def test_draft_is_the_formula(size: int) -> None:
    """All candidates allowed, several blocks at once; narrower and wider than it was trained with."""
    sampler, (transformer, head) = trained(), model()
    hidden, ids, own = rows(head, 5, size)
    first = torch.arange(5)
    probabilities, places, chosen = draft(sampler, transformer, head, hidden, ids, own, first, greedy)
    assert probabilities.shape == (5, size - 1, VOCABULARY)
    for block in range(5):
        wanted = reference(sampler, transformer.embedding, head, hidden[block], int(first[block]))
        assert chosen[block].tolist() == [y for y, _ in wanted]
        for i, (y, p) in enumerate(wanted):
            assert ids[block, i + 1, places[block, i]] == y
            torch.testing.assert_close(probabilities[block, i], p[ids[block, i + 1]], rtol=1e-4, atol=1e-6)


def test_teacher_forced_is_the_same_recurrence() -> None:
    sampler, (transformer, head) = trained(), model()
    hidden, ids, own = rows(head, 3)
    first = torch.tensor([4, 5, 6])
    probabilities, _, chosen = draft(sampler, transformer, head, hidden, ids, own, first, greedy)
    before = torch.cat([first[:, None], chosen[:, :-1]], dim=1)
    states = sampler.states(hidden, F.embedding(before, transformer.embedding))
    scores = (hidden[:, 1:] + states @ sampler.output.t()) @ head.t()
    torch.testing.assert_close(probabilities, scores.gather(-1, ids[:, 1:]).softmax(dim=-1), rtol=1e-4, atol=1e-6)


def test_an_untrained_sampler_changes_nothing() -> None:
    torch.manual_seed(0)
    sampler, (transformer, head) = Sampler(HIDDEN, WIDTH, BLOCK).requires_grad_(False), model()
    hidden, ids, own = rows(head, 4, k=8)
    probabilities, places, chosen = draft(
        sampler, transformer, head, hidden, ids, own, torch.zeros(4, dtype=torch.int64), greedy
    )
    assert torch.equal(probabilities, own[:, 1:].softmax(dim=-1))
    assert torch.equal(chosen, ids[:, 1:, 0])
    assert not places.any()


def test_the_next_guess_follows_what_was_chosen() -> None:
    """A choice function of one's own: the second best everywhere. What follows is conditioned on it."""
    sampler, (transformer, head) = trained(), model()
    hidden, ids, own = rows(head, 2)
    first = torch.tensor([1, 2])

    def second(i: int, scores: Tensor) -> tuple[Tensor, Tensor]:
        return scores.softmax(dim=-1), scores.topk(2, dim=-1).indices[:, 1]

    best, _, _ = draft(sampler, transformer, head, hidden, ids, own, first, greedy)
    other, _, _ = draft(sampler, transformer, head, hidden, ids, own, first, second)
    assert torch.equal(best[:, 0], other[:, 0])
    assert not torch.allclose(best[:, 1], other[:, 1])


@pytest.mark.parametrize("tied", [True, False])
def test_the_heads_matrix(load: Callable[..., sdlm_core.LanguageModel], tied: bool) -> None:
    lm = load(tied=tied)
    matrix = head_matrix(lm.transformer)
    hidden = torch.randn(3, lm.transformer.shape.hidden)
    torch.testing.assert_close(hidden @ matrix.t(), lm.transformer.logits(hidden))
    assert (matrix is lm.transformer.embedding) == tied


def test_a_file_brings_it_back(tmp_path: Path) -> None:
    sampler, (transformer, head) = trained().to(torch.bfloat16), model()
    sampler.scale = torch.tensor([1.0, 0.9, 0.8])
    save_sampler(sampler, tmp_path)
    again = load_sampler(tmp_path, HIDDEN)
    assert again is not None
    assert (again.width, again.block_size) == (WIDTH, BLOCK)
    hidden, ids, own = rows(head, 2)
    first = torch.tensor([0, 1])
    wanted = draft(sampler.float(), transformer, head, hidden, ids, own, first, greedy)
    for a, b in zip(draft(again, transformer, head, hidden, ids, own, first, greedy), wanted, strict=True):
        assert torch.equal(a, b)


def test_no_file_is_no_sampler(tmp_path: Path) -> None:
    assert load_sampler(tmp_path, HIDDEN) is None


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = save_sampler(trained(), tmp_path)
    data = path.read_bytes()
    for broken in (b"", data[:100], data[:-50], b"x" * 200):
        path.write_bytes(broken)
        with pytest.raises(SDLMError, match="damaged or incomplete"):
            load_sampler(tmp_path, HIDDEN)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    sampler = trained()
    sampler.output[0, 0] = float("nan")
    save_sampler(sampler, tmp_path)
    with pytest.raises(SDLMError, match="not finite"):
        load_sampler(tmp_path, HIDDEN)


def test_another_models_sampler_is_refused(tmp_path: Path) -> None:
    save_sampler(trained(), tmp_path)
    with pytest.raises(SDLMError, match=f"hidden size {HIDDEN}, but this one has 32"):
        load_sampler(tmp_path, 32)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / FILE)
    with pytest.raises(SDLMError, match="no sampler"):
        load_sampler(tmp_path, HIDDEN)
