"""The corpus of real requests in `tests/fixtures/requests.jsonl`, as the doors would hand them to plugins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from provd.model.identity import Identity
from provd.model.request import DhcpLease, HttpRequest, TftpRequest
from provd.plugins.api import Plugin

from .syntax import Request

CORPUS = Path(__file__).parents[1] / "fixtures" / "requests.jsonl"

MAC_OF_NOBODY = "00:00:5e:00:53:01"
"""A documentation address (RFC 7042): no vendor can be told from it."""

AMBIGUOUS = {"/6869i.cfg"}
"""A scanner asked for them, but a phone asks in the very same way: vendor and model may be told, no address."""


@dataclass(frozen=True)
class Sample:
    """A request, the family of who sent it, and what can be told from it."""

    family: str
    request: Request
    path: str | None
    expect: dict[str, str]

    @property
    def ambiguous(self) -> bool:
        """The sender is no phone, but what it sent is what a phone sends."""
        return self.family == "none" and self.path in AMBIGUOUS


def samples() -> Iterator[Sample]:
    """All requests of the corpus."""
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        expect = {key: value for key, value in (entry["expect"] or {}).items() if value is not None}
        yield Sample(entry["family"], _request(entry), entry["path"], expect)


def identify(plugin: Plugin, request: Request) -> Identity | None:
    """Ask a plugin what a request says."""
    if isinstance(request, HttpRequest):
        return plugin.identify_http(request)
    if isinstance(request, TftpRequest):
        return plugin.identify_tftp(request)
    return plugin.identify_dhcp(request)


def _request(entry: dict[str, Any]) -> Request:
    path = unquote(entry["path"] or "").lstrip("/")
    if entry["channel"] == "dhcp":
        options = {int(code): value.encode("latin-1") for code, value in entry["dhcp_options"].items()}
        return DhcpLease("192.0.2.7", MAC_OF_NOBODY, options)
    if entry["channel"] == "tftp":
        return TftpRequest("192.0.2.7", path)
    headers = {name.lower(): value for name, value in (entry.get("headers") or {}).items()}
    if entry["user_agent"] is not None:
        headers["user-agent"] = entry["user_agent"]
    return HttpRequest("192.0.2.7", path, entry.get("query") or "", headers)
