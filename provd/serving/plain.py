"""Plain sockets, for doors that wait on the hub's watchers themselves instead of letting gevent's sockets wait."""

from __future__ import annotations

import socket

from gevent.monkey import get_original

READ = 1
"""libev's EV_READ: the hub's watcher waits until the socket can be read."""
WRITE = 2
"""libev's EV_WRITE: it waits until the socket takes more."""

PlainSocket = get_original("socket", "socket")
"""The standard library's socket class, whatever the monkey patching made of `socket.socket`."""


def adopt_socket(descriptor: int) -> socket.socket:
    """A plain socket for an inherited descriptor."""
    plain: socket.socket = PlainSocket(fileno=descriptor)
    return plain
