"""JSON Lines files: data, and the records of long runs, which may have been killed in the middle of a line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sdlm_core.errors import SDLMError


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file. `str.splitlines` would also cut at the separators that JSON leaves inside a text."""
    return path.read_text(encoding="utf-8").split("\n")


def read_records(path: Path) -> list[dict[str, Any]]:
    """The objects that an earlier run wrote, none where there is no file. A last line that was not finished is removed
    from the file. SDLMError where it holds anything else: such a file is left alone."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    try:
        records = [json.loads(line) for line in whole.split(b"\n")[:-1]]
    except ValueError:  # UnicodeDecodeError is one
        records = [None]
    if (data and not whole) or not all(isinstance(record, dict) for record in records):
        raise SDLMError(f"{str(path)!r} was not written by this command. Give another --output, or remove it.")
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return records
