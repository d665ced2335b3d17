"""The whole application without its doors: a real store, real plugins, a real security log, all below one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent

from provd.model.dhcp_event import COMMIT, DhcpEvent
from provd.model.request import HttpRequest, TftpRequest
from provd.plugins.files import OpenFile, Problem
from provd.plugins.host import PluginHost
from provd.provisioning.application import Application
from provd.security.log import SecurityLog
from provd.store.schema import CONFIGS, DEVICES, RENDERINGS, SCHEMA
from provd.store.store import Store

from ..plugins.sample import PLUGIN_ID
from ..store.steered import SteeredBackend, wait_until

BASE = {"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69, "http_base_url": "http://192.0.2.10:8667"}
LINE = {"username": "u1", "password": "p1", "display_name": "One", "proxy_ip": "192.0.2.10"}

MAC = "00:08:5d:00:00:01"
OTHER_MAC = "00:08:5d:00:00:02"
OWN = "Sample/00085D000001.cfg"
OTHERS = "Sample/00085D000002.cfg"

Reply = bytes | Problem


def phone(
    path: str = OWN, *, address: str = "192.0.2.101", mac: str | None = MAC, model: str = "S100", version: str = "1.0"
) -> HttpRequest:
    """What a Sample phone asks; without a MAC address its User-Agent says nothing."""
    agent = f"Sample {model} {mac} {version}" if mac else "Mozilla/5.0"
    return HttpRequest(address, path, headers={"user-agent": agent})


def phone_number(number: int, path: str | None = None) -> HttpRequest:
    """What the n-th of many phones asks; by default for its own file."""
    mac = f"00:08:5d:00:{number // 256:02x}:{number % 256:02x}"
    own = f"Sample/{mac.replace(':', '').upper()}.cfg"
    return phone(path or own, address=f"192.0.{number // 250}.{number % 250 + 1}", mac=mac)


def lease(
    address: str = "192.0.2.101",
    mac: str | None = MAC,
    *,
    op: str = COMMIT,
    vendor_class: str | None = "Sample S100",
    time_ns: int | None = None,
) -> DhcpEvent:
    """What the DHCP server tells, by default that a Sample phone was given an address."""
    options = {60: vendor_class.encode()} if vendor_class and op == COMMIT else {}
    return DhcpEvent(op, address, mac, options, time_ns)


def own_config(config_id: str, username: str = "u1", **more: Any) -> dict[str, Any]:
    """A config with one line."""
    raw = {"sip_lines": {"1": {**LINE, "username": username}}}
    return {"id": config_id, "parent_ids": [], "raw_config": raw, **more}


class House:
    """An application that can be closed, be killed, and be opened again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugins_folder = folder / "plugins"
        self.plugins_folder.mkdir(exist_ok=True)
        self.is_open = False
        self.open()

    def open(self, base: dict[str, Any] | None = None, **more: Any) -> None:
        """Start as the server does."""
        base = {**BASE, **(base or {})}
        self.backend = SteeredBackend(self.folder / "provd.db")
        self.store = Store(self.backend, SCHEMA)
        self.host = PluginHost(self.plugins_folder)
        self.host.load_all(base)
        self.security_log = SecurityLog(self.folder / "security.log")
        self.app = Application(self.store, self.host, self.security_log, base, **more)
        self.app.begin()
        self.devices, self.configs, self.renderings = (
            self.store.collection(name) for name in (DEVICES, CONFIGS, RENDERINGS)
        )
        self.is_open = True

    def close(self) -> None:
        """Stop as the server does."""
        if self.is_open:
            self.is_open = False
            self.backend.gate.open()
            self.app.end()
            self.store.close()
            self.security_log.close()

    def kill(self, *greenlets: gevent.Greenlet) -> None:
        """Leave all files as they are after a kill; `greenlets` were at work."""
        contents = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        gevent.killall(greenlets)
        self.close()
        for path in self.folder.rglob("*"):
            if path.is_file() and path not in contents:
                path.unlink()
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def wait_for_recheck(self, seconds: float = 5.0) -> None:
        """Wait until all devices' files were looked at, the last one's included."""
        recheck = self.app.recheck
        wait_until(lambda: not len(recheck) and not recheck._worker, seconds)

    # --- phones

    def ask(self, request: HttpRequest | TftpRequest) -> Reply:
        """The answer, as a door gets it."""
        reply = self.app.phones.quick(request)
        return _ended(request, self.app.phones.handle(request) if reply is None else reply)

    def ask_quick(self, request: HttpRequest | TftpRequest) -> Reply | None:
        """The answer that needs no waiting, if there is one."""
        reply = self.app.phones.quick(request)
        return None if reply is None else _ended(request, reply)

    def told(self, *events: DhcpEvent) -> str:
        """Have the DHCP server tell of leases, one after the other; returns what came of the last one."""
        for event in events:
            self.app.leases.handle(event)
        return str(self.app.decisions.latest(1)[0]["result"])

    # --- what is there

    def root(self, plugin_id: str = PLUGIN_ID) -> Path:
        return self.plugins_folder / plugin_id / "var/tftpboot"

    def files(self, plugin_id: str = PLUGIN_ID) -> dict[str, str]:
        """The phones' own files of a plugin, by path."""
        root = self.root(plugin_id)
        paths = [path for path in sorted(root.rglob("*")) if path.is_file() and path.name != "common.cfg"]
        return {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in paths}

    def the_device(self) -> dict[str, Any]:
        """The only device."""
        (device,) = self.devices.documents()
        return device

    def device_of(self, mac: str) -> dict[str, Any] | None:
        """The only device with a MAC address, if there is one."""
        found = self.devices.find("mac", mac)
        assert len(found) <= 1
        return self.devices.get(found[0]) if found else None

    def addresses(self) -> dict[str, str | None]:
        """The address of each device, by MAC address."""
        return {device.get("mac", device["id"]): device.get("ip") for device in self.devices.documents()}

    def security_lines(self, first_words: str = "") -> list[str]:
        """The lines of the security log without their times."""
        lines = (self.folder / "security.log").read_text(encoding="utf-8").splitlines()
        messages = [line.partition("] ")[2] for line in lines]
        return [message for message in messages if message.startswith(first_words)]


def _ended(request: HttpRequest | TftpRequest, reply: OpenFile | Problem) -> Reply:
    """The content of a reply that has been sent."""
    assert request.decision is not None
    request.decision.end(reply.name if isinstance(reply, Problem) else "complete")
    if isinstance(reply, Problem):
        return reply
    try:
        return reply.read_all()
    finally:
        reply.close()
