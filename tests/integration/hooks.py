"""What plays the DHCP server's hook: messages to the server's socket."""

from __future__ import annotations

import array
import os
import socket
import time
from pathlib import Path

OPTION_60 = "060" + ".".join(f"{byte:x}" for byte in b"AastraIPPhone6731i")


def commit(address: str, mac: str, *options: str) -> str:
    """A lease that was given."""
    return "\n".join(["commit", address, mac, *options])


def ended(op: str, address: str, *mac: str) -> str:
    """A lease that was given back (`release`) or has run out (`expiry`)."""
    return "\n".join([op, address, *mac])


def tell(path: Path, *events: str, time_ns: int | None = None, uid: int | None = None) -> None:
    """Send events in one message, now unless a time is given; as another user if this is root."""
    message = f"@{time.monotonic_ns() if time_ns is None else time_ns}\n" + "\n\n".join(events)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hook:
        ancillary = []
        if uid is not None:
            credentials = array.array("i", [os.getpid(), uid, 0]).tobytes()
            ancillary = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)]
        hook.sendmsg([message.encode()], ancillary, 0, str(path))
