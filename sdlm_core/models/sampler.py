"""The sampler: a small recurrent head that lets each guess of a block know the ones before it.

    s₁ = silu(F ĥ₁)      sᵢ = silu(A ĥᵢ + B ê(yᵢ₋₁) + C sᵢ₋₁ + bᵢ)      scoresᵢ = E[Kᵢ] · (hᵢ + O sᵢ)      for i ≥ 2

hᵢ is row i's hidden state after the final norm, e the input embedding, E the head's matrix, Kᵢ the likeliest tokens of
row i's own scores; ^ scales to unit mean square. Related: the sampler of arXiv 2507.11851, the sequentially dependent
heads of 2402.05109. It knows nothing of rows, caches or acceptance: hidden states in, chosen tokens out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sdlm_core.errors import SDLMError
from sdlm_core.models.transformer import Linear, PlainLinear, Transformer

FILE = "sampler.safetensors"  # beside an adapter or a checkpoint
CANDIDATES = 64  # |K|: re-ranking more of a row's own likeliest tokens gains nothing
VERSION = "1"
MATRICES = ("first", "from_hidden", "from_token", "from_state", "bias", "output")
EPS = 1e-6

# choose(i, scores (B, k) float32) -> probabilities (B, k) float32 and the chosen one's place among the k, int64 (B,).
# i is the block's position, counted from 0, so it runs from 1 to D − 1.
Choose = Callable[[int, Tensor], tuple[Tensor, Tensor]]


class Sampler(nn.Module):
    """The weights for blocks of up to D tokens, hidden size h and width w. An untrained one changes nothing.

    first F (w, h), from_hidden A (w, h), from_token B (w, h), from_state C (w, w), bias b (D − 1, w) of positions
    2 … D, output O (h, w). scale: (D − 1,) factors of the scores by position, 1 unless calibration asked for others.
    """

    def __init__(self, hidden: int, width: int, block_size: int) -> None:
        super().__init__()
        self.hidden, self.width, self.block_size = hidden, width, block_size

        def matrix(rows: int, columns: int, fan_in: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns) * fan_in**-0.5)

        self.first = matrix(width, hidden, hidden)
        self.from_hidden = matrix(width, hidden, 3 * hidden)  # three terms of unit variance together
        self.from_token = matrix(width, hidden, 3 * hidden)
        self.from_state = matrix(width, width, 3 * width)
        self.bias = nn.Parameter(torch.zeros(block_size - 1, width))
        self.output = nn.Parameter(torch.zeros(hidden, width))
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(block_size - 1))

    def states(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Teacher-forced s₂ … s_D, (B, D − 1, w), of hidden (B, D, h) where y₁ … y_{D−1} have the embeddings `tokens`
        (B, D − 1, h)."""
        unit = scaled(hidden.to(self.first.dtype))
        state = F.silu(F.linear(unit[:, 0], self.first))
        terms = F.linear(unit[:, 1:], self.from_hidden) + self.bias
        terms = terms + F.linear(scaled(tokens.to(unit.dtype)), self.from_token)
        made = []
        for term in terms.unbind(1):
            state = F.silu(term + F.linear(state, self.from_state))
            made.append(state)
        return torch.stack(made, dim=1)


class Drafter:
    """A sampler laid out for decoding, beside the matrices of the model it belongs to: `draft` is all there is to it.

    embedding and head (V, h) are the model's, the same tensor where they are tied; their dtype is the sampler's too.
    Its products may be prepared for the processor: execution.linear.prepare_drafter.
    """

    def __init__(self, sampler: Sampler, embedding: Tensor, head: Tensor) -> None:
        self.embedding, self.head = embedding, head
        dtype = embedding.dtype

        def fixed(*matrices: Tensor) -> Linear:
            return PlainLinear(torch.cat([m.detach().to(embedding.device, dtype) for m in matrices], dim=1), None)

        self.first, self.from_hidden = fixed(sampler.first), fixed(sampler.from_hidden)
        self.step = fixed(sampler.from_token, sampler.from_state)  # one product a step
        self.output = fixed(sampler.output)
        self.bias = sampler.bias.detach().to(embedding.device, dtype)  # (D − 1, w)
        self.scale = sampler.scale.to(embedding.device)  # (D − 1,)

    def draft(self, hidden: Tensor, ids: Tensor, own: Tensor, y: Tensor, choose: Choose) -> tuple[Tensor, ...]:
        """The guesses for positions 2 … D of B blocks, one position after the other. Nothing is brought to the host.

        hidden (B, D, h) after the final norm, unscaled; ids int64 (B, D, k) and own (B, D, k): each row's likeliest
        tokens and their own scores; y int64 (B,): the tokens chosen for position 1. A block wider than those trained
        with repeats the last position's bias. Returns the conditional probabilities float32 (B, D − 1, k) over the
        candidates, and the chosen ones' places among them and token ids, both int64 (B, D − 1).
        """
        count, size, _ = hidden.shape
        unit = scaled(hidden)
        state = F.silu(self.first(unit[:, 0]))  # (B, w)
        # All that does not depend on a choice at once: the loop is a chain of small operations, so each one counts.
        bias, scale = _as_long(self.bias, size - 1), _as_long(self.scale, size - 1)
        terms = self.from_hidden(unit[:, 1:].flatten(0, 1)).view(count, size - 1, -1) + bias
        candidates = F.embedding(ids[:, 1:], self.head).float() * scale[:, None, None]  # (B, D − 1, k, h)
        alone = (own[:, 1:].float() * scale[:, None])[..., None]  # (B, D − 1, k, 1)
        each = zip(terms.unbind(1), candidates.unbind(1), alone.unbind(1), ids[:, 1:].unbind(1), strict=True)
        made = []
        for i, (term, rows, scores, tokens) in enumerate(each, start=1):
            token = scaled(F.embedding(y, self.embedding))  # (B, h)
            state = F.silu(self.step(torch.cat([token, state], dim=1)) + term)
            change = self.output(state).float()  # (B, h)
            p, place = choose(i, torch.baddbmm(scores, rows, change[:, :, None])[:, :, 0])
            y = tokens.gather(1, place[:, None])[:, 0]
            made.append((p, place, y))
        return tuple(torch.stack(parts, dim=1) for parts in zip(*made, strict=True))


