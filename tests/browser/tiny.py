"""A tiny SDLM checkpoint with random weights, made in a second: enough to decode, stream and draw."""

from __future__ import annotations

import json
from pathlib import Path

CORPUS = [
    "The sky is blue because air scatters short waves of light more than long ones.",
    "A model guesses several tokens in one pass and keeps the prefix it is sure of.",
    "One, two, three, four: count the passes, not the tokens. Why? Because each pass costs time.",
]
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<mask>"]


def make_checkpoint(folder: Path, block_size: int = 8, sampler: bool = False) -> Path:
    """Write a Llama checkpoint with an SDLM's facts in its config. sampler: and a random one that changes guesses."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 20, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", chat_template=CHAT)
    fast.save_pretrained(folder)

    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.6,
        eos_token_id=fast.convert_tokens_to_ids("<|im_end|>"),
        bos_token_id=None,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    model.model.embed_tokens.weight.data[config.eos_token_id] = 0  # an answer ends where the test wants it to
    model.save_pretrained(folder)
    path = folder / "config.json"
    facts = json.loads(path.read_text())
    facts.update(block_size=block_size, causal_attn=False, text_mask_token_id=fast.convert_tokens_to_ids("<mask>"))
    path.write_text(json.dumps(facts))
    if sampler:
        _add_sampler(folder, config.hidden_size, block_size)
    return folder


def _add_sampler(folder: Path, hidden: int, block_size: int) -> None:
    import torch

    from sdlm_core.models.sampler import Sampler, save_sampler

    torch.manual_seed(3)
    sampler = Sampler(hidden=hidden, width=12, block_size=block_size)
    with torch.no_grad():
        sampler.output.normal_(std=0.5)
    save_sampler(sampler, folder)
