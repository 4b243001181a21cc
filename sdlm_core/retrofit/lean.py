"""The lean forward pass over weights that are being trained: LoRA merged into the frozen matrices, or full weights.

PEFT owns the adapter's parameters. Every step their products are merged into copies of the frozen matrices, as they
will be when the adapter is loaded for decoding, so the pass itself has no adapter branches. The gradients of A and B
are computed from the layer's input and output gradient directly; the gradient of the whole matrix never exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sdlm_core.models.transformer import Attend, Layer, Shape, Transformer

ADAPTER = "default"  # PEFT's name for a model's first adapter


class TrainingTransformer(Transformer):
    """The same pass, able to compute layers again in the backward pass instead of keeping what they computed."""

    recompute_layers = False

    def run_layer(self, index: int, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        if not (self.recompute_layers and torch.is_grad_enabled()):
            return super().run_layer(index, x, cos, sin, attend)
        run: Callable[..., Tensor] = super().run_layer
        return checkpoint(run, index, x, cos, sin, attend, use_reentrant=False)  # type: ignore[no-any-return]


class MergedLinear:
    """x (n, in) -> (n, out) through W + scale · B A, for matrices that share an input, stacked: queries, keys, values.

    The merged copy is refreshed by `merge`, once a step; it is what decoding will use, rounding included.
    """

    def __init__(self, modules: list[nn.Module], dtype: torch.dtype) -> None:
        frozen = [getattr(m, "base_layer", m) for m in modules]
        weights: list[Tensor] = [m.weight.detach().to(dtype) for m in frozen]  # type: ignore[union-attr, operator, misc]
        biases = [m.bias for m in frozen if m.bias is not None]
        self.parts = [w.shape[0] for w in weights]
        self.base = torch.cat(weights)  # (out, in)
        self.bias = torch.cat([b.detach().to(dtype) for b in biases]) if biases else None  # type: ignore[operator, misc]
        self.a: list[Tensor] = [m.lora_A[ADAPTER].weight for m in modules]  # type: ignore[index, union-attr, misc]
        self.b: list[Tensor] = [m.lora_B[ADAPTER].weight for m in modules]  # type: ignore[index, union-attr, misc]
        self.scale = float(modules[0].scaling[ADAPTER])  # type: ignore[index, arg-type]
        self.merged = self.base.clone()

    @torch.no_grad()
    def merge(self) -> None:
        dtype = self.base.dtype
        for base, merged, a, b in zip(
            self.base.split(self.parts), self.merged.split(self.parts), self.a, self.b, strict=True
        ):
            torch.addmm(base, b.to(dtype), a.to(dtype), alpha=self.scale, out=merged)

    def __call__(self, x: Tensor) -> Tensor:
        out: Tensor = _MergedLinear.apply(x, self, *self.a, *self.b)  # type: ignore[no-untyped-call]
        return out


class BaseLinear:
    """The frozen matrices of a MergedLinear alone, without a copy."""

    def __init__(self, linear: Any) -> None:
        self.linear: MergedLinear = linear

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.linear.base, self.linear.bias)


class _MergedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, linear: MergedLinear, *adapters: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.linear = linear
        return F.linear(x, linear.merged, linear.bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        linear: MergedLinear = ctx.linear
        grad = grads[0]  # (n, out)
        a = torch.cat([w.to(x.dtype) for w in linear.a])  # (parts · r, in)
        rank = linear.a[0].shape[0]
        inner = x @ a.t()  # (n, parts · r)
        d_inner = torch.empty_like(inner)
        d_b = []
        for index, (part, b) in enumerate(zip(grad.split(linear.parts, dim=1), linear.b, strict=True)):
            columns = slice(index * rank, (index + 1) * rank)
            d_b.append((part.t() @ inner[:, columns]).float().mul_(linear.scale))
            d_inner[:, columns] = part @ b.to(x.dtype)
        d_a = (d_inner.t() @ x).float().mul_(linear.scale)
        return grad @ linear.merged, None, *d_a.split(rank), *d_b


class FullLinear:
    """x (n, in) -> (n, out) through trained matrices that share an input, kept in their own dtype, used in `dtype`."""

    def __init__(self, modules: list[nn.Module], dtype: torch.dtype) -> None:
        self.modules: list[Any] = list(modules)
        self.dtype = dtype

    def __call__(self, x: Tensor) -> Tensor:
        weight = torch.cat([m.weight.to(self.dtype) for m in self.modules])
        biased = self.modules[0].bias is not None
        bias = torch.cat([m.bias.to(self.dtype) for m in self.modules]) if biased else None
        return F.linear(x, weight, bias)


class LeanModel:
    """A transformers model, with or without a LoRA adapter, seen as model.Transformer. `refresh` after each update."""

    def __init__(self, model: Any, mask_token_id: int, dtype: torch.dtype, recompute: bool = False) -> None:
        causal_lm: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
        inner = causal_lm.model
        self.lora = hasattr(inner.layers[0].mlp.down_proj, "lora_A")
        self.dtype = dtype
        self.mask_token_id = mask_token_id
        self.merged: list[MergedLinear] = []
        self.causal_lm = causal_lm
        self.tied = bool(causal_lm.config.tie_word_embeddings)
        self.mask_row: Tensor | None = None  # (1, hidden), trained, where the rest of the embedding is frozen
        if self.lora:
            adapter = inner.embed_tokens.token_adapter
            self.mask_row = adapter.trainable_tokens_delta[ADAPTER]
            self.embedding = adapter.base_layer.weight.detach().to(dtype).clone()
            head = causal_lm.lm_head
            head = head.token_adapter.base_layer if hasattr(head, "token_adapter") else head
            self.head = self.embedding if self.tied else head.weight.detach().to(dtype)
        self.transformer = TrainingTransformer(
            shape=Shape.of(causal_lm.config),
            embedding=self.embedding if self.lora else inner.embed_tokens.weight,
            layers=[self._layer(layer) for layer in inner.layers],
            norm=inner.norm.weight,
            head=causal_lm.lm_head,
            rotary=inner.rotary_emb,
        )
        self.transformer.recompute_layers = recompute
        self.refresh()

    def _linear(self, *modules: nn.Module) -> MergedLinear | FullLinear:
        if not self.lora:
            return FullLinear(list(modules), self.dtype)
        self.merged.append(MergedLinear(list(modules), self.dtype))
        return self.merged[-1]

    def _layer(self, layer: Any) -> Layer:
        attention, mlp = layer.self_attn, layer.mlp
        query_norm, key_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
        return Layer(
            input_norm=layer.input_layernorm.weight,
            qkv=self._linear(attention.q_proj, attention.k_proj, attention.v_proj),
            output=self._linear(attention.o_proj),
            mlp_norm=layer.post_attention_layernorm.weight,
            gate_up=self._linear(mlp.gate_proj, mlp.up_proj),
            down=self._linear(mlp.down_proj),
            query_norm=None if query_norm is None else query_norm.weight,
            key_norm=None if key_norm is None else key_norm.weight,
        )

    @torch.no_grad()
    def refresh(self) -> None:
        """Bring the merged matrices, and the mask token's row of a frozen embedding, up to date."""
        for linear in self.merged:
            linear.merge()
        if self.mask_row is not None:
            self.embedding[self.mask_token_id] = self.mask_row[0].to(self.dtype)

    def base(self) -> Transformer:
        """The model before training, in the frozen matrices that a LoRA adapter leaves as they were."""
        layers = [
            replace(
                layer,
                qkv=BaseLinear(layer.qkv),
                output=BaseLinear(layer.output),
                gate_up=BaseLinear(layer.gate_up),
                down=BaseLinear(layer.down),
            )
            for layer in self.transformer.layers
        ]
        return replace(self.transformer, layers=layers)

    def hidden(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """Hidden states (n, h) of n rows, differentiable in all that is trained."""
        if self.mask_row is None:
            x = F.embedding(token_ids, self.causal_lm.model.embed_tokens.weight).to(self.dtype)
        else:  # gradients to one row, not to a table
            frozen = F.embedding(token_ids, self.embedding)
            x = torch.where((token_ids == self.mask_token_id)[:, None], self.mask_row.to(self.dtype), frozen)
        return self.transformer.run(x, positions, attend)

    def head_weight(self) -> Tensor:
        """(V, h) in the compute dtype; with LoRA frozen, the mask token's row up to date where the weights are tied."""
        weight: Tensor = self.head if self.lora else self.causal_lm.lm_head.weight.to(self.dtype)
        return weight

    def trained_head_row(self) -> tuple[int | None, Tensor | None]:
        """The mask token's id and row, (h,), where the frozen head shares that row with the embedding."""
        return (self.mask_token_id, self.mask_row[0]) if self.mask_row is not None and self.tied else (None, None)
