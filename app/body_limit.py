"""How large a request to the page may be.

Gradio limits uploads only; any other request it would read whole, and parse in the event loop that serves all visitors.
"""

from __future__ import annotations

from starlette.types import ASGIApp

from app import limits
from sdlm_core.serve.http import body_limit

MAX_BODY = limits.MAX_BODY_MB * 1024 * 1024  # bytes
TOO_LARGE = body_limit.too_large(MAX_BODY)


class BodyLimit(body_limit.BodyLimit):
    """Middleware that answers 413 to a body of more than MAX_BODY, whether its length was announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, MAX_BODY)
