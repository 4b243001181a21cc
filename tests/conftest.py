"""Small random checkpoints in the real formats, made on the spot: no test needs a model hub or the built-in weights."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Tiny matrices: a second thread only waits for the first. Before torch is imported, since OpenMP reads it once, and for
# every thread: torch.set_num_threads would speak for the calling one alone.
os.environ["OMP_NUM_THREADS"] = "1"

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import sdlm_core
from sdlm_core.models.sampler import Sampler

CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<text_mask>"]
END_OF_TEXT, IM_START, IM_END, MASK = range(4)


@pytest.fixture
def command() -> Any:
    """The module app.py, beside the package of the same name."""
    spec = importlib.util.spec_from_file_location("command", Path(__file__).parents[1] / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder what is slow as a whole: pages in a browser, a whole app under load, an installed wheel. Where
    many passes are decoded or trained, the first case of a test is quick and the others are slow."""
    tests = Path(__file__).parent
    seen: set[str] = set()
    for item in items:
        folder = item.path.relative_to(tests).parts[0]
        if folder == "browser":
            item.add_marker("browser")
        elif folder in ("bench", "examples", "tools") or item.path.name == "test_wheel.py":
            item.add_marker("slow")
        elif folder in ("decoding", "evaluate", "execution", "retrofit", "serve"):
            test = item.nodeid.split("[")[0]
            if test in seen:
                item.add_marker("slow")
            seen.add(test)


def make_tokenizer() -> Any:
    """A byte-level BPE tokenizer of about 300 tokens: any text, emoji included, round-trips through it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = ["the cat sat on the mat and the dog sat on the log", "one two three four five six seven eight nine ten"] * 4
    tokenizer.train_from_iterator(text, trainer)
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def make_checkpoint(
    folder: Path,
    kind: str = "qwen2",
    tied: bool = True,
    block_size: int | None = 4,
    causal_attn: bool = False,
    seed: int = 0,
    **sizes: Any,
) -> Path:
    """A random checkpoint with the official ones' config: remote code named, `casual_attn` so spelled."""
    tokenizer = make_tokenizer()
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": tied,
        "initializer_range": 0.35,  # large, so that a random model is sometimes sure of itself
        "bos_token_id": END_OF_TEXT,
        "eos_token_id": IM_END,
        "pad_token_id": END_OF_TEXT,
        **sizes,
    }
    configs = {
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
        "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    }
    if kind == "qwen3":
        settings.setdefault("head_dim", 16)  # not hidden / heads
    config_class, model_class = configs[kind]
    torch.manual_seed(seed)
    model = model_class(config_class(**settings))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.3)
            elif "norm" in name:
                parameter.uniform_(0.5, 1.5)
    model.generation_config.eos_token_id = [IM_END, END_OF_TEXT]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    if block_size is not None:
        config.update(
            architectures=["SDLMQwen2ForCausalLM"],
            auto_map={"AutoModelForCausalLM": "modeling_sdlm.SDLMQwen2ForCausalLM"},
            block_size=block_size,
            casual_attn=causal_attn,
            text_mask_token="<text_mask>",
            text_mask_token_id=MASK,
        )
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def random_sampler(block_size: int = 6, seed: int = 3) -> Sampler:
    """For a random checkpoint, with weights large enough to change what follows a guess."""
    torch.manual_seed(seed)
    sampler = Sampler(hidden=32, width=12, block_size=block_size)
    with torch.no_grad():
        sampler.output.normal_(std=0.5)
        sampler.bias.normal_()
        sampler.scale.uniform_(0.8, 1.2)
    return sampler.requires_grad_(False).eval()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make_checkpoint` in a folder of its own, made once for the same arguments."""
    made: dict[str, Path] = {}

    def get(**settings: Any) -> Path:
        key = json.dumps(settings, sort_keys=True)
        if key not in made:
            made[key] = make_checkpoint(tmp_path_factory.mktemp("checkpoint"), **settings)
        return made[key]

    return get


@pytest.fixture(scope="session")
def load(checkpoint: Callable[..., Path]) -> Callable[..., sdlm_core.LanguageModel]:
    """A random model, loaded in float32 on the CPU, once for the same arguments."""
    loaded: dict[str, sdlm_core.LanguageModel] = {}

    def get(**settings: Any) -> sdlm_core.LanguageModel:
        key = json.dumps(settings, sort_keys=True)
        if key not in loaded:
            loaded[key] = sdlm_core.load_model(str(checkpoint(**settings)), device="cpu", dtype="float32")
        return loaded[key]

    return get
