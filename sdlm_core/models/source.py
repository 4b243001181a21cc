"""Where a model's parts lie: a name, a folder or a hub id becomes folders on this machine. No weight is read here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdlm_core.errors import SDLMError
from sdlm_core.models import builtin

SDLM_CONFIG = "sdlm_config.json"  # beside an adapter: its base, and what config.json says of an SDLM checkpoint
BUILTIN_BASE = "builtin-base"


@dataclass(frozen=True)
class Source:
    """Where a model's parts lie. `adapter` is None for a whole checkpoint; `facts` is what makes it an SDLM."""

    name: str
    weights: Path
    adapter: Path | None
    config: dict[str, Any]
    facts: dict[str, Any]


def find_source(name: str, weights: bool = True) -> Source:
    """Resolve a name to folders, fetching what is not there yet; from the hub, `weights` only if wanted."""
    folder = builtin.ensure_adapter() if name == "builtin" else find_folder(name, weights)
    if (folder / "adapter_config.json").exists():
        facts = read_json(folder / SDLM_CONFIG)
        base = facts.get("base", BUILTIN_BASE)
        whole = builtin.ensure_base() if base == BUILTIN_BASE else find_folder(str(base), weights)
        return Source(name, whole, folder, read_json(whole / "config.json"), facts)
    config = read_json(folder / "config.json")
    return Source(name, folder, None, config, config)


def find_folder(name: str, weights: bool = True) -> Path:
    """A local folder as it is; a hub id as its folder in the hub's cache, fetched if need be, `weights` if wanted."""
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").exists() and not (path / "adapter_config.json").exists():
            raise SDLMError(
                f"The folder {name!r} holds neither config.json nor adapter_config.json, so it is not a checkpoint."
            )
        return path
    if path.exists():
        raise SDLMError(f"{name!r} is a file; give the checkpoint's folder.")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise SDLMError(
            f'There is no folder {name!r}. Give "builtin", the folder of a checkpoint, or a hub id such as '
            '"OpenGVLab/SDLM-3B-D4".'
        )
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.txt", "*.model", "*.jinja"] + ["*.safetensors"] * weights
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # the hub's client raises a dozen kinds, and each means the same to the user
        raise SDLMError(
            f"There is no folder {name!r}, and the model hub gave no model of that name: {first_line(error)} "
            "Check the name and the network, or give the folder of a downloaded checkpoint."
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; SDLMError where it is missing or not one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SDLMError(f"The file {str(path)!r} is missing, so this is not a complete checkpoint.") from None
    except ValueError:
        raise SDLMError(f"The file {str(path)!r} is not valid JSON.") from None
    if not isinstance(data, dict):
        raise SDLMError(f"The file {str(path)!r} must hold a JSON object.")
    return data


def first_line(error: Exception) -> str:
    """The first line of an error's text, for a sentence of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
