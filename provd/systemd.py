"""What systemd gives a service, and what it wants to hear: sockets, readiness, status, watchdog."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

import sdnotify

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)


def inherited_descriptors(environment: MutableMapping[str, str] = os.environ) -> list[tuple[str, int]]:
    """The sockets that systemd opened for this process: name and descriptor (sd_listen_fds(3)).

    The variables are removed, so that no child process takes them for its own.
    """
    pid, count, names = (environment.pop(f"LISTEN_{key}", "") for key in ("PID", "FDS", "FDNAMES"))
    if pid != str(os.getpid()) or not (count.isascii() and count.isdecimal()):
        return []
    known = names.split(":") if names else []
    descriptors = range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count))
    found = []
    for position, descriptor in enumerate(descriptors):
        os.set_inheritable(descriptor, False)
        found.append((known[position] if position < len(known) else "", descriptor))
    return found


def watchdog_interval_s(environment: MutableMapping[str, str] = os.environ) -> float | None:
    """How often the service must say that it is alive, in seconds; None if nobody listens (sd_watchdog_enabled(3))."""
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (usec.isascii() and usec.isdecimal()) or int(usec) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(usec) / 1_000_000


class Notifier:
    """Tells systemd how the service is (sd_notify(3)); does nothing where there is no systemd."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()

    def ready(self, status: str) -> None:
        """Every door listens."""
        self._notifier.notify(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """A line for `systemctl status`."""
        self._notifier.notify(f"STATUS={status}")

    def stopping(self, may_take_s: float = 0.0) -> None:
        """The service is ending, and that may take some seconds, whatever TimeoutStopSec= says."""
        extension = f"\nEXTEND_TIMEOUT_USEC={may_take_s * 1_000_000:.0f}" if may_take_s else ""
        self._notifier.notify(f"STOPPING=1\nSTATUS=stopping{extension}")

    def alive(self) -> None:
        """The watchdog may wait for another interval."""
        self._notifier.notify("WATCHDOG=1")
