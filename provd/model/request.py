"""What phones, and the DHCP server on their behalf, ask: plain values, made by the doors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from provd.model.decision import Decision


@dataclass(slots=True)
class HttpRequest:
    """A phone's HTTP request.

    `address` is the client's in stored form, `path` is percent-decoded and has no leading slash, `query` is the
    raw text after `?`, `headers` has lower-case names. `decision` is the trace of what is concluded about it.
    """

    address: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    decision: Decision | None = field(default=None, repr=False, compare=False)

    @property
    def user_agent(self) -> str:
        """The User-Agent header, or an empty text."""
        return self.headers.get("user-agent", "")


@dataclass(slots=True)
class TftpRequest:
    """A phone's TFTP read request.

    `address` is the client's in stored form, `path` the file name without leading slashes, `mode` lower-case,
    `options` has lower-case names (RFC 2347). `decision` is the trace of what is concluded about it.
    """

    address: str
    path: str
    mode: str = "octet"
    options: Mapping[str, str] = field(default_factory=dict)
    decision: Decision | None = field(default=None, repr=False, compare=False)


@dataclass(slots=True)
class DhcpLease:
    """A lease that the DHCP server gave to a phone: `options` by code, as raw bytes."""

    address: str
    mac: str
    options: Mapping[int, bytes] = field(default_factory=dict)


PhoneRequest = HttpRequest | TftpRequest
