"""The built-in model in bfloat16: faster settings and company change no token of what it says."""

from __future__ import annotations

import json

import pytest
import torch

import sdlm_core
from sdlm_core import DecodeConfig
from sdlm_core.errors import SDLMError
from tools.lossless import EQUAL, PROMPTS, settings
from tools.together import together

ROWS_ARE_EXACT = torch.cpu._is_avx512_bf16_supported() and not torch.cpu._is_amx_tile_supported()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ROWS_ARE_EXACT, reason="here a bfloat16 product's rows depend on how many they are"),
]


@pytest.fixture(scope="module")
def builtin() -> sdlm_core.LanguageModel:
    try:
        return sdlm_core.load_model("builtin", device="cpu", dtype="bfloat16")
    except SDLMError as error:
        pytest.skip(f"the built-in model is not here: {error}")


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    """One longer than the others, so that in company none is at the place it has alone."""
    lines = PROMPTS.read_text().splitlines()
    own: list[str] = [json.loads(line)["prompt"] for line in lines[:4]]
    return [*own, " ".join(json.loads(line)["prompt"] for line in lines[4:14])]


@pytest.mark.parametrize("name", EQUAL)
def test_self_speculative_says_what_one_token_a_pass_says(
    builtin: sdlm_core.LanguageModel, prompts: list[str], name: str
) -> None:
    fast, slow = settings(40)[name], settings(40)[EQUAL[name]]
    for prompt in prompts:
        found = sdlm_core.decode(builtin, prompt, fast)
        assert found.token_ids == sdlm_core.decode(builtin, prompt, slow).token_ids
        assert len(found.passes) < len(found.token_ids)


@pytest.mark.parametrize("config", [DecodeConfig(max_new_tokens=32), settings(32)["self-speculative, auto"]])
def test_company_changes_nothing(builtin: sdlm_core.LanguageModel, prompts: list[str], config: DecodeConfig) -> None:
    alone = [sdlm_core.decode(builtin, prompt, config).token_ids for prompt in prompts]
    assert [run.token_ids for run in together(builtin, prompts, config)] == alone
