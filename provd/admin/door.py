"""The administration door: Bottle on gevent's pywsgi, for this machine only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

log = logging.getLogger(__name__)

_MAX_CONNECTIONS = 256
"""Further connections wait until one of these ends."""


class AdminDoor:
    """Serves a WSGI application on a listening socket, which it owns from now on."""

    def __init__(self, listener: Any, app: Callable[..., Any]) -> None:
        self._listener = listener
        self._server = WSGIServer(
            listener, app, spawn=Pool(_MAX_CONNECTIONS), log=None, error_log=logging.getLogger(f"{__name__}.wsgi")
        )

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def stop(self) -> None:
        """Stop at once; administrators ask again."""
        self._server.stop(timeout=1)

    @property
    def addresses(self) -> list[Any]:
        """Where the door listens."""
        return [self._listener.getsockname()]
