"""What a run leaves on disk: the model so far, a log, and a checkpoint to resume from. All written whole or not at all.

A checkpoint is safetensors and JSON: loading one runs no code from it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sdlm_core.errors import SDLMError
from sdlm_core.jsonl import read_records
from sdlm_core.retrofit.config import RetrofitConfig

MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # AdamW's state of one parameter


class Saver:
    """Writes the trained model, as an adapter or as a whole checkpoint, and appends to the log."""

    def __init__(
        self, folder: Path, config: RetrofitConfig, model: nn.Module, tokenizer: Any, mask_token_id: int, lora: bool
    ) -> None:
        self.folder = folder
        self.model: Any = model
        self.tokenizer = tokenizer
        self.lora = lora
        base = Path(config.model)  # which the adapter names, from wherever it will be loaded
        self.base_name = config.base_name or (str(base.resolve()) if base.is_dir() else config.model)
        self.sdlm = {
            "block_size": config.block_size,
            "causal_attn": config.causal_attn,
            "text_mask_token": config.mask_token,
            "text_mask_token_id": mask_token_id,
        }

    def log(self, record: dict[str, Any]) -> None:
        with (self.folder / "training_log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def rewind_log(self, step: int) -> None:
        """Forget what a killed run logged after `step`, its last checkpoint: those steps are made again."""
        path = self.folder / "training_log.jsonl"
        kept = [record for record in read_records(path) if record["step"] <= step]
        fresh = path.with_suffix(".tmp")
        fresh.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        fresh.replace(path)

    def save_model(self) -> None:
        """adapter/ with sdlm_config.json in it, or model/ with the same four settings in its config.json."""
        if self.lora:
            replace_folder(self.folder / "adapter", self._write_adapter)
        else:
            replace_folder(self.folder / "model", self._write_full)

    def _write_adapter(self, folder: Path) -> None:
        self.model.peft_config["default"].base_model_name_or_path = self.base_name
        self.model.save_pretrained(folder, save_embedding_layers=False)
        weights = folder / "adapter_model.safetensors"
        save_file({k: v.to(torch.bfloat16) for k, v in load_file(weights).items()}, weights, {"format": "pt"})
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        text = json.dumps({"base": self.base_name, **self.sdlm}, indent=2) + "\n"
        (folder / "sdlm_config.json").write_text(text, encoding="utf-8")

    def _write_full(self, folder: Path) -> None:
        for key, value in self.sdlm.items():
            setattr(self.model.config, key, value)
        state = {k: v.to(torch.bfloat16) for k, v in self.model.state_dict().items()}
        self.model.config.dtype = torch.bfloat16
        self.model.save_pretrained(folder, state_dict=state)
        self.tokenizer.save_pretrained(folder)


def has_checkpoint(folder: Path) -> bool:
    return any((folder / name / "state.json").is_file() for name in ("checkpoint", "checkpoint.old"))


def save_checkpoint(
    folder: Path,
    trained: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
) -> None:
    """Float32 master weights, AdamW's moments and `state`: where the data and the clock stand, and the settings."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in trained.items():
        tensors[f"weight/{name}"] = parameter.detach().contiguous().clone()
        for key in MOMENTS:
            tensors[f"{key}/{name}"] = optimizer.state[parameter][key].detach().contiguous().clone()

    def write(into: Path) -> None:
        save_file(tensors, into / "state.safetensors")
        (into / "state.json").write_text(json.dumps(state), encoding="utf-8")

    replace_folder(folder / "checkpoint", write)


def load_checkpoint(folder: Path, trained: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Put weights and moments back and return the state that was saved."""
    if not has_checkpoint(folder):
        raise SDLMError(f"{folder} holds no checkpoint to resume from. Start without --resume.")
    source = folder / "checkpoint"
    if not (source / "state.json").is_file():  # stopped between the two renames
        source = folder / "checkpoint.old"
    tensors = load_file(source / "state.safetensors")
    expected = {f"weight/{name}": parameter.shape for name, parameter in trained.items()}
    found = {name: tensor.shape for name, tensor in tensors.items() if name.startswith("weight/")}
    if expected != found:
        raise SDLMError(f"The checkpoint in {folder} has other weights than this model and rank; use those it had.")
    for name, parameter in trained.items():
        parameter.data.copy_(tensors[f"weight/{name}"])
        optimizer.state[parameter] = {key: tensors[f"{key}/{name}"].to(parameter.device) for key in MOMENTS}
    state: dict[str, Any] = json.loads((source / "state.json").read_text(encoding="utf-8"))
    return state


def replace_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Fill a new folder, then let it take `folder`'s name: a reader never sees half of it."""
    fresh, old = folder.with_name(folder.name + ".tmp"), folder.with_name(folder.name + ".old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    write(fresh)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
