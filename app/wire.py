"""Events as the browser reads them: one JSON object each, with a "kind". Nothing else encodes events.

waiting: position, model
start:   lane, head (the trace without its passes)
passes:  lane, passes
end:     lane, tail (what the trace's end adds), last, shared_pass
failed:  message
"""

from __future__ import annotations

import json
from typing import Any

from app.events import End, Event, Passes, Start, Waiting


def encode(event: Event) -> str:
    """The event as one JSON object."""
    return json.dumps(_as_dict(event), ensure_ascii=False, separators=(",", ":"))


def _as_dict(event: Event) -> dict[str, Any]:
    if isinstance(event, Waiting):
        return {"kind": "waiting", "position": event.position, "model": event.model}
    if isinstance(event, Start):
        head = {key: value for key, value in event.head.to_dict().items() if key != "passes"}
        return {"kind": "start", "lane": event.lane, "head": head}
    if isinstance(event, Passes):
        return {"kind": "passes", "lane": event.lane, "passes": [p.to_dict() for p in event.passes]}
    if isinstance(event, End):
        trace = event.trace
        tail = {"text": trace.text, "token_ids": list(trace.token_ids), "finish_reason": trace.finish_reason}
        return {"kind": "end", "lane": event.lane, "tail": tail, "last": event.last, "shared_pass": event.shared_pass}
    return {"kind": "failed", "message": event.message}