def _as_long(x: Tensor, n: int) -> Tensor:
    """The first n of x, its last one repeated where it has fewer."""
    return x[:n] if n <= len(x) else torch.cat([x, x[-1:].expand(n - len(x), *x.shape[1:])])


def scaled(x: Tensor) -> Tensor:
    """x (…, h) scaled to unit mean square over its last dimension."""
    return F.rms_norm(x, x.shape[-1:], eps=EPS)


def greedy(i: int, scores: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest candidate; see Choose."""
    p = scores.softmax(dim=-1)
    return p, p.argmax(dim=-1)


@torch.no_grad()
def head_matrix(transformer: Transformer) -> Tensor:
    """E (V, h) in the weights' dtype, on their device: the embedding itself where it is tied to the head.

    Elsewhere the head's own matrix, or where it is packed a copy: its products with the unit vectors are its columns.
    """
    embedding, head = transformer.embedding, transformer.head
    if isinstance(head, PlainLinear):
        return embedding if head.weight.data_ptr() == embedding.data_ptr() else head.weight
    unit = torch.eye(transformer.shape.hidden, dtype=embedding.dtype, device=transformer.norm.device)
    matrix = torch.cat([transformer.logits(rows) for rows in unit.split(64)]).t()
    if matrix.shape == embedding.shape and torch.equal(matrix.to(embedding.device), embedding):
        return embedding
    return matrix.contiguous()


def save_sampler(sampler: Sampler, folder: Path) -> Path:
    """Write sampler.safetensors into `folder`, in bfloat16 but for the scales; returns its path."""
    tensors = {name: getattr(sampler, name).detach().to("cpu", torch.bfloat16).contiguous() for name in MATRICES}
    tensors["scale"] = sampler.scale.detach().float().cpu()
    sizes = {"width": sampler.width, "block_size": sampler.block_size, "candidates": CANDIDATES}
    path = folder / FILE
    fresh = path.with_suffix(".tmp")
    save_file(tensors, fresh, {"format": "sdlm-sampler", "version": VERSION, **{k: str(v) for k, v in sizes.items()}})
    fresh.replace(path)
    return path


def load_sampler(folder: Path, hidden: int, device: Any = "cpu", dtype: torch.dtype = torch.float32) -> Sampler | None:
    """The sampler in `folder` for a model of that hidden size, ready to draft; None where there is none.

    SDLMError where the file is damaged, of another version, or does not fit the model.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != "sdlm-sampler" or metadata.get("version") != VERSION:
                raise SDLMError(f"{str(path)!r} is no sampler that this version can read. Update this program.")
            tensors = {name: file.get_tensor(name) for name in (*MATRICES, "scale")}
            sampler = Sampler(tensors["output"].shape[0], int(metadata["width"]), int(metadata["block_size"]))
            sampler.load_state_dict(tensors)
    except SDLMError:
        raise
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, IndexError) as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise SDLMError(
            f"The sampler in {str(path)!r} is damaged or incomplete ({type(error).__name__}: {reason}). "
            "Copy the file anew, or remove it to decode without it."
        ) from error
    if not all(bool(torch.isfinite(t).all()) for t in tensors.values()):
        raise SDLMError(f"The sampler in {str(path)!r} holds numbers that are not finite. Copy the file anew.")
    if sampler.hidden != hidden:
        raise SDLMError(
            f"The sampler in {str(path)!r} is for a model of hidden size {sampler.hidden}, but this one has {hidden}. "
            "Remove it, or train one for this model: retrofit --sampler-only."
        )
    scale = sampler.scale
    sampler = sampler.to(device, dtype).eval().requires_grad_(False)
    sampler.scale = scale.to(device)
    return sampler
