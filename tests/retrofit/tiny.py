"""Tiny models, a byte tokenizer with a chat template, and data files for the retrofit's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from sdlm_core.retrofit.collate import Batch, Collator, pack
from sdlm_core.retrofit.data import Conversation

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END_ID, MASK_ID = 2, 3
VOCABULARY = 300


def tokenizer(end: str = "<|im_end|>") -> PreTrainedTokenizerFast:
    """Bytes, and four special tokens: <|im_start|>, <|im_end|>, an unknown one and <mask>. end: its end token, which
    need not be the template's, as in a base checkpoint."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<unk>", "<|im_start|>", "<|im_end|>", "<mask>"]
    core = Tokenizer(models.BPE({t: i for i, t in enumerate(special + letters)}, [], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(special)
    fast = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<|im_start|>", eos_token=end, unk_token="<unk>")
    fast.chat_template = TEMPLATE
    return fast


def model(kind: str = "llama", seed: int = 0, tied: bool = True, layers: int = 2) -> Any:
    """Float32, 2 layers, hidden 64, 4 query heads on 2 key heads."""
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": tied,
        "initializer_range": 0.1,
    }
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(**sizes))
    made = Qwen2ForCausalLM(Qwen2Config(**sizes))
    with torch.no_grad():
        for layer in made.model.layers:  # Qwen2's biases start at zero; give them something to do
            for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
                projection.bias.normal_(std=0.1)
    return made


def folder(path: Path, kind: str = "llama", tied: bool = True) -> Path:
    """A model folder as from_pretrained reads it."""
    model(kind, tied=tied).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def jsonl(path: Path, pairs: list[tuple[str, str]]) -> Path:
    lines = [
        json.dumps({"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]}) for q, a in pairs
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def batch(block_size: int = 4, text_labels: bool = False) -> Batch:
    """Three sequences of different lengths, the second with two turns, of random tokens."""
    generator = torch.Generator().manual_seed(1)
    collator = Collator(block_size, MASK_ID, block_density=0.5, max_blocks=6, text_labels=text_labels)
    parts = []
    for length, turns in ((30, [(8, 30)]), (41, [(5, 15), (25, 40)]), (12, [(3, 9)])):
        ids = torch.randint(4, VOCABULARY, (length,), generator=generator).tolist()
        conversation = Conversation(ids, turns, "all")
        parts.append(collator.sequence(conversation, collator.draw_starts(conversation, generator)))
    return pack(parts)
