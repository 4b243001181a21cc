"""Files of one JSON object a line: what a kill may leave of them, and what a text may hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdlm_core import SDLMError
from sdlm_core.jsonl import read_lines, read_records

TEXTS = ["one\u2028two\u2029three\x85four", "日本語", "end"]


def test_a_text_keeps_the_separators_that_python_would_cut_at(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in TEXTS), encoding="utf-8")
    assert [r["text"] for r in read_records(path)] == TEXTS
    assert [json.loads(line)["text"] for line in read_lines(path) if line] == TEXTS


def test_a_line_cut_anywhere_is_taken_off_the_file(tmp_path: Path) -> None:
    whole = json.dumps({"text": TEXTS[0]}, ensure_ascii=False).encode() + b"\n"
    torn = json.dumps({"text": TEXTS[1]}, ensure_ascii=False).encode()
    path = tmp_path / "a.jsonl"
    for end in range(len(torn) + 1):  # in the middle of a character too
        path.write_bytes(whole + torn[:end])
        assert read_records(path) == [{"text": TEXTS[0]}]
        assert path.read_bytes() == whole
    assert read_records(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("content", [b"no json\n", b"[1]\n", b'{"a": 1}\n\xff\n', b"\n", b'{"a": 1}', b"hello\nworld"])
def test_another_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(SDLMError, match="not written by this command"):
        read_records(path)
    assert path.read_bytes() == content
