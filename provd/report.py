"""What the server says of itself: `GET /status`, and the line of `systemctl status`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from provd import __version__
from provd.doors import describe_address
from provd.logs import last_error
from provd.provisioning.application import Application
from provd.provisioning.nat_advice import nat_support
from provd.serving.dhcp import DhcpDoor
from provd.serving.http import HttpDoor
from provd.serving.tftp import TftpDoor
from provd.store.schema import CONFIGS, DEVICES, UNFINISHED

_MOST_SHOWN = 20


class Report:
    """Looks at the running parts."""

    def __init__(
        self, app: Application, tftp: TftpDoor, http: HttpDoor, dhcp: DhcpDoor, admin_addresses: list[Any]
    ) -> None:
        self._app = app
        self._tftp = tftp
        self._http = http
        self._dhcp = dhcp
        self._admin_addresses = admin_addresses
        self._started = time.monotonic()

    def listening(self) -> dict[str, list[str]]:
        """Where each door listens."""
        doors = {"tftp": self._tftp.addresses, "http": self._http.addresses, "dhcp": self._dhcp.addresses,
                 "admin": self._admin_addresses}  # fmt: skip
        return {name: [describe_address(address) for address in addresses] for name, addresses in doors.items()}

    def line(self) -> str:
        """The most important figures, on one line."""
        devices = len(self._app.store.collection(DEVICES))
        error = last_error()
        line = f"{devices} phones, {self._tftp.transfers} transfers, {self._http.connections} connections"
        return f"{line}; last error: {error.message}".replace("\n", " ") if error else line

    def as_json(self) -> dict[str, Any]:
        """Everything, as `GET /status` answers."""
        listening, error = self.listening(), last_error()
        return {
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._started, 1),
            "doors": {
                "tftp": {
                    "listening": listening["tftp"],
                    "transfers": self._tftp.transfers,
                    **self._tftp.counters,
                },
                "http": {
                    "listening": listening["http"],
                    "connections": self._http.connections,
                    **self._http.counters,
                },
                "dhcp": {
                    "listening": listening["dhcp"],
                    "users": self._dhcp.users,
                    **(self._dhcp.counters + self._app.leases.counters),
                },
                "admin": {"listening": listening["admin"]},
            },
            "nat": self._app.nat.is_on,
            "nat_support": nat_support(self._app.host),
            "admission": {"unclaimed_devices": self._app.unclaimed(), "refused": dict(self._app.admission.refused)},
            "counts": self._counts(),
            "plugins": self._plugins(),
            "store": {
                "failure": self._app.store.failure,
                "queued": self._app.store.queued,
                "unreadable": self._app.store.unreadable,
                "unchecked_devices": len(self._app.recheck),
            },
            "unconfigured": self._unconfigured(),
            "last_error": {"time": _iso_time(error.time), "message": error.message} if error else None,
        }

    def _counts(self) -> dict[str, int]:
        return {
            "devices": len(self._app.store.collection(DEVICES)),
            "unconfigured": self._app.store.collection(DEVICES).count("state", UNFINISHED),
            "configs": len(self._app.store.collection(CONFIGS)),
            "plugins": sum(plugin.loaded is not None for plugin in self._app.host.installed.values()),
            **self._app.phones.counters,
        }

    def _unconfigured(self) -> list[dict[str, Any]]:
        """Some of the devices that have a plugin and a config, but whose files could not be made, and why."""
        devices = self._app.store.collection(DEVICES)
        found = [devices.get(device_id) or {} for device_id in devices.find("state", UNFINISHED)[:_MOST_SHOWN]]
        return [{key: device.get(key) for key in ("id", "mac", "ip", "plugin", "configure_error")} for device in found]

    def _plugins(self) -> dict[str, Any]:
        return {
            plugin.id: {
                "version": plugin.loaded.info.version if plugin.loaded else None,
                "error": plugin.error,
                "failures": self._app.host.failures[plugin.id],
            }
            for plugin in self._app.host.installed.values()
        }


def _iso_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
