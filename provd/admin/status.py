"""`GET /status`: how the server is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import bottle


def make_app(status: Callable[[], dict[str, Any]]) -> bottle.Bottle:
    """The administration door's application; `status` gives the answer as a JSON object."""
    app = bottle.Bottle()

    def get_status() -> str:
        bottle.response.content_type = "application/json"
        return f"{json.dumps(status(), indent=2)}\n"

    app.route("/status", "GET", get_status)
    app.default_error_handler = _plain_error
    return app


def _plain_error(error: bottle.HTTPError) -> str:
    """Errors as a line of text, not as a page."""
    bottle.response.content_type = "text/plain; charset=utf-8"
    return f"{error.status_line}\n"
